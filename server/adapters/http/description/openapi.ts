/**
 * The HTTP API and the webhooks as OpenAPI 3.1, made from the routes and the schemas that check requests. A route without
 * words in `routeWords` makes the description fail, so none is forgotten.
 */
import type { z } from 'zod';
import { problem } from '../../../../shared/messages/http-bodies.ts';
import { PROTOCOL_VERSION } from '../../../../shared/limits.ts';
import { webhookMessage, webhookTest } from '../../../../shared/messages/webhook.ts';
import type { Route } from '../route.ts';
import { apiSchemas, printSchemas } from './named-schemas.ts';
import { routeWords, tags, type Words } from './route-words.ts';

/** What both descriptions say of the project. */
export const about = {
  version: `${PROTOCOL_VERSION}.0.0`,
  license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
};

export function describeApi(routes: readonly Route[]): object {
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
      ...about,
      description:
        'Who is there, over HTTP. The documentation of the protocol has the rules (H28 and the like) to which this description refers. /asyncapi.json describes the WebSocket messages.',
    },
    // The address is relative, because a proxy may serve the API below a path.
    servers: [{ url: '.' }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    webhooks: {
      presenceChanged: describeWebhook('postChanges', 'Changes that a rule reports', webhookMessage),
      presenceTest: describeWebhook('postTest', 'A test that an admin sends', webhookTest),
    },
    components: {
      schemas: printSchemas(apiSchemas, addressOf, 'draft-2020-12'),
      responses: Object.fromEntries(Object.values(errors).map((one) => [one.name, describeError(one)])),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

interface ErrorResponse {
  readonly name: string;
  readonly description: string;
  /** A header that comes with it. */
  readonly header?: 'retry-after' | 'www-authenticate';
}

const errors = {
  400: { name: 'BadRequest', description: 'A bad id, parameter, body or list. `detail` names the field.' },
  401: {
    name: 'Unauthenticated',
    description: 'The token is missing, wrong or has expired.',
    header: 'www-authenticate',
  },
  403: { name: 'Forbidden', description: 'The token, the page’s origin or the host name does not allow it.' },
  404: { name: 'NotFound', description: 'There is nothing of this name, or the part is turned off.' },
  409: { name: 'TooManyFriends', description: 'More friends or blocks than `HUB_MAX_FRIENDS`. Nothing was changed.' },
  413: { name: 'TooLarge', description: 'The body is larger than 256 KiB.' },
  429: { name: 'TooManyRequests', description: 'Too many requests or sessions.', header: 'retry-after' },
  503: {
    name: 'Unavailable',
    description: 'Storage cannot accept it, the token cannot be checked now, or the hub has no room. Try again.',
    header: 'retry-after',
  },
  default: { name: 'Failed', description: 'Any other error.' },
} as const satisfies Record<string, ErrorResponse>;
type Status = Exclude<keyof typeof errors, 'default'>;

function describeError({ description, header }: ErrorResponse): object {
  return {
    description,
    ...(header !== undefined && { headers: { [header]: { schema: { type: 'string' } } } }),
    content: { 'application/problem+json': { schema: referTo(problem) } },
  };
}

function describeRoute(route: Route, words: Words): object {
  const { id, tag, summary, says, body, query = {} } = words;
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: pathSchemas[name] ?? { type: 'string' } })),
    ...Object.entries(query).map(([name, schema]) => ({ name, in: 'query', schema })),
  ];
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: says,
    parameters,
    // The settings determine whether a token is required.
    security: route.access === 'anyone' ? [] : [{}, { bearer: [] }],
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonOf(body) } }),
    responses: { ...describeAnswer(words), ...describeErrors(route, words, parameters.length) },
  };
}

const pathSchemas: Readonly<Record<string, object>> = {
  user: { $ref: addressOf('UserId') },
  friend: { $ref: addressOf('UserId') },
  other: { $ref: addressOf('UserId') },
};

function describeAnswer({ answer }: Words): object {
  if (answer === undefined) return { 204: { description: 'It is done.' } };
  const content = answer === 'text' ? { 'text/plain': { schema: { type: 'string' } } } : jsonOf(answer);
  return { 200: { description: 'The answer.', content } };
}

function describeErrors({ access }: Route, { body, fails = [] }: Words, parameters: number): object {
  const statuses = new Set<Status>([
    ...(parameters > 0 || body !== undefined ? [400 as const] : []),
    ...(access === 'anyone' ? [] : ([401, 403, 429, 503] as const)),
    ...(body === undefined ? [] : [413 as const]),
    ...fails,
  ]);
  const responses = [...statuses, 'default' as const].map((status) => [
    status,
    { $ref: `#/components/responses/${errors[status].name}` },
  ]);
  return Object.fromEntries(responses) as object;
}

function describeWebhook(id: string, summary: string, message: z.ZodType): object {
  return {
    post: {
      operationId: id,
      tags: ['Webhooks' satisfies keyof typeof tags],
      summary,
      description: 'Signed according to Standard Webhooks. See section 9 of the protocol.',
      security: [],
      parameters: ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => ({
        name,
        in: 'header',
        required: true,
        schema: { type: 'string' },
      })),
      requestBody: { required: true, content: jsonOf(message) },
      responses: {
        '2XX': { description: 'The receiver has it.' },
        '4XX': { description: 'The hub tries again later, as after any other answer.' },
      },
    },
  };
}

function jsonOf(form: z.ZodType): object {
  return { 'application/json': { schema: referTo(form) } };
}

function referTo(form: z.ZodType): object {
  const [name] = Object.entries(apiSchemas).find(([, schema]) => schema === form) ?? [];
  if (name === undefined) throw new Error('a schema of the API has no name');
  return { $ref: addressOf(name) };
}

function addressOf(name: string): string {
  return `#/components/schemas/${name}`;
}
