/** Reads the messages and records of an engine. Returns undefined for anything else. Pure. */
import type { Link } from '../chain.ts';
import type { Stored } from '../engine.ts';

export interface OperationMessage {
  readonly user: string;
  readonly stored: Stored;
  readonly before: string;
}

export type Message =
  | { readonly kind: 'operation'; readonly operation: OperationMessage }
  | { readonly kind: 'state'; readonly link: Link };

/** Returns the user of a message, or '' if it is about the bucket. Nodes ignore most messages after this. */
export function userOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('\t')));
}

const MAX_TEXT = 262_144;
/** Maximum length of the numbers and the id before a body. */
const MAX_HEAD = 200;
/** The scripts reject numbers with more digits. */
const TIMES_BELOW = 1e15;

export function readMessage(text: string): Message | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const [user = '', head = '', before = '', ...body] = text.split('\t');
  if (user === '') {
    const [last = '', clock, epoch] = head.split(' ');
    const link = { last, clock: Number(clock), epoch: Number(epoch), before };
    return last !== '' && isTime(link.clock) && isTime(link.epoch) ? { kind: 'state', link } : undefined;
  }
  const stored = readStored(`${head} ${body.join('\t')}`);
  return stored === undefined ? undefined : { kind: 'operation', operation: { user, stored, before } };
}

/** Reads `n v op t body`. A body that is too long is cut, so it is unreadable and will be replaced. */
export function readStored(text: string): Stored | undefined {
  if (text.length > MAX_TEXT) return readStored(text.slice(0, MAX_HEAD));
  const found = /^(\d+) (\d+) (\S+) (\d+) /.exec(text);
  if (found === null) return undefined;
  const [head, n, v, op = '', t] = found;
  const stored = { n: Number(n), v: Number(v), op, t: Number(t), body: text.slice(head.length) };
  return isTime(stored.n) && isTime(stored.v) && isTime(stored.t) ? stored : undefined;
}

function isTime(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < TIMES_BELOW;
}
