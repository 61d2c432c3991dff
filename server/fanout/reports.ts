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
import type { Forewarning } from './fanout.ts';
import { HeldBack, type Held } from './delivery/held-back.ts';
import { FlushMessages, type Outbox } from './delivery/outbox.ts';
import { FlushScheduler } from './delivery/flush-scheduler.ts';
import { Selves } from './selves.ts';
import type { WatcherMessages, TellingOptions } from './delivery/watcher-messages.ts';

export interface ReportsOptions extends Pick<TellingOptions, 'presence' | 'clock' | 'onDelivered'> {
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
  readonly telling: () => WatcherMessages;
  readonly forewarning: () => Forewarning;
}

/**
 * A message to a socket takes 7 µs, so two thousand in one turn take about 15 ms. Half of them are for users with very
 * many watchers.
 */
export const LARGE_AUDIENCE = 1000;
const AUDIENCES_A_TURN = 2;
/** Watches checked for each message. Most need no message; a check takes 0.1 to 0.3 µs. */
const LOOKS_A_MESSAGE = 10;
/** Below this, the end of a turn is not observed, and its messages count for the next turn too. */
const UNWATCHED_MESSAGES = 128;
const UNWATCHED_LOOKS = 10 * UNWATCHED_MESSAGES;

/** The progress of one flush. */
interface Flush {
  readonly isForced: boolean;
  readonly now: number;
  /** Connections with a message to send. */
  readonly touched: Outbox[];
  /** Callbacks for changes that this flush sends. */
  readonly told: (() => void)[];
  looks: number;
}

export class Reports {
  readonly held: HeldBack;
  readonly selves: Selves;
  readonly #options: ReportsContext;
  readonly #rhythm = new FlushScheduler(() => this.flush());
  #changed = new Set<User>();
  #changeNo = 0;
  /** Messages sent in this loop turn. */
  #messages = 0;
  #looks = 0;
  #isTurnWatched = false;

  constructor(options: ReportsContext) {
    this.#options = options;
    const onDue = (): void => this.#rhythm.request();
    this.held = new HeldBack({ ...options, onDue });
    this.selves = new Selves({ ...options, tell: (outbox, json) => options.telling().self(outbox, json), onDue });
  }

  /** Marks a changed user, so that the next flush notifies its watchers. */
  changed(change: Change): void {
    const { user, isShown } = change;
    if (user.audience === null || user.audience.isEmpty) return;
    const held = this.held.isEmpty ? undefined : this.held.get(user);
    if (isShown && held !== undefined) held.changed();
    const isDue = isShown && held === undefined;
    if (isDue) {
      this.#changed.add(user);
      this.#options.delays.changed(change);
    }
    const isToldSelf = this.selves.changed(user);
    if (isDue || isToldSelf) this.#rhythm.request();
  }

  /** Sends a user again that changed while its watchers were notified in another way. */
  tellAgain(user: User): void {
    this.#changed.add(user);
    this.#rhythm.request();
  }

  /**
   * Notifies one viewer about a user whose entry changed for that viewer only, because a block was set or lifted.
   * @returns a promise that resolves when the notification is sent; undefined if it is sent already.
   */
  changedFor(viewer: string, user: User): Promise<void> | undefined {
    if (user.audience === null || user.audience.isEmpty) return undefined;
    this.held.hold(user).changedFor(viewer);
    this.flush();
    return this.held.get(user)?.whenTold();
  }

