/**
 * A user's record: its sessions on all nodes, and the entry that they fold to. Encodes it as the body that the engine
 * keeps, and decodes it. Pure. Records are validated like input of a client, because a foreign program may write them.
 *
 * Instants: `since` and `lastSeen` travel as ages, because the clocks of nodes do not agree. A number up to 0 in a body
 * is relative to the time of the engine at the operation. The next writer makes it absolute.
 */
import { z } from 'zod';
import { adapterNames } from '../../../shared/messages/explain.ts';
import type { UserStatus } from '../../../shared/status.ts';
import type { Frozen } from '../../presence/blocks.ts';
import type { Stamp, Stored } from '../engine.ts';

const time = z.number().int();
const label = z.string().max(64);
const text = z.string().max(140);

const sessionForm = z.object({
  /** Unique within its incarnation. */
  k: z.string().max(16),
  a: z.enum(adapterNames),
  d: label,
  s: z.enum(['online', 'away', 'busy', 'invisible']),
  c: z.number().int(),
  x: text,
  /** When status and text were set, on the bucket's clock, in 1/64 ms; 0: never. */
  S: z.number().nonnegative(),
  X: z.number().nonnegative(),
  /** The node's own numbers of these two. */
  i: z.number().int(),
  j: z.number().int(),
  /** Start, and lease in milliseconds. */
  b: time,
  l: z.number().positive(),
});
const partsForm = z.record(z.string().max(64), z.array(sessionForm).max(10_000));
const entryForm = z.object({
  s: z.enum(['online', 'away', 'busy', 'offline']),
  c: z.number().int(),
  d: z.array(label).max(10_000),
  x: text,
  /** Since; null: never seen. */
  t: time.nullable(),
  /** Last seen: the larger of an instant and an age. */
  l: time.nullable(),
  g: time.nullable(),
  /** Origin: the cause of the last transition, and its session. */
  o: z.string().max(160).default(''),
  /** Blocks: the since, last seen and version that each blocked viewer sees. */
  h: z.record(z.string().max(128), z.tuple([time.nullable(), time.nullable(), time])).default({}),
});

export type SharedSession = z.infer<typeof sessionForm>;
export type Parts = Readonly<Record<string, readonly SharedSession[]>>;

/** The entry that others see, without `v`. */
export interface PublicEntry {
  readonly status: UserStatus;
  readonly code: number;
  readonly devices: readonly string[];
  readonly text: string;
  readonly since: number | null;
  readonly lastSeen: number | null;
}

export interface UserRecord extends Stamp {
  readonly entry: PublicEntry;
  readonly origin: string;
  /** The entry that each blocked viewer sees. */
  readonly hidden: ReadonlyMap<string, Frozen>;
  /** By incarnation. Null if the message did not contain them. */
  readonly parts: Parts | null;
}

/** The origin of a record that says only that its user was erased. */
const ERASED = 'erased';
/** How that looks in the text of a body. No text of a client can contain it, because quotes in it are escaped. */
export const ERASED_MARK = `"o":"${ERASED}"`;

/** Whether the user was erased and has not returned since. To others, the user was never seen. */
export function isErased({ origin, entry }: UserRecord): boolean {
  return origin === ERASED && entry.status === 'offline';
}

/** The origin for the next record of the user. One that returns after its erasure is not an erased one. */
export function inheritedOrigin(record: UserRecord | undefined): string {
  return record === undefined || isErased(record) ? '' : record.origin;
}

/** The body of a record that says only that its user was erased. */
export function encodeErased(code: number): string {
  const never = { status: 'offline', code, devices: [], text: '', since: null, lastSeen: null, sign: null } as const;
  return encodeBody(encodeEntry({ ...never, origin: ERASED, hidden: new Map<string, Frozen>() }), {});
}

/** An entry before it is stamped. */
export interface NewEntry extends Omit<PublicEntry, 'since' | 'lastSeen'> {
  /** An instant, or an age as a number up to 0. */
  readonly since: number | null;
  readonly lastSeen: number | null;
  /** A sign of life, as an age up to 0; null: none. */
  readonly sign: number | null;
  readonly origin: string;
  readonly hidden: ReadonlyMap<string, Frozen>;
}

/** Stands for the `n` of the operation that writes the frozen entry. */
export const VERSION_OF_OPERATION = -1;

export function encodeEntry(entry: NewEntry): string {
  const { status, code, devices, text: x, since, lastSeen, sign, origin, hidden } = entry;
  const h: Record<string, [number | null, number | null, number]> = {};
  for (const [viewer, frozen] of hidden) h[viewer] = [frozen.since, frozen.lastSeen, frozen.v];
  const blocks = hidden.size === 0 ? {} : { h };
  return JSON.stringify({ s: status, c: code, d: devices, x, t: since, l: lastSeen, g: sign, o: origin, ...blocks });
}

export function encodeBody(entry: string, parts: Parts): string {
  return `${entry}\t${JSON.stringify(parts)}`;
}

/** Replaces an invalid body. Nodes with sessions of the user write them again. */
const UNREADABLE: PublicEntry = { status: 'offline', code: -1, devices: [], text: '', since: null, lastSeen: null };

export function decodeRecord(stored: Stored): UserRecord {
  const [entryText = '', partsText] = stored.body.split('\t');
  try {
    const { s, c, d, x, t, l, g, o, h } = entryForm.parse(JSON.parse(entryText));
    const parts = partsText === undefined ? null : partsForm.parse(JSON.parse(partsText));
    const at = (value: number | null): number | null => (value !== null && value <= 0 ? stored.t + value : value);
    const sign = at(g);
    const lastSeen = l === null || sign === null ? (l ?? sign) : Math.max(l, sign);
    const entry = { status: s, code: c, devices: d, text: x, since: at(t), lastSeen };
    const hidden = new Map<string, Frozen>();
    for (const [viewer, [from, seen, v]] of Object.entries(h)) {
      const frozenV = v === VERSION_OF_OPERATION ? stored.n : v;
      hidden.set(viewer, { since: at(from), lastSeen: at(seen), v: frozenV });
    }
    return { n: stored.n, v: stored.v, op: stored.op, t: stored.t, entry, origin: o, hidden, parts };
  } catch {
    const { n, v, op, t } = stored;
    return { n, v, op, t, entry: UNREADABLE, origin: '', hidden: new Map<string, Frozen>(), parts: {} };
  }
}
