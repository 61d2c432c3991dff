/**
 * Checks the form of what the hub sends: what the SDK and apps rely on. Loaded beside the core, because it is
 * large for it. Until then, only what makes the SDK throw is noticed.
 */
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Timers run at once from 2 ** 31 ms on. */
const LONGEST_MS = 2e9;

/** Returns the message. Throws if its form is wrong. A message of an unknown type passes, because the contract may grow. */
export function check(message: HubMessage): HubMessage {
  if (isFields(message) && isString(message['type']) && isSound(message)) return message;
  throw new Error('malformed message');
}

function isSound(message: Fields): boolean {
  const { type, at, users, removed, friendsOf, entries, entry, op, since } = message;
  if (!isOptional(at, isTime) || !isOptional(users, areStrings) || !isOptional(friendsOf, isString)) return false;
  switch (type) {
    case 'welcome':
      return isWait(message['heartbeatMs'], 1) && isWait(message['timeoutMs'], 1);
    case 'reconnect':
      return isWait(message['afterMs'], 0);
    case 'snapshot':
      return isTime(at) && isOptional(since, isTime) && isOptional(removed, areStrings) && areEntries(entries);
    case 'presence':
      return areEntries(entries);
    case 'friend':
      return op === 'add' ? isEntry(entry) : isString(message['user']);
    case 'self':
      return isShown(message);
    case 'stale':
      return isTime(since);
    case 'tail':
      return isTime(message['skipped']) && Array.isArray(message['changes']) && message['changes'].every(isChange);
    case 'error':
      return isString(message['code']) && isString(message['message']);
    default:
      return true;
  }
}

function areEntries(entries: unknown): boolean {
  return Array.isArray(entries) && entries.every(isEntry);
}

function isEntry(entry: unknown): boolean {
  if (!isFields(entry) || !isString(entry['user']) || !isTime(entry['v']) || !isShown(entry)) return false;
  return [entry['since'], entry['lastSeen']].every((time) => time === null || isTime(time));
}

function isChange(change: unknown): boolean {
  if (!isFields(change)) return false;
  const { at, cause, adapter, session, from, entry } = change;
  return isTime(at) && areStrings([cause, adapter, session, from]) && isEntry(entry);
}

function isShown({ status, text, devices }: Fields): boolean {
  return isString(status) && isOptional(text, isString) && areStrings(devices);
}

function areStrings(all: unknown): boolean {
  return Array.isArray(all) && all.every(isString);
}

function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

function isWait(ms: unknown, least: number): boolean {
  return isTime(ms) && ms >= least && ms < LONGEST_MS;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
