/**
 * Notifies watchers of changes. Each change is encoded once for all viewers that see the same, and sent once to each
 * connection, even if several of its watches cover the user. One loop turn notifies about 2,000 connections; the rest
 * follows in later turns, in order. Users with few watchers are sent completely, one after another. Users with many
 * watchers are sent in steps beside them. A user that changes meanwhile is sent in its latest state. `WatcherMessages`
 * formats the messages.
 */
import type { User } from '../presence/user.ts';
import type { Change } from '../presence/change.ts';
import { AudienceWalk } from './lists/audience-walk.ts';
import { audienceOf, audienceSize } from './lists/watched-list.ts';
import type { Delays } from './delivery/delays.ts';
import type { StaleNotifier } from './fanout.ts';
import { PendingChanges } from './delivery/pending-changes.ts';
import type { PendingUser } from './delivery/pending-user.ts';
import { FlushMessages, type Outbox } from './delivery/outbox.ts';
import { FlushTurn } from './delivery/flush-turn.ts';
import { FlushScheduler } from './delivery/flush-scheduler.ts';
import { SelfMessages } from './self-messages.ts';
import type { WatcherMessages, WatcherMessagesOptions } from './delivery/watcher-messages.ts';

export interface ReportsOptions extends Pick<WatcherMessagesOptions, 'presence' | 'clock' | 'onDelivered'> {
  /** Minimum time between two reports of one user, in milliseconds. */
  readonly reportEveryMs: number;
  /** A real clock in milliseconds that never goes back, for `reportEveryMs`. */
  readonly nowMs: () => number;
  /** A user with more watchers than this is sent in steps over several loop turns. */
  readonly largeAudience: number;
  readonly delays: Delays;
  /** Calls back after the loop's other work: `setImmediate`. */
  readonly afterTurn: (run: () => void) => void;
}

interface ReportsContext extends ReportsOptions {
  readonly messages: () => WatcherMessages;
  readonly staleNotifier: () => StaleNotifier;
}

/** A message to a socket takes 7 µs, so twice this many in one turn take about 15 ms. */
export const LARGE_AUDIENCE = 1000;

/** The progress of one flush. */
interface Flush {
  readonly isForced: boolean;
  readonly now: number;
  /** Connections with a message to send. */
  readonly touched: Outbox[];
  /** Callbacks for changes that this flush sends. */
  readonly onSent: (() => void)[];
  checks: number;
}

export class Reports {
  readonly pending: PendingChanges;
  readonly selfMessages: SelfMessages;
  readonly #options: ReportsContext;
  readonly #scheduler = new FlushScheduler(() => this.flush());
  #changed = new Set<User>();
  #changeNo = 0;
  readonly #turn: FlushTurn;

  constructor(options: ReportsContext) {
    this.#options = options;
    this.#turn = new FlushTurn(options);
    const onDue = (): void => this.#scheduler.request();
    this.pending = new PendingChanges({ ...options, onDue });
    this.selfMessages = new SelfMessages({
      ...options,
      send: (outbox, json) => options.messages().self(outbox, json),
      onDue,
    });
  }

  /** Marks a changed user, so that the next flush notifies its watchers. */
  changed(change: Change): void {
    const { user, isShown } = change;
    if (user.audience === null || user.audience.isEmpty) return;
    const pending = this.pending.isEmpty ? undefined : this.pending.get(user);
    if (isShown && pending !== undefined) pending.changed();
    const isDue = isShown && pending === undefined;
    if (isDue) {
      this.#changed.add(user);
      this.#options.delays.changed(change);
    }
    const hasSelfWatchers = this.selfMessages.changed(user);
    if (isDue || hasSelfWatchers) this.#scheduler.request();
  }

  /** Sends a user again that changed while its watchers were notified in another way. */
  sendAgain(user: User): void {
    this.#changed.add(user);
    this.#scheduler.request();
  }

  /** Sends a user to all watchers. @returns a promise that resolves when it is sent; undefined if it is sent already. */
  sendNow(user: User): Promise<void> | undefined {
    if (user.audience === null || user.audience.isEmpty) return undefined;
    this.#changed.add(user);
    this.flush();
    return this.pending.get(user)?.whenSent();
  }

  /**
   * Notifies one viewer about a user whose entry changed for that viewer only, because a block was set or lifted.
   * @returns a promise that resolves when the notification is sent; undefined if it is sent already.
   */
  changedFor(viewer: string, user: User): Promise<void> | undefined {
    if (user.audience === null || user.audience.isEmpty) return undefined;
    this.pending.hold(user).changedFor(viewer);
    this.flush();
    return this.pending.get(user)?.whenSent();
  }

  /**
   * Keeps pending changes of the user for a viewer that is about to be blocked. @returns a promise as `changedFor`
   * does.
   */
  settleFor(viewer: string, user: User): Promise<void> | undefined {
    this.flush();
    const pending = this.pending.get(user);
    pending?.keepFor(viewer);
    return pending?.whenSent();
  }

  /** Sends every pending change, including those held back. */
  flushAll(): void {
    this.flush(true);
  }

