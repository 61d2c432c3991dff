/**
 * What an app gives, judged where it gives it: a bad id or text would otherwise be refused by the hub much later, together
 * with what is good. The forms are the contract's; a test holds them to it.
 */
import type { SessionStatus } from '../../shared/status.ts';
import { PresenceError } from './error.ts';
import type { MyStatus } from './types.ts';

const USER_ID = /^(?!\.\.?$)[\w.@:-]{1,128}$/;
const STATUSES = ['online', 'away', 'busy', 'invisible'] satisfies SessionStatus[];
const MAX_TEXT_UNITS = 140;

export function bad(problem: string): PresenceError {
  return new PresenceError('bad_message', problem);
}

export function readUser(user: unknown, name: string): string {
  if (typeof user === 'string' && USER_ID.test(user)) return user;
  throw bad(`${name} must be 1 to 128 characters out of A-Z a-z 0-9 . _ @ : -, not ${JSON.stringify(user)}`);
}

export function readIds(ids: Iterable<string>): ReadonlySet<string> {
  // A string is iterable too, and never meant.
  if (typeof ids === 'string') throw bad('watch: ids must be a list');
  return new Set(Array.from(ids, (id) => readUser(id, 'watch: each id')));
}

export function readMyStatus({ status, text }: MyStatus): MyStatus {
  if (status !== undefined && !STATUSES.includes(status)) throw bad(`status must be one of ${STATUSES.join(', ')}`);
  if (text !== undefined && (typeof text !== 'string' || text.length > MAX_TEXT_UNITS))
    throw bad(`text must be a string of at most ${MAX_TEXT_UNITS} UTF-16 units`);
  return { ...(status !== undefined && { status }), ...(text !== undefined && { text }) };
}
