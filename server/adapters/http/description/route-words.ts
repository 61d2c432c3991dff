/**
 * The words of each route: what it does and answers, for the description of the API and the reference. Must not know
 * the form of OpenAPI.
 */
import { z } from 'zod';
import { explanation } from '../../../../shared/messages/explain.ts';
import * as bodies from '../../../../shared/messages/http-bodies.ts';
import { MAX_HISTORY, MAX_LISTED } from '../../../../shared/limits.ts';

/** The groups of routes in a description. */
export const tags = {
  Presence: 'Who is there now: read entries, list and count the present users, send heartbeats.',
  Friends: 'Who sees whom: friend lists and blocks.',
  History: 'Who was there: transitions, and the time with each status.',
  Administration: 'Explain a user, end a session, export and erase a user.',
  Webhooks: 'The rules of webhooks with their queues, and the messages that the hub posts.',
  Monitoring: 'Health, readiness and metrics.',
  Description: 'What the hub offers, for programs.',
} as const;
export type Tag = keyof typeof tags;

export interface Words {
  /** The name of the operation in a generated client. */
  readonly id: string;
  readonly tag: Tag;
  /** A few words that name the operation. */
  readonly summary: string;
  readonly says: string;
  readonly body?: z.ZodType;
  /** The body of a 200 reply; undefined if the reply is 204. `'text'`: Prometheus text. */
  readonly answer?: z.ZodType | 'text';
  /** The schemas of the parameters of the query, by name. All are optional. */
  readonly query?: Readonly<Record<string, object>>;
  /** The error statuses in addition to those that every route of its kind has. */
  readonly fails?: readonly (404 | 409 | 503)[];
}

const status = z.object({ status: z.string() });
const importAnswer = z.object({ added: z.int() });
const manyAnswer = z.union([bodies.listAnswer, bodies.entriesAnswer]);
const description = z.record(z.string(), z.unknown());

const TEXT = { type: 'string' };
const INSTANT = { type: 'integer', minimum: 0 };
const ONEWAY = { oneway: { type: 'boolean', default: false } };

/** The schemas that are only used here, by the type names in a generated client. */
export const ownSchemas = {
  Status: status,
  ImportAnswer: importAnswer,
  ManyAnswer: manyAnswer,
  Description: description,
} as const;