  /**
   * Sends pending changes that are not held back, as far as the turn has room: each user's latest entry, in one message
   * per connection. Holds back the rest. @returns the average entries per message, 1 if there was none.
   */
  flush(isForced = false): number {
    if (this.#changed.size === 0 && this.selfMessages.isEmpty && this.pending.isEmpty) return 1;
    const flush: Flush = { isForced, now: this.#options.nowMs(), touched: [], onSent: [], checks: 0 };
    if (!this.selfMessages.isEmpty) {
      this.selfMessages.flush(isForced);
    }
    this.#flushSmall(flush);
    this.#flushLarge(flush);
    const delivered = this.#send(flush.touched);
    this.#turn.use(flush, this.pending.hasDue);
    for (const notifySent of flush.onSent) notifySent();
    if (this.pending.hasDue) this.#scheduler.continueNext();
    else this.#options.delays.sent(this.#options.clock);
    return flush.touched.length === 0 ? 1 : delivered / flush.touched.length;
  }

  /** Due held users go first, then users that have just changed. */
  #flushSmall(flush: Flush): void {
    const users = this.#changed;
    if (users.size > 0) this.#changed = new Set();
    const { largeAudience } = this.#options;
    let hasRoom = true;
    if (!this.pending.isEmpty) {
      for (const user of users) {
        const pending = this.pending.get(user);
        if (pending === undefined) continue;
        pending.changed();
        users.delete(user);
      }
      for (const pending of this.pending.due(flush.now, flush.isForced).small) {
        const size = audienceSize(pending.user, largeAudience);
        if (size > largeAudience) {
          this.pending.markLarge(pending);
          continue;
        }
        hasRoom = this.#hasRoomFor(flush, size);
        if (!hasRoom) break;
        this.#notify(flush, pending.user, pending);
        flush.onSent.push(...pending.takeSent());
        this.pending.release(pending);
      }
    }
    for (const user of users) {
      const size = audienceSize(user, largeAudience);
      const isSmallAndDue = size <= largeAudience && (flush.isForced || this.pending.isDue(user, flush.now));
      if (isSmallAndDue && hasRoom) hasRoom = this.#hasRoomFor(flush, size);
      if (isSmallAndDue && hasRoom) this.#notify(flush, user, undefined);
      else this.pending.hold(user).changed();
    }
  }

  /** Continues with users that have very many watchers, one after another, as far as the turn has room. */
  #flushLarge(flush: Flush): void {
    if (this.pending.isEmpty) return;
    for (const pending of this.pending.due(flush.now, flush.isForced).large) {
      let isComplete: boolean;
      do {
        if (!this.#continueWalk(flush, pending)) return;
        isComplete = pending.endWalk();
      } while (!isComplete && flush.isForced);
      flush.onSent.push(...pending.takeSent());
      if (isComplete) this.pending.release(pending);
      else this.pending.postpone(pending);
    }
  }

  /** @returns whether the walk is complete. */
  #continueWalk(flush: Flush, pending: PendingUser): boolean {
    const { touched, isForced } = flush;
    if (!isForced && !this.#turn.hasRoom(flush)) return false;
    if (pending.walk === null) this.pending.reportedAt(pending.user, flush.now);
    const walk = pending.walk ?? pending.beginWalk(new AudienceWalk(pending.user));
    while (isForced || this.#turn.hasRoom(flush)) {
      const outbox = walk.next();
      if (outbox === undefined) return true;
      flush.checks++;
      if (pending.isPendingFor(outbox)) this.#add(pending.user, outbox, touched);
      pending.shown(outbox);
    }
    return false;
  }

  /** Whether this turn has room for that many watchers. A part of the turn is reserved for users with very many. */
  #hasRoomFor(flush: Flush, watchers: number): boolean {
    const reserved = this.pending.hasDueLarge ? this.#options.largeAudience : 0;
    return flush.isForced || this.#turn.hasRoom(flush, watchers, reserved);
  }

  /** Adds the latest state of a user to all connections that may see it and have not been shown it. */
  #notify(flush: Flush, user: User, pending: PendingUser | undefined): void {
    this.pending.reportedAt(user, flush.now);
    const audience = audienceOf(user);
    const { hiddenFrom } = user;
    const { touched } = flush;
    const changeNo = ++this.#changeNo;
    const notify = (outbox: Outbox): void => {
      flush.checks++;
      if (outbox.changeNo === changeNo) return;
      outbox.changeNo = changeNo;
      const viewer = outbox.viewer.user;
      if (pending !== undefined) {
        if (!pending.isPendingFor(outbox)) return;
      } else if (hiddenFrom !== null && viewer !== null && hiddenFrom.has(viewer)) return;
      this.#add(user, outbox, touched);
    };
    for (const outbox of audience) notify(outbox);
    if (audience.lists === null) return;
    for (const circle of audience.lists) for (const outbox of circle.watchers) notify(outbox);
  }

  #add(user: User, outbox: Outbox, touched: Outbox[]): void {
    const staleNotifier = this.#options.staleNotifier();
    if (staleNotifier.isOn) staleNotifier.before(outbox, [user]);
    if (outbox.add(user, this.#options.presence.entryJsonFor(user, outbox.viewer))) touched.push(outbox);
  }

  /** A connection with a pending user gets no `at`, because `at` would cover that user. @returns entries delivered. */
  #send(touched: readonly Outbox[]): number {
    if (touched.length === 0) return 0;
    const messages = this.#options.messages();
    const withAt = new FlushMessages(messages.sentUpTo());
    let delivered = 0;
    if (this.pending.isEmpty && messages.isAllSent) {
      for (const outbox of touched) delivered += outbox.flush(withAt);
    } else {
      this.pending.notePending();
      const withoutAt = new FlushMessages(undefined);
      for (const outbox of touched) {
        const isBehind = this.pending.hasPending(outbox) || messages.hasUnsent(outbox);
        delivered += outbox.flush(isBehind ? withoutAt : withAt);
      }
    }
    this.#options.onDelivered(delivered);
    return delivered;
  }
}
