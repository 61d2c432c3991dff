/**
 * Formats and sends the messages to one connection (PROTOCOL.md section 4): snapshots, latest entries, and the user's
 * own fold. Each entry is as the connection's viewer may see it. `Fanout` decides which connection is notified when.
 */
import type { MessageId } from '../../../shared/messages/client-messages.ts';
import { MAX_IDS_PER_MESSAGE, USERS_PER_UNIT } from '../../../shared/limits.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { Viewer } from '../../presence/viewer.ts';
import { WatchedList, covers } from '../lists/watched-list.ts';
import type { PendingChanges } from './pending-changes.ts';
import type { ListEditNotifier } from '../lists/list-edit-notifier.ts';
import { selfJson } from '../self-messages.ts';
import type { Timekeeper } from '../timekeeper.ts';
import { presenceJson, type Outbox } from './outbox.ts';

/** What `Fanout` itself passes in. */
interface WatcherMessagesContext extends WatcherMessagesOptions {
  readonly pending: PendingChanges;
}

export interface WatcherMessagesOptions {
  readonly presence: Users;
  readonly clock: Clock;
  readonly timekeeper: Timekeeper;
  readonly onDelivered: (entries: number) => void;
  /** Edits of friend lists that are not sent to all watchers yet. */
  readonly unsentEdits: () => Pick<ListEditNotifier, 'isIdle' | 'limitFor'>;
  readonly turns: TurnBudget;
}

/** What a snapshot leaves out, because it answers a `since`. */
export interface SinceAnswer {
  readonly since: number;
  readonly removed: readonly string[];
}

export class WatcherMessages {
  readonly #options: WatcherMessagesContext;
  /** Unasked snapshots of everything that a connection watches, by reason. */
  readonly resyncs = { slow_reader: 0, viewer: 0 };

  constructor(options: WatcherMessagesContext) {
    this.#options = options;
  }

  /** The `at` of a message to a connection with nothing pending. */
  sentUpTo(): number {
    return this.#options.timekeeper.sentUpTo();
  }

  /** Whether every edit of a friend list is sent. */
  get isAllSent(): boolean {
    return this.#options.unsentEdits().isIdle;
  }

  /** Whether an edit of a list that the connection watches is not sent to all watchers yet. */
  hasUnsent(outbox: Outbox): boolean {
    return this.#options.unsentEdits().limitFor(outbox, Infinity) < Infinity;
  }

