/**
 * Decides which device labels an entry shows. An entry has at most `MAX_ENTRY_BYTES` (PROTOCOL.md section 1), because
 * every watcher is sent the whole entry at each change, and a user with many long labels would cost all of them. Pure.
 */
import { MAX_ENTRY_BYTES } from '../../../shared/limits.ts';

/** What the choice of labels needs of a session. */
interface Labelled {
  readonly device: string;
  readonly startedAt: number;
  readonly next: this | null;
}

/** The rest of the entry. */
interface Rest {
  readonly user: string;
  readonly status: string;
  readonly code: number;
  readonly text: string;
}

const utf8 = new TextEncoder();

/**
 * A time in milliseconds has 13 digits until the year 2286. All times count as this one, so that the list depends on no
 * time.
 */
const SOME_TIME = 1_000_000_000_000;
/** Maximum bytes of the field names, quotes and times of an entry, rounded up. */
const MOST_BYTES_OF_THE_FORM = 256;
/** One UTF-16 unit that JSON escapes. */
const MOST_BYTES_A_UNIT = 6;
const MOST_BYTES_AROUND_A_LABEL = 3;

/**
 * Returns the sorted labels that fit. They are taken in the order in which their newest session started (ties by
 * label), until one does not fit.
 */
export function labelsThatFit(first: Labelled, labels: readonly string[], rest: Rest): readonly string[] {
  if (first.next === null || fitForSure(labels, rest)) return labels;
  let size = sizeWithout(rest);
  const fitting: string[] = [];
  for (const label of inOrderOfStart(first, labels)) {
    size += bytesOf(label) + (fitting.length === 0 ? 0 : 1);
    if (size > MAX_ENTRY_BYTES) return fitting.sort();
    fitting.push(label);
  }
  return labels;
}

/** Saves the exact count for nearly every user. */
function fitForSure(labels: readonly string[], { user, text }: Rest): boolean {
  let most = MOST_BYTES_OF_THE_FORM + user.length + MOST_BYTES_A_UNIT * text.length;
  for (const label of labels) most += MOST_BYTES_AROUND_A_LABEL + MOST_BYTES_A_UNIT * label.length;
  return most <= MAX_ENTRY_BYTES;
}

function sizeWithout({ user, status, code, text }: Rest): number {
  const times = { since: SOME_TIME, lastSeen: SOME_TIME, v: SOME_TIME };
  return bytesOf({ user, status, code, ...times, devices: [], ...(text === '' ? {} : { text }) });
}

function inOrderOfStart(first: Labelled, labels: readonly string[]): string[] {
  const startOf = new Map<string, number>();
  for (let session: Labelled | null = first; session !== null; session = session.next) {
    const { device, startedAt } = session;
    startOf.set(device, Math.max(startOf.get(device) ?? 0, startedAt));
  }
  // The labels arrive sorted, and the sort keeps that order among sessions that started at the same time.
  return [...labels].sort((a, b) => (startOf.get(a) ?? 0) - (startOf.get(b) ?? 0));
}

function bytesOf(value: unknown): number {
  return utf8.encode(JSON.stringify(value)).length;
}
