/**
 * The port of the webhook events that a cluster keeps. The events of a user wait in the user's bucket, where the engine
 * puts them together with the record (`Operation.steps`). The sender of a rule takes those that are due, and stores them
 * as one batch. An event that was taken and is in no batch yet is taken again, also by another sender.
 */
import type { StepResult } from '../engine.ts';

export interface TakenEvent {
  readonly user: string;
  readonly id: string;
  readonly from: string;
  readonly status: string;
  readonly cause: string;
  /** `n v op t` and the entry, as in a record without sessions. */
  readonly record: string;
}

export interface Taken {
  readonly events: readonly TakenEvent[];
  /** Milliseconds until the next waiting event is due; undefined if none waits. */
  readonly nextInMs: number | undefined;
  /** The users with a waiting event, if they were asked for. */
  readonly users: readonly string[];
}

/** An event in its place. */
export interface PlacedEvent {
  readonly bucket: number;
  readonly user: string;
  readonly id: string;
}

/** Events that are sent together. */
export interface StoredBatch {
  readonly id: string;
  readonly body: string;
  readonly count: number;
  /** On the wall clock. */
  readonly formedAt: number;
  readonly attempts: number;
  readonly nextAt: number;
  /** The events that were taken for it. They are cleared before the batch is sent. */
  readonly taken: readonly PlacedEvent[];
}

export type Claim =
  | { readonly kind: 'granted'; readonly batch: StoredBatch | undefined; readonly replayed: number }
  | { readonly kind: 'refused'; readonly holder: string };

export interface BucketCounts {
  readonly waiting: number;
  readonly taken: number;
  /** For how long the oldest waiting event has been due, in milliseconds; negative before that. */
  readonly oldestForMs: number | undefined;
}

export interface BatchCounts {
  /** Events of the batch, and for how long it has been due. */
  readonly sent: number;
  readonly sentForMs: number | undefined;
  readonly replayed: number;
  readonly dead: number;
}

export interface RestateOptions {
  readonly op: string;
  readonly on: readonly string[];
  readonly afterMs: number;
  readonly most: number;
}

export interface EventStore {
  /** Takes due events of one bucket. None is due later than `afterMs` from now. */
  take(
    bucket: number,
    rule: string,
    options: { readonly limit: number; readonly afterMs: number; readonly wantsUsers: boolean },
  ): Promise<Taken>;
  /** Forgets taken events, because their batch is stored. */
  clear(rule: string, events: readonly PlacedEvent[]): Promise<void>;
  /**
   * Creates events with the current state of these users, except for users with a waiting event. @returns one result of each.
   */
  restate(
    bucket: number,
    rule: string,
    users: readonly string[],
    options: RestateOptions,
  ): Promise<readonly StepResult[]>;
  counts(bucket: number, rules: readonly string[]): Promise<readonly BucketCounts[]>;

  /**
   * Asks to be the only sender of a rule for a while. `over`: a holder that is known to be gone.
   */
  claim(rule: string, sender: string, over?: string): Promise<Claim>;
  release(rule: string, sender: string): Promise<void>;
  /** Stores a batch, and removes as many replayed events as it contains. @returns false if the sender has lost its claim. */
  store(rule: string, sender: string, batch: StoredBatch, replayed: number): Promise<boolean>;
  /** Removes the batch, and keeps its events as dead ones if there are any. */
  settle(rule: string, sender: string, batchId: string, dead: readonly string[], mostDead: number): Promise<void>;
  /** The first replayed events, as JSON. */
  replayed(rule: string, limit: number): Promise<readonly string[]>;
  /** Lets the dead events of the rule be sent again. @returns their number. */
  replay(rule: string): Promise<number>;
  /** What is not in a bucket. */
  batchCounts(rule: string): Promise<BatchCounts>;

  /** All rules of which something may be stored. */
  rules(): Promise<readonly string[]>;
  addRule(rule: string): Promise<void>;
  /** Deletes everything of a rule. */
  dropRule(rule: string): Promise<void>;
  /** The events of a user, in the order in which they are sent, as JSON; waiting ones last. */
  eventsOf(
    user: string,
    bucket: number,
    rule: string,
  ): Promise<{ readonly sent: readonly string[]; readonly waiting: readonly TakenEvent[] }>;
  eraseUser(user: string, bucket: number, rule: string): Promise<void>;
}
