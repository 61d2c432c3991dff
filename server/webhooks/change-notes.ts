/**
 * Collects changes of entries on a hub without a cluster, and writes them to the durable queue before watchers receive
 * them, in the transaction that stores the entries of their users. Must not know how events are sent.
 */
import { randomUUID } from 'node:crypto';
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import { REPORT_EVERY_MS } from '../../shared/limits.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { Applied, QueueStep, WebhookQueue } from './queue.ts';
import type { Rule } from './rules.ts';

/** A change of an entry, as others may see it. */
export interface ShownChange {
  readonly user: string;
  readonly from: UserStatus;
  readonly to: UserStatus;
  readonly cause: ShownCause;
  /** Wall clock. */
  readonly at: number;
}

export interface ChangeNotesOptions {
  readonly queue: WebhookQueue;
  readonly rules: () => Iterable<Rule>;
  /** Stores the pending changes with the entries of their users, through `storePending`. Never throws. */
  readonly requestStore: () => void;
  /** The current entry as a stranger with the scope `observe` sees it, as JSON. */
  readonly entryOf: (user: string) => string;
  /** Wall clock, in milliseconds. */
  readonly now: () => number;
  /** Receives the numbers of replaced and dropped events of a rule. */
  readonly onApplied: (rule: string, applied: Applied) => void;
  /** Called when changes of a rule are in the queue. */
  readonly onStored: (rule: string) => void;
}

export class ChangeNotes {
  readonly #options: ChangeNotesOptions;
  /** By rule, the latest change of each user that is not in the queue yet. */
  readonly #pending = new Map<Rule, Map<string, ShownChange>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChangeNotesOptions) {
    this.#options = options;
  }

  /** Adds a change. @returns whether a rule wants it. */
  changed(change: ShownChange): boolean {
    let isWanted = false;
    for (const rule of this.#options.rules()) {
      if (rule.events === 'status' && change.from === change.to) continue;
      if (!rule.includesUser(change.user)) continue;
      let pending = this.#pending.get(rule);
      if (pending === undefined) this.#pending.set(rule, (pending = new Map<string, ShownChange>()));
      const earlier = pending.get(change.user);
      pending.set(change.user, earlier === undefined ? change : { ...change, from: earlier.from });
      // If nobody watches the user, nothing else requests to store it.
      this.#timer ??= setTimeout(this.#store, REPORT_EVERY_MS);
      isWanted = true;
    }
    return isWanted;
  }

  /**
   * Writes the pending changes to the queue, in the transaction that stores the entries of their users. Otherwise a crash
   * between the two would lose one of them. `pendingStored` must follow. @throws errors of the queue.
   */
  storePending(): void {
    const { queue, now, onApplied } = this.#options;
    const steps: QueueStep[] = [];
    for (const [rule, pending] of this.#pending) {
      for (const change of pending.values()) {
        const step = this.#stepOf(rule, change);
        if (step !== undefined) steps.push(step);
      }
    }
    for (const [rule, applied] of queue.apply(steps, now())) onApplied(rule, applied);
  }

  /** Must be called when the transaction of `storePending` is committed. */
  pendingStored(): void {
    const rules = [...this.#pending.keys()];
    this.#pending.clear();
    for (const { name } of rules) this.#options.onStored(name);
  }

  /** Writes the pending changes to the queue now, because the rules change or the hub stops. */
  flush(): void {
    this.#options.requestStore();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Deletes the pending and queued changes of a user. @throws errors of the queue. */
  eraseUser(user: string): void {
    for (const pending of this.#pending.values()) pending.delete(user);
    this.#options.queue.eraseUser(user);
  }

  readonly #store = (): void => {
    this.#timer = undefined;
    this.#options.requestStore();
  };

  #stepOf(rule: Rule, { user, from, to, cause, at }: ShownChange): QueueStep | undefined {
    // The user is back in the earlier status before the change was reported to anybody.
    if (rule.events === 'status' && from === to) return undefined;
    if (!rule.on.has(to)) return { kind: 'drop', rule: rule.name, user };
    const { entryOf } = this.#options;
    const dueAt = at + rule.afterMs;
    const event = { id: randomUUID(), rule: rule.name, user, at, from, status: to, cause, entry: entryOf(user), dueAt };
    return { kind: 'put', event };
  }
}
