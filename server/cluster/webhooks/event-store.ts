/**
 * The port to the webhook events of a cluster. The events of a user wait in the user's bucket. The engine writes them
 * together with the record (`Operation.steps`). The sender of a rule takes events that are due, and stores them as one
 * batch. An event that was taken and is in no batch yet is taken again, even by another sender.
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
  /** The users with a waiting event, if requested. */
  readonly users: readonly string[];
}

/** An event and its bucket. */
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
  /** Wall clock. */
  readonly formedAt: number;
  readonly attempts: number;
  readonly nextAt: number;
  /** Events of the batch. They are cleared from the buckets before the batch is sent. */
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
  /** Takes due events of one bucket. `afterMs`: due times that are later than this from now are corrected to it. */
  take(
    bucket: number,
    rule: string,
    options: { readonly limit: number; readonly afterMs: number; readonly wantsUsers: boolean },
  ): Promise<Taken>;
  /** Deletes taken events after their batch was stored. */
  clear(rule: string, events: readonly PlacedEvent[]): Promise<void>;
  /**
   * Creates events with the current state of these users, except for users with a waiting event. @returns one result for
   * each user.
   */
  restate(
    bucket: number,
    rule: string,
    users: readonly string[],
    options: RestateOptions,
  ): Promise<readonly StepResult[]>;
  counts(bucket: number, rules: readonly string[]): Promise<readonly BucketCounts[]>;

  /** Requests the right to be the only sender of a rule for a while. `over`: a holder that left or died. */
  claim(rule: string, sender: string, over?: string): Promise<Claim>;
  release(rule: string, sender: string): Promise<void>;
  /** Stores a batch and removes its replayed events. @returns false if another sender has the claim. */
  store(rule: string, sender: string, batch: StoredBatch, replayed: number): Promise<boolean>;
  /** Stores the attempts of a batch and when to try again. Its events may have been erased in the meantime. */
  postpone(rule: string, sender: string, batch: StoredBatch): Promise<void>;
  /** Removes the batch, and keeps the events in `dead` as dead events. */
  settle(rule: string, sender: string, batchId: string, dead: readonly string[], mostDead: number): Promise<void>;
  /** The first replayed events, as JSON. */
  replayed(rule: string, limit: number): Promise<readonly string[]>;
  /** Schedules the dead events of the rule to be sent again. @returns their number. */
  replay(rule: string): Promise<number>;
  /** Counts the events of a rule that are in no bucket. */
  batchCounts(rule: string): Promise<BatchCounts>;

  /** All rules with data in the store. */
  rules(): Promise<readonly string[]>;
  addRule(rule: string): Promise<void>;
  /** Deletes all data of a rule. */
  dropRule(rule: string): Promise<void>;
  /** The events of a user, in the order in which they are sent, as JSON; waiting ones last. */
  eventsOf(
    user: string,
    bucket: number,
    rule: string,
  ): Promise<{ readonly sent: readonly string[]; readonly waiting: readonly TakenEvent[] }>;
  eraseUser(user: string, bucket: number, rule: string): Promise<void>;
}
