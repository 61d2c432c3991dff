/**
 * The records of users with a session or a watcher on this node, and the last report about each. Reports a change once,
 * and nothing while the node is cut off or recovers.
 */
import { bucketOf } from './bucket.ts';
import type { Chain } from './chain.ts';
import type { Stored } from './engine.ts';
import {
  decodeRecord,
  encodeErased,
  ERASED_MARK,
  isErased,
  type SharedSession,
  type UserRecord,
} from './record/record.ts';

/** Receives a changed record. `isShown`: others see the change, as version `v`. */
export type Report = (user: string, record: UserRecord, v: number, isShown: boolean) => void;

/** Maximum stamps of a user that are remembered: more than may change while an operation is in flight. */
const MAX_STAMPS = 8;
const MAX_OTHERS = 64;

export class Replica {
  readonly user: string;
  readonly bucket: number;
  /** Undefined if the engine holds none, or before the first read. */
  record: UserRecord | undefined;
  isKnown = false;
  /** Upper bounds of all starts and "set last" stamps in the records that were seen by then, in ascending order. */
  readonly #stamps: { readonly atMs: number; readonly latest: number }[] = [];
  readonly #others = new Set<string>();
  #written: { readonly inc: string; readonly n: number; readonly part: readonly SharedSession[] } = {
    inc: '',
    n: 0,
    part: [],
  };
  /** The last report. */
  reportedV = 0;
  reported: UserRecord | undefined;
  /** The `n` of the last erasure that ended the sessions here, or came before all of them. */
  #erasedAt = 0;

  constructor(user: string, bucket: number) {
    this.user = user;
    this.bucket = bucket;
  }

  /** An upper bound of the "set last" stamps that were seen before. */
  latestBefore(atMs: number): number {
    return this.#stamps.findLast((seen) => seen.atMs <= atMs)?.latest ?? 0;
  }

  /** All stamps of a record are below its `n`, so a message without sessions is sufficient. */
  noteStamps(nowMs: number): void {
    const latest = 64 * (this.record?.n ?? 0);
    if (latest <= (this.#stamps.at(-1)?.latest ?? 0)) return;
    this.#stamps.push({ atMs: nowMs, latest });
    if (this.#stamps.length > MAX_STAMPS) this.#stamps.shift();
  }

  /** The sessions that an incarnation wrote last. */
  writtenBy(inc: string): readonly SharedSession[] {
    return this.#written.inc === inc ? this.#written.part : [];
  }

  /** The `n` of the last record that held these sessions. */
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
    if (this.#others.size >= MAX_OTHERS) this.#others.clear();
    this.#others.add(id);
    return true;
  }

  /** Takes over the present state of the engine. */
  take(stored: Stored | undefined): void {
    this.record = stored === undefined ? undefined : decodeRecord(stored);
    // A session that began before the first read belongs to a user that returned after the erasure.
    if (!this.isKnown && this.record !== undefined && isErased(this.record)) this.#erasedAt = this.record.n;
    this.isKnown = true;
  }

  /** Whether the user was erased, and its sessions here have not ended because of that yet. True only at the first call. */
  takeErasure(): boolean {
    const { record } = this;
    if (record === undefined || !isErased(record) || record.n <= this.#erasedAt) return false;
    this.#erasedAt = record.n;
    return true;
  }

  /** The record that the engine lost, if it has none now. Undefined if the user was erased. */
  get lost(): UserRecord | undefined {
    const isErasure = [this.record, this.reported].some((record) => record !== undefined && isErased(record));
    return isErasure ? undefined : this.reported;
  }

  /** Whether the engine lost a record that was reported. */
  get isLost(): boolean {
    return this.isKnown && this.record === undefined && this.reportedV > 0 && this.lost !== undefined;
  }
}

export class Replicas {
  readonly #buckets: number;
  readonly #chainOf: (bucket: number) => Pick<Chain, 'epoch' | 'clock'>;
  readonly #onReport: Report;
  readonly #onRecord: (replica: Replica) => void;
  readonly #byUser = new Map<string, Replica>();
  readonly #byBucket: Set<Replica>[];
  #isReporting = false;
  /** The largest `n` of an erasure that this node has seen. */
  erasedAt = 0;

  constructor(
    buckets: number,
    chainOf: (bucket: number) => Pick<Chain, 'epoch' | 'clock'>,
    report: Report,
    onRecord: (replica: Replica) => void,
  ) {
    this.#onRecord = onRecord;
    this.#buckets = buckets;
    this.#chainOf = chainOf;
    this.#onReport = report;
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

  /** The replicas of one bucket. */
  of(bucket: number): Replica[] {
    return [...(this.#byBucket[bucket] ?? [])];
  }

  all(): Iterable<Replica> {
    return this.#byUser.values();
  }

  /** Takes over a newer record, or the sessions of the present one if a message left them out. */
  adopt(replica: Replica, stored: Stored, nowMs: number): void {
    const { n = 0, parts = null } = replica.record ?? {};
    if (replica.isKnown && (stored.n < n || (stored.n === n && parts !== null))) return;
    this.replace(replica, stored, nowMs);
  }

  /** Takes over a record from a message or a first read. Undefined: the engine has none. */
  receive(replica: Replica, stored: Stored | undefined, nowMs: number): void {
    if (stored !== undefined) this.adopt(replica, stored, nowMs);
    else if (!replica.isKnown) this.replace(replica, undefined, nowMs);
  }

  /** Takes over the present state of the engine, even if it is older. */
  replace(replica: Replica, stored: Stored | undefined, nowMs: number): void {
    const taken = stored ?? this.#erasedMeanwhile(replica);
    replica.take(taken);
    if (taken !== undefined) this.noteErasure(taken);
    replica.noteStamps(nowMs);
    this.#onRecord(replica);
    this.report(replica);
  }

  /**
   * The record of a user that was erased while this node was stopped or cut off. The engine has deleted it since. If it had
   * lost the record instead, an epoch above it would have begun.
   */
  #erasedMeanwhile({ bucket, lost }: Replica): Stored | undefined {
    const { epoch, clock: n } = this.#chainOf(bucket);
    if (lost === undefined || epoch > lost.n) return undefined;
    return { n, v: lost.v === 0 ? 0 : n, op: '-', t: n, body: encodeErased(lost.entry.code) };
  }

  /** Records an operation of any user if it is an erasure. */
  noteErasure({ n, body }: Stored): void {
    if (n > this.erasedAt && body.includes(ERASED_MARK)) this.erasedAt = n;
  }

  /**
   * The version that others see. At least the bucket's epoch, so that it is larger than all reported before the epoch.
   * 0 for an erased user, like for one that was never seen.
   */
  versionOf(replica: Replica): number {
    return replica.record !== undefined && isErased(replica.record) ? 0 : this.#shownV(replica);
  }

  /** Like `versionOf`, for viewers that were shown the user before. */
  #shownV({ bucket, record }: Replica): number {
    return record === undefined || record.v === 0 ? 0 : Math.max(record.v, this.#chainOf(bucket).epoch);
  }

  /** Reports the record if it is newer than the last report. */
  report(replica: Replica): void {
    const { record, reported } = replica;
    if (!this.#isReporting || record === undefined) return;
    const v = this.#shownV(replica);
    const isShown = v > replica.reportedV;
    if (!isShown && record.n <= (reported?.n ?? 0)) return;
    if (isShown) replica.reportedV = v;
    replica.reported = record;
    this.#onReport(replica.user, record, replica.reportedV, isShown);
  }

  pauseReports(): void {
    this.#isReporting = false;
  }

  /** Reports all differences from the last reports. */
  resumeReports(): void {
    this.#isReporting = true;
    for (const replica of this.#byUser.values()) this.report(replica);
  }
}
