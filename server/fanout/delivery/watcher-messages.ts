/**
 * Formats and sends the messages to one connection (PROTOCOL.md section 4): snapshots, latest entries, and the user's
 * own fold. Each entry is as the connection's viewer may see it. `Fanout` decides which connection is notified when.
 */
import type { MessageId } from '../../../shared/messages/client-messages.ts';
import { MAX_IDS_PER_MESSAGE, USERS_PER_UNIT } from '../../../shared/limits.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { VersionClock } from '../../presence/version-clock.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { Viewer } from '../../presence/viewer.ts';
import { WatchedList, covers } from '../lists/watched-list.ts';
import type { HeldBack } from './held-back.ts';
import type { RosterTelling } from '../lists/roster-telling.ts';
import { selfJson } from '../selves.ts';
import { presenceJson, type Outbox } from './outbox.ts';

/** What `Fanout` itself passes in. */
interface TellingContext extends TellingOptions {
  readonly held: HeldBack;
}

export interface TellingOptions {
  readonly presence: Users;
  readonly clock: Clock;
  readonly hubClock: VersionClock;
  readonly onDelivered: (entries: number) => void;
  /** Edits of friend lists that are not sent to all watchers yet. */
  readonly untold: () => Pick<RosterTelling, 'isIdle' | 'limitFor'>;
  readonly turns: TurnBudget;
  /**
   * Must run before a change is sent, or a user that is not stored yet. Makes durable what must not be forgotten after
   * that.
   */
  readonly ensureStored: () => void;
}

/** What a snapshot leaves out, because it answers a `since`. */
export interface SinceAnswer {
  readonly since: number;
  readonly removed: readonly string[];
}

export class WatcherMessages {
  readonly #options: TellingContext;

  constructor(options: TellingContext) {
    this.#options = options;
  }

  /** The `at` of a message to a connection with nothing pending. */
  sentUpTo(): number {
    return this.#options.hubClock.sentUpTo(this.#options.clock.now().wallMs);
  }

  /** Whether every edit of a friend list is sent. */
  get isAllTold(): boolean {
    return this.#options.untold().isIdle;
  }

  /** Whether an edit of a list that the connection watches is not sent to all watchers yet. */
  isUntold(outbox: Outbox): boolean {
    return this.#options.untold().limitFor(outbox, Infinity) < Infinity;
  }

