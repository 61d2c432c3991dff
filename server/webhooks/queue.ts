/**
 * The durable queue of webhook events, as a port. For each rule and user at most one event waits; a later one takes its
 * place. For each rule at most one batch is on its way. It stays as it is until it is delivered or dead.
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
  /** Takes the place of the waiting event, whose `from` it inherits. */
  | { readonly kind: 'put'; readonly event: WebhookEvent }
  /** The user has left the statuses that the rule reports: the waiting event is dropped. */
  | { readonly kind: 'drop'; readonly rule: string; readonly user: string };

/** Events that are sent together, and again unchanged until they are delivered. */
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
  /** Events that wait or are on their way. */
  readonly queued: number;
  readonly dead: number;
}

/** What became of events of a rule: their place was taken or they were not wanted any more, or there was no room. */
export interface Applied {
  replaced: number;
  dropped: number;
}

type Awaitable<T> = T | Promise<T>;

/**
 * What senders and operators need of the queue. Answers at once, or later if it is not on this machine. Every method
 * throws if storage fails, and has then changed nothing.
 */
export interface EventQueue {
  /** The batch of the rule that is on its way. */
  batchOf(rule: string): Awaitable<Batch | undefined>;
  /**
   * Turns waiting events that are due into the batch of the rule: replayed ones first, then the oldest. Leaves out users
   * for whom `isHeld` is true. Returns undefined if no event is due. The rule must have no batch.
   */
  formBatch(
    rule: string,
    nowMs: number,
    isHeld: (user: string) => boolean,
    toBody: (events: readonly string[]) => Pick<Batch, 'id' | 'body'>,
  ): Awaitable<Batch | undefined>;
  /** Lets no event of the rule be due later than this: the wall clock may have been set back, or a rule changed. */
  bringForward(rule: string, dueBy: number): Awaitable<void>;
  /** When the next waiting event of the rule is due; undefined if none waits. */
  nextDueAt(rule: string): Awaitable<number | undefined>;
  /** When the event of the rule that waits longest, in its batch or not, is or was due; undefined if none waits. */
  oldestDueAt(rule: string): Awaitable<number | undefined>;
  /** Removes the batch, because it was delivered. */
  delivered(rule: string): Awaitable<void>;
  /** Notes a failed attempt. */
  retry(rule: string, attempts: number, nextAt: number): Awaitable<void>;
  /** Moves the events of the batch to the dead ones. */
  bury(rule: string, nowMs: number): Awaitable<void>;
  /** Lets the dead events of the rule be sent again. @returns their number. */
  replay(rule: string): Awaitable<number>;
  counts(): Awaitable<ReadonlyMap<string, QueueCounts>>;
  /** Deletes everything of rules that are not listed. @returns how many events that were. */
  keepOnly(rules: readonly string[]): Awaitable<number>;
  /** The events of a user as JSON: those that wait, are on their way, or are dead. */
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
   * Applies the steps. Must be called in the transaction that stores the entries of their users. An event of one more
   * user than may wait is dropped. @returns what became of other events, by rule.
   */
  apply(steps: readonly QueueStep[], nowMs: number): ReadonlyMap<string, Applied>;
};

/** The event as it is sent. */
export function eventJson({ id, rule, at, from, cause, entry }: WebhookEvent): string {
  return `{"id":"${id}","rule":"${rule}","at":${at},"from":"${from}","cause":"${cause}","entry":${entry}}`;
}
