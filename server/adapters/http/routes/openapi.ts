/**
 * `GET /openapi.json`: the description of the API, made from the routes and the schemas that check requests. A route
 * without words in `routeWords` makes the description fail, so none is forgotten. The reference prints the same words.
 * Requires no token.
 */
import { z } from 'zod';
import { lists } from '../../../../shared/ids.ts';
import { entry } from '../../../../shared/messages/entry.ts';
import { explanation } from '../../../../shared/messages/explain.ts';
import {
  countsAnswer,
  entriesAnswer,
  entryAnswer,
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
import { MAX_HISTORY, MAX_LISTED, PROTOCOL_VERSION } from '../../../../shared/limits.ts';
import { json } from '../reply.ts';
import type { Route } from '../route.ts';

interface Words {
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
const named = {
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

/** The route of the description, which is created on the first request. `routes`: all other routes. */
export function openApiRoute(routes: readonly Route[]): Route {
  let description: string | undefined;
  const path = '/openapi.json';
  const self: Route = {
    access: 'anyone',
    method: 'GET',
    path,
    answer: () => json((description ??= JSON.stringify(describeApi([...routes, self])))),
  };
  return self;
}

function describeApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const words = routeWords[`${route.method} ${route.path}`];
    if (words === undefined) throw new Error(`there are no words for ${route.method} ${route.path}`);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: describeRoute(route, words) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'presence hub',
      version: `${PROTOCOL_VERSION}`,
      description: 'Who is there: see shared/PROTOCOL.md',
    },
    // The address is relative, because a proxy may serve the API below a path.
    servers: [{ url: './' }],
    paths,
    components: { schemas: describeSchemas(), securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  };
}

function describeRoute({ path, access }: Route, { id, says, body, answer, query = {} }: Words): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(query).map(([name, schema]) => ({ name, in: 'query', schema })),
  ];
  return {
    operationId: id,
    summary: says,
    parameters,
    // The settings determine whether a token is required.
    security: access === 'anyone' ? [] : [{}, { bearer: [] }],
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonOf(body) } }),
    responses: {
      ...(answer === undefined
        ? { 204: { description: 'done' } }
        : { 200: { description: 'ok', content: contentOf(answer) } }),
      default: { description: 'why not', content: { 'application/problem+json': { schema: referTo(problem) } } },
    },
  };
}

function contentOf(answer: z.ZodType | 'text'): object {
  return answer === 'text' ? { 'text/plain': { schema: { type: 'string' } } } : jsonOf(answer);
}

function jsonOf(form: z.ZodType): object {
  return { 'application/json': { schema: referTo(form) } };
}

function referTo(form: z.ZodType): object {
  const [name] = Object.entries(named).find(([, schema]) => schema === form) ?? [];
  if (name === undefined) throw new Error('a schema of the API has no name');
  return { $ref: addressOf(name) };
}

function addressOf(name: string): string {
  return `#/components/schemas/${name}`;
}

type JsonSchemaOptions = NonNullable<Parameters<typeof z.toJSONSchema>[1]>;

/** The input form of a schema: before a list becomes a set. */
const asSent: JsonSchemaOptions = {
  io: 'input',
  unrepresentable: 'any',
  override: ({ zodSchema, jsonSchema }) => {
    const known = lists.get(zodSchema);
    if (known === undefined) return;
    const { element, min, max } = known;
    const bounds = {
      ...(min === undefined ? {} : { minItems: min }),
      ...(max === undefined ? {} : { maxItems: max }),
    };
    const { $schema: _dialect, ...items } = z.toJSONSchema(element, asSent);
    Object.assign(jsonSchema, { type: 'array', items, ...bounds });
  },
};

function describeSchemas(): Record<string, object> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { ...asSent, uri: addressOf });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _dialect, $id: _id, ...schema }]) => [name, schema]),
  );
}
