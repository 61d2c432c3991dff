/**
 * A zod schema's fields in the words of the reference: `user id`, `text`, `one of online, away`. Knows the schemas of
 * shared/ by identity, so that a form that has a name is printed by its name.
 */
import { z } from 'zod';
import { entry } from '../../shared/messages/entry.ts';
import { explainedSession, explanation, transition } from '../../shared/messages/explain.ts';
import { tailedChange } from '../../shared/messages/hub-messages.ts';
import { device, instant, lists, text, userId, userIds } from '../../shared/ids.ts';

const named = new Map<unknown, string>([
  [userId, 'user id'],
  [device, 'device'],
  [text, 'text'],
  [instant, 'instant'],
  [userIds, 'list of 1 to 1000 user ids'],
  [entry, 'entry'],
  [explanation.shape.decision, 'decision'],
  [explanation.shape.hidden, 'hidden'],
  [explainedSession, 'session'],
  [transition, 'transition'],
  [tailedChange, 'tailed change'],
]);

/** Name and form of each field; a `?` behind the name marks one that may be left out. */
export function describeFields(schema: z.ZodObject): (readonly [field: string, form: string])[] {
  return Object.entries(schema.shape).map(([name, form]) => {
    const isOptional = form instanceof z.ZodOptional;
    const inner: unknown = isOptional ? form.unwrap() : form;
    if (inner instanceof z.ZodUndefined) return [`\`${name}\``, 'must be left out'];
    return [`\`${name}${isOptional ? '?' : ''}\``, describe(inner)];
  });
}

function describe(schema: unknown): string {
  const name = named.get(schema);
  if (name !== undefined) return name;
  if (schema instanceof z.ZodNullable) return `${describe(schema.unwrap())} or null`;
  if (schema instanceof z.ZodLiteral)
    return [...schema.values].map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  if (schema instanceof z.ZodEnum) return `one of ${schema.options.join(', ')}`;
  if (schema instanceof z.ZodUnion) return schema.options.map(describe).join(' or ');
  const list = schema instanceof z.ZodCustom ? lists.get(schema) : undefined;
  if (list !== undefined) return `list of ${describeMany(list.element)}`;
  // A transform that makes a list a set: its reader gives the list.
  if (schema instanceof z.ZodPipe) return describe(schema.in);
  if (schema instanceof z.ZodTuple) return `[${schema.def.items.map(describe).join(', ')}]`;
  if (schema instanceof z.ZodArray) return `list of ${describeMany(schema.element)}`;
  if (schema instanceof z.ZodNumber) return describeNumber(schema);
  if (schema instanceof z.ZodString) return 'string';
  if (schema instanceof z.ZodBoolean) return 'true or false';
  throw new Error(`the reference has no words for ${JSON.stringify(schema)}`);
}

const plurals: Readonly<Record<string, string>> = {
  'user id': 'user ids',
  entry: 'entries',
  string: 'strings',
  session: 'sessions',
  transition: 'transitions',
  'tailed change': 'tailed changes',
};

function describeMany(element: unknown): string {
  const one = describe(element);
  return plurals[one] ?? one;
}

function describeNumber(schema: z.ZodNumber): string {
  if (schema.format !== 'safeint') return 'number';
  const { minimum, exclusiveMinimum, maximum } = schema._zod.bag;
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + 1);
  const from = least === undefined || least <= Number.MIN_SAFE_INTEGER ? '' : ` from ${least}`;
  const to = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`;
  return `whole number${from}${to}`;
}
