/**
 * `GET /openapi.json`: the API's description, made of its own table of routes and of the schemas that judge what comes in.
 * A route without words here can't be described, so none is forgotten; the reference prints the same words. Asks for nothing.
 */
import { z } from 'zod';
import { lists } from '../../shared/ids.ts';
import { entry } from '../../shared/entry.ts';
import { explanation } from '../../shared/explain.ts';
import {
  entriesAnswer,
  entryAnswer,
  friendsAnswer,
  friendsBody,
  heartbeatBody,
  importBody,
  presenceBody,
  problem,
} from '../../shared/http-bodies.ts';
import { PROTOCOL_VERSION } from '../../shared/limits.ts';
import { json } from './reply.ts';
import type { Route } from './route.ts';

interface Words {
  readonly says: string;
  readonly body?: z.ZodType;
  /** What 200 answers; nothing where it is 204. `'text'`: Prometheus text. */
  readonly answer?: z.ZodType | 'text';
  readonly query?: 'oneway' | 'users';
}

const status = z.object({ status: z.string() });

/** What each route answers, in the words of the reference. */
export const routeWords: Readonly<Record<string, Words>> = {
  'GET /v1/presence/{user}': { says: 'an entry; a user never seen is `offline`, not a 404', answer: entry },
  'GET /v1/presence': {
    says: '`?users=a,b,c`: `{"entries":[…]}` in the order asked, each once, at most 1000',
    answer: entriesAnswer,
    query: 'users',
  },
  'POST /v1/presence': { says: 'the same, with the list in the body', body: presenceBody, answer: entriesAnswer },
  'POST /v1/heartbeat': {
    says: '`{"entry":…}`; user and device are the session. `"status":"offline"` ends it',
    body: heartbeatBody,
    answer: entryAnswer,
  },
  'GET /v1/users/{user}/friends/presence': {
    says: '`{"entries":[…]}` of the friends, sorted by id',
    answer: entriesAnswer,
  },
  'GET /v1/users/{user}/friends': { says: '`{"user":"42","friends":["7","9"]}`, sorted', answer: friendsAnswer },
  'PUT /v1/users/{user}/friends': {
    says: '204; replaces the list, and ends both directions of what is dropped; `?oneway=true`: one',
    body: friendsBody,
    query: 'oneway',
  },
  'PUT /v1/users/{user}/friends/{friend}': {
    says: '204, also where they already are; `?oneway=true`: only `user` follows `friend`',
    query: 'oneway',
  },
  'DELETE /v1/users/{user}/friends/{friend}': {
    says: '204, also where they are not; ends both directions, `?oneway=true`: one',
    query: 'oneway',
  },
  'POST /v1/friends/import': {
    says: '`{"added":4}`, the edges that were not there; both directions, `?oneway=true`: one (an extension)',
    body: importBody,
    answer: z.object({ added: z.int() }),
    query: 'oneway',
  },
  'PUT /v1/users/{user}/blocks/{other}': { says: '204; `other` sees `user` as if it had left at that moment' },
  'DELETE /v1/users/{user}/blocks/{other}': { says: '204; `other` sees `user` as it is again, with a larger `v`' },
  'GET /v1/users/{user}/explain': {
    says: '(admin) why the user is shown as it is, see below',
    answer: explanation,
  },
  'DELETE /v1/users/{user}/sessions/{session}': {
    says: '(admin) 204; ends the session at once; 404 for one that is not there',
  },
  'GET /healthz': { says: '200 while the process serves', answer: status },
  'GET /readyz': { says: '200, or 503 whose `detail` names the failing part', answer: status },
  'GET /metrics': { says: 'Prometheus text, see below', answer: 'text' },
  'GET /openapi.json': { says: 'this table for programs: OpenAPI 3.1', answer: z.record(z.string(), z.unknown()) },
};

/** The route, made when it is first asked for. `routes`: the others. */
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
    paths,
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  };
}

function describeRoute({ path, access }: Route, { says, body, answer, query }: Words): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(query === 'oneway' ? [{ name: query, in: 'query', schema: { type: 'boolean', default: false } }] : []),
    ...(query === 'users' ? [{ name: query, in: 'query', required: true, schema: { type: 'string' } }] : []),
  ];
  return {
    summary: says,
    parameters,
    // Whether a token is needed depends on the settings.
    security: access === 'anyone' ? [] : [{}, { bearer: [] }],
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonOf(body) } }),
    responses: {
      ...(answer === undefined
        ? { 204: { description: 'done' } }
        : { 200: { description: 'ok', content: contentOf(answer) } }),
      default: { description: 'why not', content: { 'application/problem+json': { schema: schemaOf(problem) } } },
    },
  };
}

function contentOf(answer: z.ZodType | 'text'): object {
  return answer === 'text' ? { 'text/plain': { schema: { type: 'string' } } } : jsonOf(answer);
}

function jsonOf(form: z.ZodType): object {
  return { 'application/json': { schema: schemaOf(form) } };
}

/** As it is sent: before a list becomes a set. */
function schemaOf(form: z.ZodType): object {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(form, {
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
      Object.assign(jsonSchema, { type: 'array', items: schemaOf(element), ...bounds });
    },
  });
  return schema;
}
