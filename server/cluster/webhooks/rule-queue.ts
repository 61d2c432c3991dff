/**
 * What this node knows of the waiting events of a rule that it sends: in which buckets there may be some, and from when
 * on, and of which users. It hears of new events, so it need not ask.
 */
import type { StoredBatch } from './event-store.ts';

/**
 * How long a user is remembered at least after its event is gone from the store. It may be gone because the store lost
 * its data, and it takes a node about a second to notice that.
 */
const REMEMBERED_MS = 10_000;

export class RuleQueue {
  /** The batch on its way; undefined if there is none, or if this node has not looked yet. */
  batch: StoredBatch | undefined;
  /** Whether a batch may be stored that this node does not know of. */
  mayHaveBatch = true;
  /** The batch whose taken events are cleared. */
  clearedFor = '';
  isClaimed = false;
  /** A holder of the claim that is gone. */
  over = '';
  /** Replayed events, as the last claim said. */
  replayed = 0;
  /** By bucket, when to look for due events next, on the clock of this node. */
  readonly #looks = new Map<number, number>();
  /** Buckets whose waiting users are not known yet. */
  readonly #unknown = new Set<number>();
  /** Users with events that may be waiting, by bucket. They are reported again if the store loses the events. */
  readonly #users = new Map<number, Set<string>>();
  /** Users whose events are gone from the store, in two generations. The older one is forgotten as a whole. */
  #gone = new Set<string>();
  #goneBefore = new Set<string>();
  #turnsAtMs = -Infinity;

  constructor(buckets: number) {
    this.lookEverywhere(buckets);
  }

  /** Looks into all buckets, because events may have come that this node did not hear of. */
  lookEverywhere(buckets: number): void {
    for (let bucket = 0; bucket < buckets; bucket++) {
      this.#looks.set(bucket, -Infinity);
      this.#unknown.add(bucket);
    }
    this.mayHaveBatch = true;
  }

  lookAt(bucket: number, atMs: number): void {
    if (atMs < (this.#looks.get(bucket) ?? Infinity)) this.#looks.set(bucket, atMs);
  }

  heard(bucket: number, user: string): void {
    const users = this.#users.get(bucket);
    if (users === undefined) this.#users.set(bucket, new Set([user]));
    else users.add(user);
  }

  get nextLookMs(): number | undefined {
    let next = Infinity;
    for (const atMs of this.#looks.values()) if (atMs < next) next = atMs;
    return next === Infinity ? undefined : next;
  }

  /** Buckets that are due, the one that waits longest first. */
  due(nowMs: number): number[] {
    const due = [...this.#looks].filter(([, atMs]) => atMs <= nowMs).sort(([, a], [, b]) => a - b);
    return due.map(([bucket]) => bucket);
  }

  isUnknown(bucket: number): boolean {
    return this.#unknown.has(bucket);
  }

  /** Starts to look into a bucket. Events that are reported from now on require another look. */
  looking(bucket: number): void {
    this.#looks.delete(bucket);
  }

  /** A bucket was looked into. `nextMs`: when its next event is due; undefined if none waits. */
  looked(bucket: number, nextMs: number | undefined, users: readonly string[], nowMs: number): void {
    this.#unknown.delete(bucket);
    if (nextMs !== undefined) {
      this.lookAt(bucket, nextMs);
      for (const user of users) this.heard(bucket, user);
    } else if (!this.#looks.has(bucket)) {
      this.#forget(this.#users.get(bucket) ?? [], nowMs);
      this.#users.delete(bucket);
    }
  }

  /** The store has this batch; undefined for none. */
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
    yield* this.#gone;
    yield* this.#goneBefore;
  }

  #forget(users: Iterable<string>, nowMs: number): void {
    if (nowMs >= this.#turnsAtMs) {
      this.#goneBefore = nowMs < this.#turnsAtMs + REMEMBERED_MS ? this.#gone : new Set();
      this.#gone = new Set();
      this.#turnsAtMs = nowMs + REMEMBERED_MS;
    }
    for (const user of users) this.#gone.add(user);
  }
}
