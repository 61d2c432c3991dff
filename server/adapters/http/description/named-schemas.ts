/**
 * The schemas as JSON Schema, each by the name of its type in a generated client. Knows the rules that a schema checks in
 * code (the form of an id, the length of a list), because JSON Schema cannot be derived from code.
 */
import { z } from 'zod';
import { device, instant, lists, text, userId } from '../../../../shared/ids.ts';
import { MAX_DEVICE_CHARS, MAX_TEXT_UNITS, MAX_USER_ID_CHARS } from '../../../../shared/limits.ts';
import { clientMessages } from '../../../../shared/messages/client-messages.ts';
import { entry } from '../../../../shared/messages/entry.ts';
import { explainedSession, explanation, transition } from '../../../../shared/messages/explain.ts';
import * as bodies from '../../../../shared/messages/http-bodies.ts';
import { hubMessages, tailedChange } from '../../../../shared/messages/hub-messages.ts';
import { webhookEvent, webhookMessage, webhookTest } from '../../../../shared/messages/webhook.ts';
import { ownSchemas } from './route-words.ts';

type Schemas = Readonly<Record<string, z.ZodType>>;
/** One schema as JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const parts = { UserId: userId, Device: device, Text: text, Instant: instant, Entry: entry } as const;

/** The schemas of the HTTP API and of the webhooks. */
export const apiSchemas: Schemas = {
  ...parts,
  Explanation: explanation,
  ExplainedSession: explainedSession,
  Transition: transition,
  Problem: bodies.problem,
  PresenceAnswer: bodies.presenceAnswer,
  EntryAnswer: bodies.entryAnswer,
  EntriesAnswer: bodies.entriesAnswer,
  ListAnswer: bodies.listAnswer,
  CountsAnswer: bodies.countsAnswer,
  HistoryAnswer: bodies.historyAnswer,
  UptimeAnswer: bodies.uptimeAnswer,
  ExportAnswer: bodies.exportAnswer,
  FriendsAnswer: bodies.friendsAnswer,
  PresenceBody: bodies.presenceBody,
  HeartbeatBody: bodies.heartbeatBody,
  FriendsBody: bodies.friendsBody,
  ImportBody: bodies.importBody,
  WebhooksAnswer: bodies.webhooksAnswer,
  WebhookTestAnswer: bodies.webhookTestAnswer,
  WebhookReplayAnswer: bodies.webhookReplayAnswer,
  WebhookEvent: webhookEvent,
  WebhookMessage: webhookMessage,
  WebhookTest: webhookTest,
  ...ownSchemas,
};

/** The messages of each direction, by names that differ from each other: `HelloObserver` is `hello (observer)`. */
export const messagesToHub: Schemas = byTypeName(clientMessages);
export const messagesToClient: Schemas = byTypeName(hubMessages);

/** The schemas of the WebSocket messages. */
export const messageSchemas: Schemas = {
  ...parts,
  TailedChange: tailedChange,
  ...prefixed('ToHub', messagesToHub),
  ...prefixed('ToClient', messagesToClient),
};

/** Prints all schemas, which refer to each other by `addressOf(name)`. */
export function printSchemas(
  schemas: Schemas,
  addressOf: (name: string) => string,
  target: 'draft-2020-12' | 'draft-7',
): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const printed = z.toJSONSchema(registry, { ...asSent, target, uri: addressOf }).schemas;
  return Object.fromEntries(
    Object.entries(printed).map(([name, { $schema: _dialect, $id: _id, ...schema }]) => [name, schema]),
  );
}

/** What a schema checks in code. */
const checkedInCode = new Map<unknown, JsonSchema>([
  [
    userId,
    {
      pattern: `^(?!\\.{1,2}$)[A-Za-z0-9._@:-]{1,${MAX_USER_ID_CHARS}}$`,
      maxLength: MAX_USER_ID_CHARS,
      description: 'A user id. Ids are compared as text: 042 and 42 are two ids.',
    },
  ],
  [
    device,
    {
      pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
      maxLength: MAX_DEVICE_CHARS,
      description: 'The label of a session.',
    },
  ],
  [text, { maxLength: MAX_TEXT_UNITS, description: `At most ${MAX_TEXT_UNITS} UTF-16 units: most emoji are two.` }],
  [instant, { description: 'Milliseconds since the Unix epoch, or a version.' }],
  [entry, { description: 'What others see of a user.' }],
  // With `friendsOf`, another schema is chosen.
  [clientMessages['watch (ids)'], { not: { required: ['friendsOf'] } }],
  [clientMessages['unwatch (ids)'], { not: { required: ['friendsOf'] } }],
]);

type JsonSchemaOptions = NonNullable<Parameters<typeof z.toJSONSchema>[1]>;

/** The input form of a schema: before a list becomes a set. */
const asSent: JsonSchemaOptions = {
  io: 'input',
  unrepresentable: 'any',
  override: ({ zodSchema, jsonSchema }) => {
    Object.assign(jsonSchema, checkedInCode.get(zodSchema));
    // A field that must be left out.
    if (zodSchema._zod.def.type === 'undefined') Object.assign(jsonSchema, { not: {} });
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

/** `watch (friends)` becomes `WatchFriends`. */
function byTypeName(schemas: Schemas): Schemas {
  const typeName = (name: string): string =>
    [...name.matchAll(/\w+/g)].map(([word]) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [typeName(name), schema]));
}

function prefixed(prefix: string, schemas: Schemas): Schemas {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [`${prefix}${name}`, schema]));
}
