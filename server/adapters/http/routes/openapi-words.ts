/**
 * The words and schemas of the description of the API, for each route. The reference prints the same words. Must not know
 * the form of OpenAPI.
 */
import { z } from 'zod';
import { entry } from '../../../../shared/messages/entry.ts';
import { explanation } from '../../../../shared/messages/explain.ts';
import {
  countsAnswer,
  entriesAnswer,
  entryAnswer,
  exportAnswer,
  friendsAnswer,
  friendsBody,
  heartbeatBody,
  historyAnswer,
  importBody,
  listAnswer,
  presenceBody,
  problem,
  uptimeAnswer,
  webhookReplayAnswer,
  webhooksAnswer,
  webhookTestAnswer,
} from '../../../../shared/messages/http-bodies.ts';
import { MAX_HISTORY, MAX_LISTED } from '../../../../shared/limits.ts';

export interface Words {
  /** The name of the operation in a generated client. */
  readonly id: string;
  readonly says: string;
  readonly body?: z.ZodType;
  /** The body of a 200 reply; undefined if the reply is 204. `'text'`: Prometheus text. */
  readonly answer?: z.ZodType | 'text';
  /** The schemas of the parameters of the query, by name. All are optional. */
  readonly query?: Readonly<Record<string, object>>;
}

const status = z.object({ status: z.string() });
const importAnswer = z.object({ added: z.int() });
const presenceAnswer = z.union([listAnswer, entriesAnswer]);
const description = z.record(z.string(), z.unknown());

const TEXT = { type: 'string' };
const INSTANT = { type: 'integer', minimum: 0 };
const ONEWAY = { oneway: { type: 'boolean', default: false } };

/** The schemas, by the type names in a generated client. */
export const named = {
  Entry: entry,
  Explanation: explanation,
  Problem: problem,
  Status: status,
  Description: description,
  EntryAnswer: entryAnswer,
  EntriesAnswer: entriesAnswer,
  ListAnswer: listAnswer,
  PresenceAnswer: presenceAnswer,
  CountsAnswer: countsAnswer,
  HistoryAnswer: historyAnswer,
  UptimeAnswer: uptimeAnswer,
  ExportAnswer: exportAnswer,
  FriendsAnswer: friendsAnswer,
  ImportAnswer: importAnswer,
  PresenceBody: presenceBody,
  HeartbeatBody: heartbeatBody,
  FriendsBody: friendsBody,
  ImportBody: importBody,
  WebhooksAnswer: webhooksAnswer,
  WebhookTestAnswer: webhookTestAnswer,
  WebhookReplayAnswer: webhookReplayAnswer,
} as const;

