/**
 * Stamps: what a publisher writes into its entry's text, so that a watcher knows which change it received and when it
 * was sent, by a search in the bytes instead of parsing JSON. Pure.
 */
export interface Stamp {
  readonly user: number;
  /** Counts the changes of that user, from 1 on. */
  readonly change: number;
  readonly sentAtUs: number;
}

const needle = Buffer.from('"text":"L');
const ZERO = 48;
const NINE = 57;

export function stampText({ user, change, sentAtUs }: Stamp): string {
  return `L${user},${change},${sentAtUs}`;
}

/** Calls `onStamp` for each stamp in a whole message, in order. @returns how many there were. */
export function readStamps(message: Buffer, onStamp: (user: number, change: number, sentAtUs: number) => void): number {
  let count = 0;
  for (let at = message.indexOf(needle); at >= 0; at = message.indexOf(needle, at)) {
    at += needle.length;
    const user = numberAt(message, at);
    at = numberEnd(message, at) + 1;
    const change = numberAt(message, at);
    at = numberEnd(message, at) + 1;
    onStamp(user, change, numberAt(message, at));
    count += 1;
  }
  return count;
}

function numberAt(bytes: Buffer, from: number): number {
  let value = 0;
  for (let at = from; isDigit(bytes[at]); at += 1) value = value * 10 + (bytes[at] ?? 0) - ZERO;
  return value;
}

function numberEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (isDigit(bytes[at])) at += 1;
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}