/** What each route answers. The reference prints these words. */
export const routeWords: Readonly<Record<string, Words>> = {
  'GET /v1/presence/{user}': {
    id: 'getPresence',
    tag: 'Presence',
    summary: 'Read one user',
    says: 'an entry; a user never seen is `offline`, not a 404',
    answer: bodies.presenceAnswer,
  },
  'GET /v1/presence': {
    id: 'listPresence',
    tag: 'Presence',
    summary: 'Read given users, or list the present users',
    says: '`?users=a,b,c`: `{"entries":[…]}` in the order asked, each once, at most 1000. Without `users`: `{"entries":[…],"next":…}`, a page of all who are present, see H28',
    answer: manyAnswer,
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
    tag: 'Presence',
    summary: 'Read given users',
    says: 'the same, with the list in the body',
    body: bodies.presenceBody,
    answer: bodies.entriesAnswer,
  },
  'GET /v1/counts': {
    id: 'getCounts',
    tag: 'Presence',
    summary: 'Count the present users',
    says: '`{"online":2,"away":0,"busy":1,"sessions":{"tcp-xml":1,…},"at":…}`: how many are present, see H29',
    answer: bodies.countsAnswer,
  },
  'POST /v1/heartbeat': {
    id: 'sendHeartbeat',
    tag: 'Presence',
    summary: 'Send a heartbeat',
    says: '`{"entry":…}`; user and device are the session. `"status":"offline"` ends it',
    body: bodies.heartbeatBody,
    answer: bodies.entryAnswer,
  },
  'GET /v1/users/{user}/friends/presence': {
    id: 'getFriendsPresence',
    tag: 'Presence',
    summary: 'Read the friends of a user',
    says: '`{"entries":[…]}` of the friends, sorted by id',
    answer: bodies.entriesAnswer,
  },
  'GET /v1/users/{user}/friends': {
    id: 'getFriends',
    tag: 'Friends',
    summary: 'Read a friend list',
    says: '`{"user":"42","friends":["7","9"]}`, sorted',
    answer: bodies.friendsAnswer,
  },
  'PUT /v1/users/{user}/friends': {
    id: 'replaceFriends',
    tag: 'Friends',
    summary: 'Replace a friend list',
    fails: [409, 503],
    says: '204; replaces the list, and ends both directions of what is dropped; `?oneway=true`: one',
    body: bodies.friendsBody,
    query: ONEWAY,
  },
  'POST /v1/users/{user}/friends/refresh': {
    id: 'refreshFriends',
    tag: 'Friends',
    summary: 'Read a friend list again',
    fails: [503],
    says: '(admin) 204; reads the list again where it is stored, see H41',
  },
  'PUT /v1/users/{user}/friends/{friend}': {
    id: 'addFriend',
    tag: 'Friends',
    summary: 'Add a friend',
    fails: [409, 503],
    says: '204, also where they already are; `?oneway=true`: only `user` follows `friend`',
    query: ONEWAY,
  },
  'DELETE /v1/users/{user}/friends/{friend}': {
    id: 'removeFriend',
    tag: 'Friends',
    summary: 'Remove a friend',
    fails: [503],
    says: '204, also where they are not; ends both directions, `?oneway=true`: one',
    query: ONEWAY,
  },
  'POST /v1/friends/import': {
    id: 'importFriends',
    tag: 'Friends',
    summary: 'Import friendships',
    fails: [409, 503],
    says: '`{"added":4}`, the edges that were not there; both directions, `?oneway=true`: one (an extension)',
    body: bodies.importBody,
    answer: importAnswer,
    query: ONEWAY,
  },
  'PUT /v1/users/{user}/blocks/{other}': {
    id: 'blockUser',
    tag: 'Friends',
    summary: 'Block a user',
    fails: [409, 503],
    says: '204; `other` sees `user` as if it had left at that moment',
  },
  'DELETE /v1/users/{user}/blocks/{other}': {
    id: 'unblockUser',
    tag: 'Friends',
    summary: 'Lift a block',
    fails: [503],
    says: '204; `other` sees `user` as it is again, with a larger `v`',
  },
  'GET /v1/users/{user}/explain': {
    id: 'explainUser',
    tag: 'Administration',
    summary: 'Explain a status',
    says: '(admin) why the user is shown as it is, see below',
    answer: explanation,
  },
  'DELETE /v1/users/{user}/sessions/{session}': {
    id: 'endSession',
    tag: 'Administration',
    summary: 'End a session',
    fails: [404],
    says: '(admin) 204; ends the session at once; 404 for one that is not there',
  },
  'GET /v1/users/{user}/history': {
    id: 'getHistory',
    tag: 'History',
    summary: 'Read the transitions of a user',
    fails: [404],
    says: '`{"user":"42","transitions":[{"at":…,"from":"online","to":"offline","cause":"lapsed"}],"next":null}`, oldest first, see H31',
    answer: bodies.historyAnswer,
    query: { from: INSTANT, to: INSTANT, limit: { type: 'integer', minimum: 1, maximum: MAX_HISTORY } },
  },
  'GET /v1/users/{user}/uptime': {
    id: 'getUptime',
    tag: 'History',
    summary: 'Add up the time with each status',
    fails: [404],
    says: '`{"user":"42","onlineMs":…,"awayMs":…,"busyMs":…,"offlineMs":…,"unknownMs":…}`, see H33',
    answer: bodies.uptimeAnswer,
    query: { from: INSTANT, to: INSTANT },
  },
  'GET /v1/users/{user}/export': {
    id: 'exportUser',
    tag: 'Administration',
    summary: 'Export a user',
    says: '(the user itself, `read` or admin) everything that is stored of the user, see H35',
    answer: bodies.exportAnswer,
  },
  'DELETE /v1/users/{user}': {
    id: 'eraseUser',
    tag: 'Administration',
    summary: 'Erase a user',
    fails: [503],
    says: '(admin) 204 when nothing of the user is left in `HUB_DATA`, see H37; 503 while another program reads hub.sqlite',
  },
  'GET /v1/webhooks': {
    id: 'listWebhooks',
    tag: 'Webhooks',
    summary: 'List the rules',
    fails: [404],
    says: '(admin) the rules of webhooks with their queues; 404 without rules',
    answer: bodies.webhooksAnswer,
  },
  'POST /v1/webhooks/{rule}/test': {
    id: 'testWebhook',
    tag: 'Webhooks',
    summary: 'Send a test',
    fails: [404],
    says: '(admin) sends one signed message of the type `presence.test`: `{"delivered":true}`, or why not',
    answer: bodies.webhookTestAnswer,
  },
  'POST /v1/webhooks/{rule}/replay': {
    id: 'replayWebhook',
    tag: 'Webhooks',
    summary: 'Send dead events again',
    fails: [404],
    says: '(admin) sends the dead events of the rule again: `{"events":4}`',
    answer: bodies.webhookReplayAnswer,
  },
  'GET /healthz': {
    id: 'getHealth',
    tag: 'Monitoring',
    summary: 'Check that the process serves',
    says: '200 while the process serves',
    answer: status,
  },
  'GET /readyz': {
    id: 'getReadiness',
    tag: 'Monitoring',
    summary: 'Check that the hub is ready',
    fails: [503],
    says: '200, or 503 whose `detail` names the failing part',
    answer: status,
  },
  'GET /metrics': {
    id: 'getMetrics',
    tag: 'Monitoring',
    summary: 'Read the metrics',
    says: 'Prometheus text, see below',
    answer: 'text',
  },
  'GET /openapi.json': {
    id: 'getDescription',
    tag: 'Description',
    summary: 'Describe the HTTP API',
    says: 'this table for programs: OpenAPI 3.1',
    answer: description,
  },
  'GET /asyncapi.json': {
    id: 'getMessages',
    tag: 'Description',
    summary: 'Describe the WebSocket messages',
    says: 'the WebSocket messages (section 4) for programs: AsyncAPI 3',
    answer: description,
  },
};