/** What each route answers. The reference prints these words. */
export const routeWords: Readonly<Record<string, Words>> = {
  'GET /v1/presence/{user}': {
    id: 'getPresence',
    says: 'an entry; a user never seen is `offline`, not a 404',
    answer: entry,
  },
  'GET /v1/presence': {
    id: 'listPresence',
    says: '`?users=a,b,c`: `{"entries":[…]}` in the order asked, each once, at most 1000. Without `users`: `{"entries":[…],"next":…}`, a page of all who are present, see H28',
    answer: presenceAnswer,
    query: {
      users: TEXT,
      status: TEXT,
      prefix: TEXT,
      limit: { type: 'integer', minimum: 1, maximum: MAX_LISTED },
      after: TEXT,
    },
  },
  'POST /v1/presence': {
    id: 'queryPresence',
    says: 'the same, with the list in the body',
    body: presenceBody,
    answer: entriesAnswer,
  },
  'GET /v1/counts': {
    id: 'getCounts',
    says: '`{"online":2,"away":0,"busy":1,"sessions":{"tcp-xml":1,…},"at":…}`: how many are present, see H29',
    answer: countsAnswer,
  },
  'POST /v1/heartbeat': {
    id: 'sendHeartbeat',
    says: '`{"entry":…}`; user and device are the session. `"status":"offline"` ends it',
    body: heartbeatBody,
    answer: entryAnswer,
  },
  'GET /v1/users/{user}/friends/presence': {
    id: 'getFriendsPresence',
    says: '`{"entries":[…]}` of the friends, sorted by id',
    answer: entriesAnswer,
  },
  'GET /v1/users/{user}/friends': {
    id: 'getFriends',
    says: '`{"user":"42","friends":["7","9"]}`, sorted',
    answer: friendsAnswer,
  },
  'PUT /v1/users/{user}/friends': {
    id: 'replaceFriends',
    says: '204; replaces the list, and ends both directions of what is dropped; `?oneway=true`: one',
    body: friendsBody,
    query: ONEWAY,
  },
  'POST /v1/users/{user}/friends/refresh': {
    id: 'refreshFriends',
    says: '(admin) 204; reads the list again where it is stored, see H41',
  },
  'PUT /v1/users/{user}/friends/{friend}': {
    id: 'addFriend',
    says: '204, also where they already are; `?oneway=true`: only `user` follows `friend`',
    query: ONEWAY,
  },
  'DELETE /v1/users/{user}/friends/{friend}': {
    id: 'removeFriend',
    says: '204, also where they are not; ends both directions, `?oneway=true`: one',
    query: ONEWAY,
  },
  'POST /v1/friends/import': {
    id: 'importFriends',
    says: '`{"added":4}`, the edges that were not there; both directions, `?oneway=true`: one (an extension)',
    body: importBody,
    answer: importAnswer,
    query: ONEWAY,
  },
  'PUT /v1/users/{user}/blocks/{other}': {
    id: 'blockUser',
    says: '204; `other` sees `user` as if it had left at that moment',
  },
  'DELETE /v1/users/{user}/blocks/{other}': {
    id: 'unblockUser',
    says: '204; `other` sees `user` as it is again, with a larger `v`',
  },
  'GET /v1/users/{user}/explain': {
    id: 'explainUser',
    says: '(admin) why the user is shown as it is, see below',
    answer: explanation,
  },
  'DELETE /v1/users/{user}/sessions/{session}': {
    id: 'endSession',
    says: '(admin) 204; ends the session at once; 404 for one that is not there',
  },
  'GET /v1/users/{user}/history': {
    id: 'getHistory',
    says: '`{"user":"42","transitions":[{"at":…,"from":"online","to":"offline","cause":"lapsed"}],"next":null}`, oldest first, see H31',
    answer: historyAnswer,
    query: { from: INSTANT, to: INSTANT, limit: { type: 'integer', minimum: 1, maximum: MAX_HISTORY } },
  },
  'GET /v1/users/{user}/uptime': {
    id: 'getUptime',
    says: '`{"user":"42","onlineMs":…,"awayMs":…,"busyMs":…,"offlineMs":…,"unknownMs":…}`, see H33',
    answer: uptimeAnswer,
    query: { from: INSTANT, to: INSTANT },
  },
  'GET /v1/users/{user}/export': {
    id: 'exportUser',
    says: '(the user itself, `read` or admin) everything that is stored of the user, see H35',
    answer: exportAnswer,
  },
  'DELETE /v1/users/{user}': {
    id: 'eraseUser',
    says: '(admin) 204 when nothing of the user is left in `HUB_DATA`, see H37; 503 while another program reads hub.sqlite',
  },
  'GET /v1/webhooks': {
    id: 'listWebhooks',
    says: '(admin) the rules of webhooks with their queues; 404 without rules',
    answer: webhooksAnswer,
  },
  'POST /v1/webhooks/{rule}/test': {
    id: 'testWebhook',
    says: '(admin) sends one signed message of the type `presence.test`: `{"delivered":true}`, or why not',
    answer: webhookTestAnswer,
  },
  'POST /v1/webhooks/{rule}/replay': {
    id: 'replayWebhook',
    says: '(admin) sends the dead events of the rule again: `{"events":4}`',
    answer: webhookReplayAnswer,
  },
  'GET /healthz': { id: 'getHealth', says: '200 while the process serves', answer: status },
  'GET /readyz': { id: 'getReadiness', says: '200, or 503 whose `detail` names the failing part', answer: status },
  'GET /metrics': { id: 'getMetrics', says: 'Prometheus text, see below', answer: 'text' },
  'GET /openapi.json': { id: 'getDescription', says: 'this table for programs: OpenAPI 3.1', answer: description },
};
