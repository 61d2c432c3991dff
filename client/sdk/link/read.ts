/**
 * Validates what an app passes in, at the call itself: otherwise the hub would refuse a bad id or text much later,
 * together with good ones. The forms are the contract's; a test checks that they agree.
 */
import { PresenceError } from '../error.ts';
import type { MyStatus } from '../types.ts';

const USER_ID = /^(?!\.\.?$)[\w.@:-]{1,128}$/;
const STATUS = /^(online|away|busy|invisible)$/;
const MAX_TEXT_UNITS = 140;

export function bad(problem: string): PresenceError {
  return new PresenceError('bad_message', problem);
}

export function readUser(user: unknown, name: string): string {
  if (typeof user === 'string' && USER_ID.test(user)) return user;
  throw bad(
    typeof user === 'number'
      ? `${name} must be a string: "${user}", not the number ${user}`
      : `${name} must be 1 to 128 of A-Z a-z 0-9 . _ @ : -, not ${String(user)}`,
  );
}

export function readIds(ids: Iterable<string>): ReadonlySet<string> {
  // A string is iterable too, but never meant as a list.
  if (typeof ids === 'string') throw bad('ids must be a list');
  return new Set(Array.from(ids, (id) => readUser(id, 'each id')));
}

export function readMyStatus({ status = 'online', text = '' }: MyStatus): void {
  if (!STATUS.test(status)) throw bad('status must be online, away, busy or invisible');
  if (typeof text !== 'string' || text.length > MAX_TEXT_UNITS || /\p{Surrogate}/u.test(text))
    throw bad(`text must be at most ${MAX_TEXT_UNITS} units, no emoji cut in half`);
}