  /** See `Fanout.settle`. */
  settle(outbox: Outbox): number | undefined {
    if (outbox.isBehind) return undefined;
    const owed = Array.from(this.#options.held.owedTo(outbox), ({ user }) => user);
    const json = this.#latest(outbox, owed);
    if (json !== undefined) outbox.push(json);
    return this.#sentUpToFor(outbox);
  }

  /**
   * Sends what a slow peer has missed, and what a turn had no room for, before the answer that follows, so that
   * versions only grow.
   */
  rest(outbox: Outbox): void {
    const { held } = this.#options;
    if (!outbox.isBehind && !held.hasDue) return;
    const due = held.hasDue ? Array.from(held.dueTo(outbox), ({ user }) => user) : [];
    const json = this.#latest(outbox, new Set([...outbox.takeChanged(), ...due]));
    if (json !== undefined) outbox.reply(json);
  }

  /**
   * Sends a peer that reads again the latest entries of changed users, or snapshots of everything if changes were lost.
   */
  caughtUp(outbox: Outbox): void {
    const changed = outbox.takeChanged();
    if (outbox.caughtUp()) {
      oweAll(outbox);
    } else {
      const json = this.#latest(outbox, changed);
      if (json !== undefined) outbox.push(json);
    }
    this.#payOwed(outbox);
    if (outbox.self !== null) this.self(outbox, selfJson(outbox.self));
  }

  /** Sends all watched users again as soon as the peer takes them, because its viewer now sees other entries. */
  anew(outbox: Outbox): void {
    oweAll(outbox);
    if (!outbox.isBehind) this.#payOwed(outbox);
  }

  snapshot(
    outbox: Outbox,
    head: string,
    re: MessageId | undefined,
    users: Iterable<User>,
    partial: SinceAnswer | undefined,
  ): void {
    outbox.reply(this.#snapshotJson(outbox, head, re, users, partial));
  }

  /** Counts this many users against the rate of the connection and the budget of the turn. */
  charge(outbox: Outbox, users: number): void {
    this.#options.turns.spend(users);
    outbox.owner?.charge(users / USERS_PER_UNIT);
  }

  self(outbox: Outbox, json: string): void {
    if (outbox.isBehind || json === outbox.lastSelfJson) return;
    outbox.lastSelfJson = json;
    outbox.reply(json);
  }

  unwatchedFriends(outbox: Outbox, owner: string, re: MessageId | undefined): void {
    outbox.reply(`{"type":"unwatched"${reField(re)},"friendsOf":${JSON.stringify(owner)}}`);
  }

  /** Takes as many messages as needed, because the hub itself may end more watches than one request can name. */
  unwatchedUsers(outbox: Outbox, ids: readonly string[], re: MessageId | undefined): void {
    for (let from = 0; from < ids.length; from += MAX_IDS_PER_MESSAGE) {
      const some = ids.slice(from, from + MAX_IDS_PER_MESSAGE);
      outbox.reply(`{"type":"unwatched"${reField(re)},"users":${JSON.stringify(some)}}`);
    }
  }

  /** The entry as JSON, to be sent in this turn. A user that is not stored yet is stored first. */
  entry(user: User, viewer: Viewer): string {
    const { presence } = this.#options;
    if ((!user.isStored || user.isUnsaved) && presence.versionFor(user, viewer) > 0) this.#options.ensureStored();
    return presence.entryJsonFor(user, viewer);
  }

  #latest(outbox: Outbox, changed: Iterable<User>): string | undefined {
    // Checked only now, so that an unwatch or an edit of a list does not search the pending users of each connection.
    const users = [...changed].filter((user) => covers(outbox, user));
    if (users.length === 0) return undefined;
    this.#options.onDelivered(users.length);
    this.#options.held.shown(outbox, users);
    return presenceJson(this.#entries(outbox, users), outbox.owed === null ? this.#sentUpToFor(outbox) : undefined);
  }

  /**
   * Sends at least one snapshot per call, however slow the peer is. After the first one, stops when the peer or the
   * turn has no more room.
   */
  #payOwed(outbox: Outbox): void {
    let isBehind = false;
    while (outbox.owed !== null && !isBehind) {
      if (outbox.isAwaitingTurn) return;
      const turn = this.#options.turns.take(0);
      if (turn !== undefined) {
        outbox.isAwaitingTurn = true;
        void turn.then(() => {
          outbox.isAwaitingTurn = false;
          if (!outbox.isBehind) this.#payOwed(outbox);
        });
        return;
      }
      this.#nextOwed(outbox, outbox.owed);
      isBehind = outbox.isBehind;
    }
  }

  #nextOwed(outbox: Outbox, owed: Set<WatchedList | User>): void {
    const users: User[] = [];
    for (const watch of owed) {
      if (watch instanceof WatchedList) {
        if (users.length > 0) break;
        owed.delete(watch);
        this.charge(outbox, watch.friends.size);
        outbox.push(this.#snapshotJson(outbox, headOfFriends(watch.owner), undefined, watch.friends, undefined));
        break;
      }
      owed.delete(watch);
      if (users.push(watch) === MAX_IDS_PER_MESSAGE) break;
    }
    if (users.length > 0) {
      this.charge(outbox, users.length);
      const ids = users.map(({ id }) => id);
      outbox.push(this.#snapshotJson(outbox, headOfUsers(ids), undefined, users, undefined));
    }
    if (owed.size === 0) outbox.owed = null;
  }

  #snapshotJson(
    outbox: Outbox,
    head: string,
    re: MessageId | undefined,
    users: Iterable<User>,
    partial: SinceAnswer | undefined,
  ): string {
    const sinceFields =
      partial === undefined ? '' : `,"since":${partial.since},"removed":${JSON.stringify(partial.removed)}`;
    this.#options.held.shown(outbox, users);
    const at = this.#sentUpToFor(outbox);
    const opening = `{"type":"snapshot"${reField(re)},${head},"at":${at}${sinceFields},"entries":[`;
    return this.#listed(opening, outbox, users, ']}');
  }

  #sentUpToFor(outbox: Outbox): number {
    const { held, untold } = this.#options;
    const at = untold().limitFor(outbox, this.sentUpTo());
    return held.isEmpty ? at : held.limitFor(outbox, at);
  }

  #entries(outbox: Outbox, users: Iterable<User>): string {
    return this.#listed('', outbox, users, '');
  }

  /**
   * Joined in one piece, because a text built with `+` is copied once more when it is sent (3 µs of 116 for a
   * reconnecting client).
   */
  #listed(opening: string, { viewer }: Outbox, users: Iterable<User>, ending: string): string {
    const listed = Array.isArray(users) ? (users as readonly User[]) : [...users];
    const entries = listed.map((user) => this.entry(user, viewer));
    const last = entries.length - 1;
    if (last < 0) return opening + ending;
    entries[0] = opening + (entries[0] as string);
    entries[last] = (entries[last] as string) + ending;
    return entries.join(',');
  }
}

function oweAll(outbox: Outbox): void {
  outbox.owed = new Set([...(outbox.owed ?? []), ...outbox.circles, ...outbox.users]);
}

export function headOfFriends(owner: string): string {
  return `"friendsOf":${JSON.stringify(owner)}`;
}

export function headOfUsers(ids: readonly string[]): string {
  return `"users":["${ids.join('","')}"]`; // no id needs an escape
}

function reField(re: MessageId | undefined): string {
  return re === undefined ? '' : `,"re":${JSON.stringify(re)}`;
}
