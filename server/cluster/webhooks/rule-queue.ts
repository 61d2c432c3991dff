/**
 * What this node knows about the waiting events of a rule that it sends: which buckets may have some, when they are due,
 * and which users they are about. It receives the operations that create events, so it need not poll the buckets.
 */
import type { StoredBatch } from './event-store.ts';

/**
 * Minimum time for which a user is remembered after its event disappeared from the store. The reason may be that the store
 * lost its data, and it takes a node about a second to notice that.
 */
const REMEMBERED_MS = 10_000;

export class RuleQueue {
  /** The batch that is being sent. Undefined if there is none, or if this node has not checked yet. */
  batch: StoredBatch | undefined;
  /** Whether the store may have a batch that this node does not know. */
  mayHaveBatch = true;
  /** Id of the batch whose taken events are cleared. */
  clearedFor = '';
  isClaimed = false;
  /** A holder of the claim that left or died. */
  endedHolder = '';
  /** Number of replayed events at the last claim. */
  replayed = 0;
  /** When to search each bucket for due events next, on the clock of this node. */
  readonly #scans = new Map<number, number>();
  /** Buckets whose waiting users are not known yet. */
  readonly #unknown = new Set<number>();
  /** Users with events that may be waiting, by bucket. Their state is sent again if the store loses the events. */
  readonly #users = new Map<number, Set<string>>();
  /** Users whose events disappeared from the store, in two generations. The older one is dropped as a whole. */
  #remembered = new Set<string>();
  #olderRemembered = new Set<string>();
  #rotatesAtMs = -Infinity;

  constructor(buckets: number) {
    this.scanAll(buckets);
  }

  /** Schedules a search of all buckets, because events may have been created that this node did not receive. */
  scanAll(buckets: number): void {
    for (let bucket = 0; bucket < buckets; bucket++) {
      this.#scans.set(bucket, -Infinity);
      this.#unknown.add(bucket);
    }
    this.mayHaveBatch = true;
  }

  scheduleScan(bucket: number, atMs: number): void {
    if (atMs < (this.#scans.get(bucket) ?? Infinity)) this.#scans.set(bucket, atMs);
  }

  addUser(bucket: number, user: string): void {
    const users = this.#users.get(bucket);
    if (users === undefined) this.#users.set(bucket, new Set([user]));
    else users.add(user);
  }

  get nextScanMs(): number | undefined {
    let next = Infinity;
    for (const atMs of this.#scans.values()) if (atMs < next) next = atMs;
    return next === Infinity ? undefined : next;
  }

  /** Buckets that are due, the one that waits longest first. */
  due(nowMs: number): number[] {
    const due = [...this.#scans].filter(([, atMs]) => atMs <= nowMs).sort(([, a], [, b]) => a - b);
    return due.map(([bucket]) => bucket);
  }

  isUnknown(bucket: number): boolean {
    return this.#unknown.has(bucket);
  }

  /** Records the start of a search. Events that arrive from now on require another one. */
  beginScan(bucket: number): void {
    this.#scans.delete(bucket);
  }

  /** Records the result of a search. `nextMs`: when the next event of the bucket is due; undefined if none waits. */
  endScan(bucket: number, nextMs: number | undefined, users: readonly string[], nowMs: number): void {
    this.#unknown.delete(bucket);
    if (nextMs !== undefined) {
      this.scheduleScan(bucket, nextMs);
      for (const user of users) this.addUser(bucket, user);
    } else if (!this.#scans.has(bucket)) {
      this.#forget(this.#users.get(bucket) ?? [], nowMs);
      this.#users.delete(bucket);
    }
  }

  /** Records the batch in the store; undefined if there is none. */
  foundBatch(batch: StoredBatch | undefined, nowMs: number): void {
    if (this.batch !== undefined && this.batch.id !== batch?.id) {
      const users = this.batch.taken.map(({ user }) => user);
      this.#forget(users, nowMs);
    }
    this.batch = batch;
    this.mayHaveBatch = false;
  }

  /** All users with events that may be in the store, or were until a moment ago. */
  *users(): Generator<string> {
    for (const users of this.#users.values()) yield* users;
    for (const { user } of this.batch?.taken ?? []) yield user;
    yield* this.#remembered;
    yield* this.#olderRemembered;
  }

  #forget(users: Iterable<string>, nowMs: number): void {
    if (nowMs >= this.#rotatesAtMs) {
      this.#olderRemembered = nowMs < this.#rotatesAtMs + REMEMBERED_MS ? this.#remembered : new Set();
      this.#remembered = new Set();
      this.#rotatesAtMs = nowMs + REMEMBERED_MS;
    }
    for (const user of users) this.#remembered.add(user);
  }
}