  /**
   * Keeps pending changes of the user for a viewer that is about to be blocked. @returns a promise as `changedFor`
   * does.
   */
  settleFor(viewer: string, user: User): Promise<void> | undefined {
    this.flush();
    const held = this.held.get(user);
    held?.keepFor(viewer);
    return held?.whenTold();
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
    if (this.#changed.size === 0 && this.selves.isEmpty && this.held.isEmpty) return 1;
    const flush: Flush = { isForced, now: this.#options.nowMs(), touched: [], told: [], looks: 0 };
    if (!this.selves.isEmpty) {
      this.selves.flush(isForced);
    }
    this.#tellSmall(flush);
    this.#tellLarge(flush);
    const delivered = this.#send(flush.touched);
    this.#useTurn(flush);
    for (const tell of flush.told) tell();
    if (this.held.hasDue) this.#rhythm.goOn();
    else this.#options.delays.told(this.#options.clock);
    return flush.touched.length === 0 ? 1 : delivered / flush.touched.length;
  }

  /** Due held users go first, then users that have just changed. */
  #tellSmall(flush: Flush): void {
    const users = this.#changed;
    if (users.size > 0) this.#changed = new Set();
    const { largeAudience } = this.#options;
    let hasRoom = true;
    if (!this.held.isEmpty) {
      for (const user of users) {
        const held = this.held.get(user);
        if (held === undefined) continue;
        held.changed();
        users.delete(user);
      }
      for (const held of this.held.due(flush.now, flush.isForced).small) {
        const size = audienceSize(held.user, largeAudience);
        if (size > largeAudience) {
          this.held.grow(held);
          continue;
        }
        hasRoom = this.#hasRoomFor(flush, size);
        if (!hasRoom) break;
        this.#tell(flush, held.user, held);
        flush.told.push(...held.takeTold());
        this.held.release(held);
      }
    }
    for (const user of users) {
      const size = audienceSize(user, largeAudience);
      const isSmallAndDue = size <= largeAudience && (flush.isForced || this.held.isDue(user, flush.now));
      if (isSmallAndDue && hasRoom) hasRoom = this.#hasRoomFor(flush, size);
      if (isSmallAndDue && hasRoom) this.#tell(flush, user, undefined);
      else this.held.hold(user).changed();
    }
  }

  /** Continues with users that have very many watchers, one after another, as far as the turn has room. */
  #tellLarge(flush: Flush): void {
    if (this.held.isEmpty) return;
    for (const held of this.held.due(flush.now, flush.isForced).large) {
      let isKnown: boolean;
      do {
        if (!this.#walkOn(flush, held)) return;
        isKnown = held.endWalk();
      } while (!isKnown && flush.isForced);
      flush.told.push(...held.takeTold());
      if (isKnown) this.held.release(held);
      else this.held.holdOn(held);
    }
  }

  /** @returns whether the walk is complete. */
  #walkOn(flush: Flush, held: Held): boolean {
    const { touched, isForced } = flush;
    if (!isForced && !this.#hasRoom(flush)) return false;
    if (held.walk === null) this.held.toldAt(held.user, flush.now);
    const walk = held.walk ?? held.beginWalk(new AudienceWalk(held.user));
    while (isForced || this.#hasRoom(flush)) {
      const outbox = walk.next();
      if (outbox === undefined) return true;
      flush.looks++;
      if (held.owes(outbox)) this.#give(held.user, outbox, touched);
      held.shown(outbox);
    }
    return false;
  }

  /** Whether this turn has room for that many watchers. A part of the turn is reserved for users with very many. */
  #hasRoomFor(flush: Flush, watchers: number): boolean {
    if (flush.isForced) return true;
    const left = this.#messagesLeft(flush) - (this.held.hasDueLarge ? this.#options.largeAudience : 0);
    return watchers <= left && watchers <= this.#looksLeft(flush);
  }

  #hasRoom(flush: Flush): boolean {
    return this.#messagesLeft(flush) > 0 && this.#looksLeft(flush) > 0;
  }

  #messagesLeft({ touched }: Flush): number {
    return AUDIENCES_A_TURN * this.#options.largeAudience - this.#messages - touched.length;
  }

  #looksLeft({ looks }: Flush): number {
    return LOOKS_A_MESSAGE * AUDIENCES_A_TURN * this.#options.largeAudience - this.#looks - looks;
  }

  /** Adds the latest state of a user to all connections that may see it and have not been shown it. */
  #tell(flush: Flush, user: User, held: Held | undefined): void {
    this.held.toldAt(user, flush.now);
    const audience = audienceOf(user);
    const { hiddenFrom } = user;
    const { touched } = flush;
    const changeNo = ++this.#changeNo;
    const give = (outbox: Outbox): void => {
      flush.looks++;
      if (outbox.toldNo === changeNo) return;
      outbox.toldNo = changeNo;
      const viewer = outbox.viewer.user;
      if (held !== undefined) {
        if (!held.owes(outbox)) return;
      } else if (hiddenFrom !== null && viewer !== null && hiddenFrom.has(viewer)) return;
      this.#give(user, outbox, touched);
    };
    for (const outbox of audience) give(outbox);
    if (audience.circles === null) return;
    for (const circle of audience.circles) for (const outbox of circle.watchers) give(outbox);
  }

  #give(user: User, outbox: Outbox, touched: Outbox[]): void {
    const forewarning = this.#options.forewarning();
    if (forewarning.isOn) forewarning.before(outbox, [user]);
    if (outbox.add(user, this.#options.presence.entryJsonFor(user, outbox.viewer))) touched.push(outbox);
  }

  /** A connection with a pending user gets no `at`, because `at` would cover that user. @returns entries delivered. */
  #send(touched: readonly Outbox[]): number {
    if (touched.length === 0) return 0;
    const telling = this.#options.telling();
    const messages = new FlushMessages(telling.sentUpTo());
    let delivered = 0;
    if (this.held.isEmpty && telling.isAllTold) {
      for (const outbox of touched) delivered += outbox.flush(messages);
    } else {
      this.held.noteOwed();
      const withoutAt = new FlushMessages(undefined);
      for (const outbox of touched) {
        const isOwed = this.held.isOwed(outbox) || telling.isUntold(outbox);
        delivered += outbox.flush(isOwed ? withoutAt : messages);
      }
    }
    this.#options.onDelivered(delivered);
    return delivered;
  }

  #useTurn({ touched, looks }: Flush): void {
    this.#messages += touched.length;
    this.#looks += looks;
    const isLittle = this.#messages < UNWATCHED_MESSAGES && this.#looks < UNWATCHED_LOOKS && !this.held.hasDue;
    if (this.#isTurnWatched || isLittle) return;
    this.#isTurnWatched = true;
    this.#options.afterTurn(() => {
      this.#isTurnWatched = false;
      this.#messages = 0;
      this.#looks = 0;
    });
  }
}
