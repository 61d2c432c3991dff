/**
 * `GET /openapi.json`: the description of the API, made from the routes and the schemas that check requests. A route
 * without words in `routeWords` makes the description fail, so none is forgotten. The reference prints the same words.
 * Requires no token.
 */
import { z } from 'zod';
import { lists } from '../../../../shared/ids.ts';
import { problem } from '../../../../shared/messages/http-bodies.ts';
import { PROTOCOL_VERSION } from '../../../../shared/limits.ts';
import { json } from '../reply.ts';
import type { Route } from '../route.ts';
import { named, routeWords, type Words } from './openapi-words.ts';

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
