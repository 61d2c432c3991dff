/**
 * The rules of `HUB_WEBHOOKS`: which changes of which users are posted to which URL. Parses their JSON. Pure. Must not put
 * a secret, or a part of a URL that may contain one, into a message.
 */
import { z } from 'zod';
import { isUserId } from '../../shared/ids.ts';
import { fail, ok, type Result } from '../../shared/result.ts';
import { userStatuses, type UserStatus } from '../../shared/status.ts';

/** `status`: only changes of the shown status. `all`: every change of the entry. */
export type RuleEvents = 'status' | 'all';

export interface Rule {
  readonly name: string;
  readonly url: URL;
  /** The decoded secrets. Each signs every message, so that a secret can be replaced without a gap. */
  readonly secrets: readonly Buffer[];
  readonly includesUser: (user: string) => boolean;
  readonly on: ReadonlySet<UserStatus>;
  /** Milliseconds for which the status must last before it is reported. */
  readonly afterMs: number;
  readonly events: RuleEvents;
}

const MAX_RULES = 100;
/** The rule that `HUB_WEBHOOK_URL` and `HUB_WEBHOOK_SECRET` describe. */
export const URL_RULE = 'default';
/** A week. */
const MAX_AFTER_MS = 604_800_000;
const SECRET_BYTES = { min: 24, max: 64 };

const SECRET_FORM = `must be whsec_ and the base64 of ${SECRET_BYTES.min} to ${SECRET_BYTES.max} bytes; several are separated by spaces`;
const URL_FORM = 'must be an http:// or https:// URL';
const USERS_FORM = 'must be a list of user ids, or of prefixes that end in *';
const NAME_FORM = 'must be 1 to 64 characters out of A-Z a-z 0-9 . _ -';

const form = z.strictObject({
  name: z.string({ error: NAME_FORM }).regex(/^[A-Za-z0-9._-]{1,64}$/, NAME_FORM),
  url: z.string({ error: URL_FORM }).transform((text, context) => parseUrl(text) ?? refuse(context, URL_FORM)),
  secret: z
    .string({ error: SECRET_FORM })
    .transform((text, context) => parseSecrets(text) ?? refuse(context, SECRET_FORM)),
  users: z.array(z.string({ error: USERS_FORM }).refine(isPattern, USERS_FORM), { error: USERS_FORM }).optional(),
  on: z
    .array(z.enum(userStatuses, { error: `must be a list of ${userStatuses.join(', ')}` }), {
      error: `must be a list of ${userStatuses.join(', ')}`,
    })
    .min(1, 'must name at least one status')
    .default([...userStatuses]),
  afterMs: z
    .int({ error: `must be a whole number from 0 to ${MAX_AFTER_MS}` })
    .min(0, `must be a whole number from 0 to ${MAX_AFTER_MS}`)
    .max(MAX_AFTER_MS, `must be a whole number from 0 to ${MAX_AFTER_MS}`)
    .default(0),
  events: z.enum(['status', 'all'], { error: 'must be "status" or "all"' }).default('status'),
});

/** Parses the file. A problem names the rule and the field, and never a value. */
export function parseRules(text: string): Result<readonly Rule[]> {
  let given: unknown;
  try {
    given = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return fail('it is not JSON: write a list of rules, as in [{"name":"mail","url":"https://…","secret":"whsec_…"}]');
  }
  if (!Array.isArray(given)) return fail('it must be a list of rules, as in [{"name":"mail","url":"…","secret":"…"}]');
  if (given.length > MAX_RULES) return fail(`it has ${given.length} rules: at most ${MAX_RULES} are allowed`);
  const rules: Rule[] = [];
  for (const [index, one] of given.entries()) {
    const read = form.safeParse(one);
    if (!read.success) return fail(describeFault(read.error, index));
    const { name, secret, users, on, ...rest } = read.data;
    if (rules.some((rule) => rule.name === name)) return fail(`two rules are named "${name}": give each its own name`);
    rules.push({ name, secrets: secret, includesUser: matcherOf(users), on: new Set(on), ...rest });
  }
  return ok(rules);
}

/** Returns the rule of the two settings, or a problem that names the invalid one. */
export function ruleOfSettings(url: string, secret: string | null): Result<Rule> {
  const parsed = parseUrl(url);
  if (parsed === undefined) return fail(`HUB_WEBHOOK_URL ${URL_FORM}`);
  if (secret === null) return fail('HUB_WEBHOOK_URL is set and HUB_WEBHOOK_SECRET is not: set it to whsec_ and base64');
  const secrets = parseSecrets(secret);
  if (secrets === undefined) return fail(`HUB_WEBHOOK_SECRET ${SECRET_FORM}`);
  const on = new Set(userStatuses);
  return ok({ name: URL_RULE, url: parsed, secrets, includesUser: () => true, on, afterMs: 0, events: 'status' });
}

/** The address of a rule for logs and answers: without user info, query and fragment, which may hold secrets. */
export function publicUrl({ origin, pathname }: URL): string {
  return origin + pathname;
}

function describeFault(error: z.ZodError, index: number): string {
  const [issue] = error.issues;
  if (issue === undefined) return `rule ${index + 1} is wrong`;
  if (issue.code === 'unrecognized_keys') {
    return `rule ${index + 1} has an unknown field ${JSON.stringify(issue.keys[0])}: remove it`;
  }
  const field = issue.path.join('.');
  return field === ''
    ? `rule ${index + 1} must be an object with name, url and secret`
    : `rule ${index + 1}: ${field} ${issue.message}`;
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

function parseUrl(text: string): URL | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  try {
    // The HTTP client decodes both, and would throw at each request.
    decodeURIComponent(url.username);
    decodeURIComponent(url.password);
  } catch {
    return undefined;
  }
  return url.port === '0' ? undefined : url;
}

function parseSecrets(text: string): readonly Buffer[] | undefined {
  const secrets = text.trim().split(/\s+/).map(parseSecret);
  return secrets.every((secret) => secret !== undefined) ? secrets : undefined;
}

function parseSecret(text: string): Buffer | undefined {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length >= SECRET_BYTES.min && bytes.length <= SECRET_BYTES.max ? bytes : undefined;
}

function isPattern(text: string): boolean {
  if (!text.endsWith('*')) return isUserId(text);
  const prefix = text.slice(0, -1);
  return prefix === '' || isUserId(prefix) || prefix === '.' || prefix === '..';
}

function matcherOf(users: readonly string[] | undefined): Rule['includesUser'] {
  if (users === undefined) return () => true;
  const ids = new Set(users.filter((user) => !user.endsWith('*')));
  const prefixes = users.filter((user) => user.endsWith('*')).map((user) => user.slice(0, -1));
  return (user) => ids.has(user) || prefixes.some((prefix) => user.startsWith(prefix));
}
