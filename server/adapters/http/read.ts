/**
 * Parses the ids in the path, the lists in the query and the JSON in the body of a call. Bad input is a returned
 * problem.
 */
import type { z } from 'zod';
import { describeProblem } from '../../../shared/messages/client-messages.ts';
import { isUserId, USER_ID_FORM } from '../../../shared/ids.ts';
import { parseJson } from '../../../shared/messages/json.ts';
import { problem } from './reply.ts';
import type { Call, Read } from './route.ts';

export function bad<T>(detail: string): Read<T> {
  return { ok: false, reply: problem('bad_request', detail) };
}

export function readUser(call: Call, name: string): Read<string> {
  const id = call.params[name] ?? '';
  return isUserId(id) ? { ok: true, value: id } : bad(`${name}: ${USER_ID_FORM}`);
}

/** Reads two different user ids in the path, `{user}` and `name`. `sameIsBad` is the error if they are equal. */
export function readPair(call: Call, name: string, sameIsBad: string): Read<{ user: string; other: string }> {
  const user = readUser(call, 'user');
  if (!user.ok) return user;
  const other = readUser(call, name);
  if (!other.ok) return other;
  if (user.value === other.value) return bad(`${name}: ${sameIsBad}`);
  return { ok: true, value: { user: user.value, other: other.value } };
}

/** `?oneway=true`. */
export function readOneway({ query }: Call): Read<boolean> {
  const [value = 'false', ...others] = query.getAll('oneway');
  return others.length === 0 && (value === 'true' || value === 'false')
    ? { ok: true, value: value === 'true' }
    : bad('oneway: must be true or false, once');
}

export function readBody<T>({ request }: Call, form: z.ZodType<T>): Read<T> {
  const value = parseJson(request.body);
  if (value === undefined) return bad('body: must be JSON');
  return readForm(value, form, 'body: must be one JSON object');
}

/** Parses a value with a schema. `whole` is the error if the fault is not in a field. */
export function readForm<T>(value: unknown, form: z.ZodType<T>, whole: string): Read<T> {
  const read = form.safeParse(value);
  if (read.success) return { ok: true, value: read.data };
  return bad((read.error.issues[0]?.path.length ?? 0) === 0 ? whole : describeProblem(read.error));
}
