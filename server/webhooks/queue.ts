/**
 * The port to the durable queue of webhook events. For each rule and user at most one event waits; a later one replaces it.
 * For each rule at most one batch is being sent. A batch does not change until it is delivered or dead.
 */
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../shared/status.ts';

export interface WebhookEvent {
  readonly id: string;
  readonly rule: string;
  readonly user: string;
  /** When the entry changed, on the wall clock. */
  readonly at: number;
  readonly from: UserStatus;
  readonly status: UserStatus;
  readonly cause: ShownCause;
  /** The entry as JSON. */
  readonly entry: string;
  /** When it may be sent, on the wall clock. */
  readonly dueAt: number;
}

/** A step of the queue for one rule and user. */
export type QueueStep =
  /** Replaces the waiting event and inherits its `from`. */
  | { readonly kind: 'put'; readonly event: WebhookEvent }
  /** Drops the waiting event, because the rule does not report the new status. */
  | { readonly kind: 'drop'; readonly rule: string; readonly user: string };

/** Events that are sent together. Each attempt sends the same body. */
export interface Batch {
  /** The `webhook-id` header, the same in each attempt. */
  readonly id: string;
  readonly body: string;
  readonly count: number;
  /** When it was formed, on the wall clock. */
  readonly formedAt: number;
  readonly attempts: number;
  /** When the next attempt is due, on the wall clock. */
  readonly nextAt: number;
}

export interface QueueCounts {
  /** Events that wait or are being sent. */
  readonly queued: number;
  readonly dead: number;
}

/** Numbers of events that were replaced or no longer wanted, and of events beyond the maximum. */
export interface Applied {
  replaced: number;
  dropped: number;
}

type Awaitable<T> = T | Promise<T>;

/**
 * The queue for senders and operators. Answers at once, or with a promise if it is not on this machine. If storage fails,
 * every method throws and changes nothing.
 */
export interface EventQueue {
  /** The batch of the rule that is being sent. */
  batchOf(rule: string): Awaitable<Batch | undefined>;
  /**
   * Turns waiting events that are due into the batch of the rule: replayed ones first, then the oldest. Leaves out users
   * for which `isHeld` is true. Returns undefined if no event is due. The rule must have no batch.
   */
  formBatch(
    rule: string,
    nowMs: number,
    isHeld: (user: string) => boolean,
    toBody: (events: readonly string[]) => Pick<Batch, 'id' | 'body'>,
  ): Awaitable<Batch | undefined>;
  /** Limits the due times of a rule to `dueBy`, because the wall clock may have been set back or the rule changed. */
  bringForward(rule: string, dueBy: number): Awaitable<void>;
  /** When the next waiting event of the rule is due; undefined if none waits. */
  nextDueAt(rule: string): Awaitable<number | undefined>;
  /** When the event of the rule that waits longest, in its batch or not, is or was due; undefined if none waits. */
  oldestDueAt(rule: string): Awaitable<number | undefined>;
  /** Removes the batch, because it was delivered. */
  delivered(rule: string): Awaitable<void>;
  /** Records a failed attempt. */
  retry(rule: string, attempts: number, nextAt: number): Awaitable<void>;
  /** Turns the events of the batch into dead events. */
  markDead(rule: string, nowMs: number): Awaitable<void>;
  /** Schedules the dead events of the rule to be sent again. @returns their number. */
  replay(rule: string): Awaitable<number>;
  counts(): Awaitable<ReadonlyMap<string, QueueCounts>>;
  /** Deletes all events of rules that are not listed. @returns their number. */
  keepOnly(rules: readonly string[]): Awaitable<number>;
  /** The waiting, sending and dead events of a user, as JSON. */
  eventsOf(user: string): Awaitable<readonly string[]>;
  /** Deletes everything about a user. */
  eraseUser(user: string): Awaitable<void>;
}

/** The queue in the storage of this hub, which answers at once. */
export type WebhookQueue = {
  [Name in keyof EventQueue]: (
    ...args: Parameters<EventQueue[Name]>
  ) => Exclude<ReturnType<EventQueue[Name]>, Promise<unknown>>;
} & {
  /**
   * Applies the steps. Must be called in the transaction that stores the entries of their users. Drops events beyond the
   * maximum. @returns the numbers of affected events by rule.
   */
  apply(steps: readonly QueueStep[], nowMs: number): ReadonlyMap<string, Applied>;
};

/** The event in the JSON form that is sent. */
export function eventJson({ id, rule, at, from, cause, entry }: WebhookEvent): string {
  return `{"id":"${id}","rule":"${rule}","at":${at},"from":"${from}","cause":"${cause}","entry":${entry}}`;
}