  /** See `Fanout.settle`. */
  settle(outbox: Outbox): number | undefined {
    if (outbox.isBehind) return undefined;
    const pendingSnapshots = Array.from(this.#options.pending.pendingFor(outbox), ({ user }) => user);
    const json = this.#latest(outbox, pendingSnapshots);
    if (json !== undefined) outbox.push(json);
    return this.#sentUpToFor(outbox);
  }

  /**
   * Sends what a slow peer has missed, and what a turn had no room for, before the answer that follows, so that
   * versions only grow.
   */
  sendPending(outbox: Outbox): void {
    const { pending } = this.#options;
    if (!outbox.isBehind && !pending.hasDue) return;
    const due = pending.hasDue ? Array.from(pending.dueFor(outbox), ({ user }) => user) : [];
    const json = this.#latest(outbox, new Set([...outbox.takeChanged(), ...due]));
    if (json !== undefined) outbox.reply(json);
  }

  /**
   * Sends a peer that reads again the latest entries of changed users, or snapshots of everything if changes were lost.
   */
  caughtUp(outbox: Outbox): void {
    const changed = outbox.takeChanged();
    if (outbox.caughtUp()) {
      this.resyncs.slow_reader++;
      requireAllSnapshots(outbox);
    } else {
      const json = this.#latest(outbox, changed);
      if (json !== undefined) outbox.push(json);
    }
    this.#sendOwedSnapshots(outbox);
    if (outbox.self !== null) this.self(outbox, selfJson(outbox.self));
  }

  /** Sends all watched users again as soon as the peer takes them, because its viewer now sees other entries. */
  sendAllAgain(outbox: Outbox): void {
    this.resyncs.viewer++;
    requireAllSnapshots(outbox);
    if (!outbox.isBehind) this.#sendOwedSnapshots(outbox);
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

  entry(user: User, viewer: Viewer): string {
    return this.#options.presence.entryJsonFor(user, viewer);
  }

  #latest(outbox: Outbox, changed: Iterable<User>): string | undefined {
    // Checked only now, so that an unwatch or an edit of a list does not search the pending users of each connection.
    const users = [...changed].filter((user) => covers(outbox, user));
    if (users.length === 0) return undefined;
    this.#options.onDelivered(users.length);
    this.#options.pending.shown(outbox, users);
    return presenceJson(
      this.#entries(outbox, users),
      outbox.pendingSnapshots === null ? this.#sentUpToFor(outbox) : undefined,
    );
  }

  /**
   * Sends at least one snapshot per call, however slow the peer is. After the first one, stops when the peer or the
   * turn has no more room.
   */
  #sendOwedSnapshots(outbox: Outbox): void {
    let isBehind = false;
    while (outbox.pendingSnapshots !== null && !isBehind) {
      if (outbox.isAwaitingTurn) return;
      const turn = this.#options.turns.take(0);
      if (turn !== undefined) {
        outbox.isAwaitingTurn = true;
        void turn.then(() => {
          outbox.isAwaitingTurn = false;
          if (!outbox.isBehind) this.#sendOwedSnapshots(outbox);
        });
        return;
      }
      this.#sendNextSnapshot(outbox, outbox.pendingSnapshots);
      isBehind = outbox.isBehind;
    }
  }

  #sendNextSnapshot(outbox: Outbox, pendingSnapshots: Set<WatchedList | User>): void {
    const users: User[] = [];
    for (const watch of pendingSnapshots) {
      if (watch instanceof WatchedList) {
        if (users.length > 0) break;
        pendingSnapshots.delete(watch);
        this.charge(outbox, watch.friends.size);
        outbox.push(this.#snapshotJson(outbox, headOfFriends(watch.owner), undefined, watch.friends, undefined));
        break;
      }
      pendingSnapshots.delete(watch);
      if (users.push(watch) === MAX_IDS_PER_MESSAGE) break;
    }
    if (users.length > 0) {
      this.charge(outbox, users.length);
      const ids = users.map(({ id }) => id);
      outbox.push(this.#snapshotJson(outbox, headOfUsers(ids), undefined, users, undefined));
    }
    if (pendingSnapshots.size === 0) outbox.pendingSnapshots = null;
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
    this.#options.pending.shown(outbox, users);
    const at = this.#sentUpToFor(outbox);
    const opening = `{"type":"snapshot"${reField(re)},${head},"at":${at}${sinceFields},"entries":[`;
    return this.#joined(opening, outbox, users, ']}');
  }

  #sentUpToFor(outbox: Outbox): number {
    const { pending, unsentEdits } = this.#options;
    const at = unsentEdits().limitFor(outbox, this.sentUpTo());
    return pending.isEmpty ? at : pending.limitFor(outbox, at);
  }

  #entries(outbox: Outbox, users: Iterable<User>): string {
    return this.#joined('', outbox, users, '');
  }

  /**
   * Joined in one piece, because a text built with `+` is copied once more when it is sent (3 µs of 116 for a
   * reconnecting client).
   */
  #joined(opening: string, { viewer }: Outbox, users: Iterable<User>, ending: string): string {
    const array = Array.isArray(users) ? (users as readonly User[]) : [...users];
    const entries = array.map((user) => this.entry(user, viewer));
    const last = entries.length - 1;
    if (last < 0) return opening + ending;
    entries[0] = opening + (entries[0] as string);
    entries[last] = (entries[last] as string) + ending;
    return entries.join(',');
  }
}

function requireAllSnapshots(outbox: Outbox): void {
  outbox.pendingSnapshots = new Set([...(outbox.pendingSnapshots ?? []), ...outbox.lists, ...outbox.users]);
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
