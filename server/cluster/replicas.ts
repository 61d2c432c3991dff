/**
 * The records that this node holds, because it has a session or a watcher of the user, and what it reported of each.
 * Reports a change once, and nothing while the node is cut off or recovers.
 */
import { bucketOf } from './bucket.ts';
import type { Stored } from './engine.ts';
import { decodeRecord, ERASED_MARK, isErased, type SharedSession, type UserRecord } from './record/record.ts';

/** Reports a record that changed. `isShown`: others see the change, as version `v`. */
export type Report = (user: string, record: UserRecord, v: number, isShown: boolean) => void;

/** How many are remembered of a user: as many as may change while an operation is on its way. */
const MOST_STAMPS = 8;
const MOST_OTHERS = 64;

export class Replica {
  readonly user: string;
  readonly bucket: number;
  /** Undefined if the engine holds none, or before the first read. */
  record: UserRecord | undefined;
  isKnown = false;
  /** A stamp that no start and no "set last" of the records seen by then reaches. The latest is last. */
  readonly #stamps: { readonly atMs: number; readonly latest: number }[] = [];
  readonly #others = new Set<string>();
  #written: { readonly inc: string; readonly n: number; readonly part: readonly SharedSession[] } = {
    inc: '',
    n: 0,
    part: [],
  };
  /** What was reported last. */
  toldV = 0;
  told: UserRecord | undefined;
  /** The `n` of the last erasure that ended the sessions here, or came before all of them. */
  #erasedAt = 0;

  constructor(user: string, bucket: number) {
    this.user = user;
    this.bucket = bucket;
  }

  /** The largest stamp of "set last" that was seen before. */
  latestBefore(atMs: number): number {
    return this.#stamps.findLast((seen) => seen.atMs <= atMs)?.latest ?? 0;
  }

  /** All stamps of a record are below its `n`, so a message without sessions tells enough. */
  noteStamps(nowMs: number): void {
    const latest = 64 * (this.record?.n ?? 0);
    if (latest <= (this.#stamps.at(-1)?.latest ?? 0)) return;
    this.#stamps.push({ atMs: nowMs, latest });
    if (this.#stamps.length > MOST_STAMPS) this.#stamps.shift();
  }

  /** The sessions that an incarnation wrote last. */
  writtenBy(inc: string): readonly SharedSession[] {
    return this.#written.inc === inc ? this.#written.part : [];
  }

  /** When it did: the `n` of the last record that held them. */
  writtenAt(inc: string): number {
    return this.#written.inc === inc ? this.#written.n : 0;
  }

  noteWritten(inc: string): void {
    const part = this.record?.parts?.[inc];
    if (part !== undefined) this.#written = { inc, n: this.record?.n ?? 0, part };
  }

  /** Whether a session of another node is seen for the first time. */
  isNew(inc: string, k: string): boolean {
    const id = `${inc}.${k}`;
    if (this.#others.has(id)) return false;
    if (this.#others.size >= MOST_OTHERS) this.#others.clear();
    this.#others.add(id);
    return true;
  }

  /** Takes over what the engine holds now. */
  take(stored: Stored | undefined): void {
    this.record = stored === undefined ? undefined : decodeRecord(stored);
    // A session that began before anything was known of the user here is that of a user that returns.
    if (!this.isKnown && this.record !== undefined && isErased(this.record)) this.#erasedAt = this.record.n;
    this.isKnown = true;
  }

  /** Whether the user was erased, and its sessions here have not ended for that yet. Only the first call says so. */
  takeErasure(): boolean {
    const { record } = this;
    if (record === undefined || !isErased(record) || record.n <= this.#erasedAt) return false;
    this.#erasedAt = record.n;
    return true;
  }

  /** What the engine lost, if it held it when it was reported. That a user was erased is forgotten after a while. */
  get lost(): UserRecord | undefined {
    return this.told === undefined || isErased(this.told) ? undefined : this.told;
  }

  /** Whether the engine lost a record that was reported. */
  get isLost(): boolean {
    return this.isKnown && this.record === undefined && this.toldV > 0 && this.lost !== undefined;
  }
}

export class Replicas {
  readonly #buckets: number;
  readonly #epochOf: (bucket: number) => number;
  readonly #report: Report;
  readonly #onRecord: (replica: Replica) => void;
  readonly #byUser = new Map<string, Replica>();
  readonly #byBucket: Set<Replica>[];
  /** False while nothing may be reported. */
  #isTelling = false;
  /** The largest `n` of an erasure that this node has seen. */
  erasedAt = 0;

  constructor(
    buckets: number,
    epochOf: (bucket: number) => number,
    report: Report,
    onRecord: (replica: Replica) => void,
  ) {
    this.#onRecord = onRecord;
    this.#buckets = buckets;
    this.#epochOf = epochOf;
    this.#report = report;
    this.#byBucket = Array.from({ length: buckets }, () => new Set());
  }

  get(user: string): Replica | undefined {
    return this.#byUser.get(user);
  }

  acquire(user: string): Replica {
    const held = this.#byUser.get(user);
    if (held !== undefined) return held;
    const replica = new Replica(user, bucketOf(user, this.#buckets));
    this.#byUser.set(user, replica);
    this.#byBucket[replica.bucket]?.add(replica);
    return replica;
  }

  release(user: string): void {
    const replica = this.#byUser.get(user);
    if (replica === undefined) return;
    this.#byUser.delete(user);
    this.#byBucket[replica.bucket]?.delete(replica);
  }

  /** Those of one bucket. */
  of(bucket: number): Replica[] {
    return [...(this.#byBucket[bucket] ?? [])];
  }

  all(): Iterable<Replica> {
    return this.#byUser.values();
  }

  /** Takes over a newer record, or what a message left out of the present one. */
  adopt(replica: Replica, stored: Stored, nowMs: number): void {
    const { n = 0, parts = null } = replica.record ?? {};
    if (replica.isKnown && (stored.n < n || (stored.n === n && parts !== null))) return;
    this.replace(replica, stored, nowMs);
  }

  /** Takes over what was heard, or read for the first time. Undefined: the engine holds none. */
  heard(replica: Replica, stored: Stored | undefined, nowMs: number): void {
    if (stored !== undefined) this.adopt(replica, stored, nowMs);
    else if (!replica.isKnown) this.replace(replica, undefined, nowMs);
  }

  /** Takes over what the engine holds now, even if it is older. */
  replace(replica: Replica, stored: Stored | undefined, nowMs: number): void {
    replica.take(stored);
    if (stored !== undefined) this.noteErasure(stored);
    replica.noteStamps(nowMs);
    this.#onRecord(replica);
    this.tell(replica);
  }

  /** Notes an operation of any user, in case it is an erasure. */
  noteErasure({ n, body }: Stored): void {
    if (n > this.erasedAt && body.includes(ERASED_MARK)) this.erasedAt = n;
  }

  /**
   * The version that others see: above all that may have been reported before the bucket's epoch. An erased user was
   * never seen.
   */
  versionOf(replica: Replica): number {
    return replica.record !== undefined && isErased(replica.record) ? 0 : this.#reportedV(replica);
  }

  /** Like `versionOf`, for those who were shown the user before. */
  #reportedV({ bucket, record }: Replica): number {
    return record === undefined || record.v === 0 ? 0 : Math.max(record.v, this.#epochOf(bucket));
  }

  tell(replica: Replica): void {
    const { record, told } = replica;
    if (!this.#isTelling || record === undefined) return;
    const v = this.#reportedV(replica);
    const isShown = v > replica.toldV;
    if (!isShown && record.n <= (told?.n ?? 0)) return;
    if (isShown) replica.toldV = v;
    replica.told = record;
    this.#report(replica.user, record, replica.toldV, isShown);
  }

  stopTelling(): void {
    this.#isTelling = false;
  }

  /** Reports whatever differs from what was reported last. */
  resumeTelling(): void {
    this.#isTelling = true;
    for (const replica of this.#byUser.values()) this.tell(replica);
  }
}
