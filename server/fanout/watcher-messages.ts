/**
 * What is said to one connection, in the words of PROTOCOL.md section 4: snapshots, latest entries, one's own fold. Each
 * entry as the connection's viewer may see it. Decides nothing about who is told when; `Fanout` does, and calls this.
 */
import type { MessageId } from '../../shared/client-messages.ts';
import { MAX_IDS_PER_MESSAGE, USERS_PER_UNIT } from '../../shared/limits.ts';
import type { Clock } from '../lib/clock.ts';
import type { TurnBudget } from '../lib/turn-budget.ts';
import type { VersionClock } from '../presence/version-clock.ts';
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import { WatchedList, covers } from './watched-list.ts';
import type { HeldBack } from './held-back.ts';
import type { RosterTelling } from './roster-telling.ts';
import { selfJson } from './selves.ts';
import { presenceJson, type Outbox } from './outbox.ts';

/** What is passed to `WatcherMessages` by `Fanout` itself. */
interface TellingContext extends TellingOptions {
  readonly held: HeldBack;
}

export interface TellingOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  readonly hubClock: VersionClock;
  readonly onDelivered: (entries: number) => void;
  /** Edits of friend lists that are not told to everybody yet. */
  readonly untold: () => Pick<RosterTelling, 'isIdle' | 'limitFor'>;
  readonly turns: TurnBudget;
  /** Called before news are told, or a user of whom nothing is stored: makes durable what must then not be forgotten. */
  readonly ensureStored: () => void;
}

/** What a snapshot leaves out: it answers a `since`. */
export interface SinceAnswer {
  readonly since: number;
  readonly removed: readonly string[];
}

export class WatcherMessages {
  readonly #options: TellingContext;

  constructor(options: TellingContext) {
    this.#options = options;
  }

  /** The `at` of what is told now to a connection for which nothing else waits. */
  sentUpTo(): number {
    return this.#options.hubClock.sentUpTo(this.#options.clock.now().wallMs);
  }

  /** No edit of a friend list waits to be told. */
  get isAllTold(): boolean {
    return this.#options.untold().isIdle;
  }

  /** An edit of a list that the connection watches is not told to everybody yet. */
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
   * What a peer that is behind has not heard, and what a turn had no room for, goes out before the answer that follows, so that
   * versions only grow.
   */
  rest(outbox: Outbox): void {
    const { held } = this.#options;
    if (!outbox.isBehind && !held.hasDue) return;
    const due = held.hasDue ? Array.from(held.dueTo(outbox), ({ user }) => user) : [];
    const json = this.#latest(outbox, new Set([...outbox.takeChanged(), ...due]));
    if (json !== undefined) outbox.reply(json);
  }

  /** The peer reads again: the latest of who changed, or where changes were lost on it, all it watches anew. */
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

  /** What the peer knows is not what its viewer sees: all it watches is sent anew, as soon as it takes it. */
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

  /** Counts so many users against the rate of the connection, and against the budget of the turn. */
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

  /** In as many messages as that takes: what ends of the hub's own accord may be more than one can ask for. */
  unwatchedUsers(outbox: Outbox, ids: readonly string[], re: MessageId | undefined): void {
    for (let from = 0; from < ids.length; from += MAX_IDS_PER_MESSAGE) {
      const some = ids.slice(from, from + MAX_IDS_PER_MESSAGE);
      outbox.reply(`{"type":"unwatched"${reField(re)},"users":${JSON.stringify(some)}}`);
    }
  }

  /** The entry as JSON, to be told in this turn: a user whom the store does not know yet is stored first. */
  entry(user: User, viewer: Viewer): string {
    const { presence } = this.#options;
    if (!user.isStored && presence.versionFor(user, viewer) > 0) this.#options.ensureStored();
    return presence.entryJsonFor(user, viewer);
  }

  #latest(outbox: Outbox, changed: Iterable<User>): string | undefined {
    // Looked at only now: an unwatch, or an edit of a list, need not search what waits for each connection.
    const users = [...changed].filter((user) => covers(outbox, user));
    if (users.length === 0) return undefined;
    this.#options.onDelivered(users.length);
    this.#options.held.shown(outbox, users);
    return presenceJson(this.#entries(outbox, users), outbox.owed === null ? this.#sentUpToFor(outbox) : undefined);
  }

  /** At least one a time, however slow the peer is; no more than one beyond what it takes, nor than a turn has room for. */
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

  /** Joined in one piece: what is glued with `+` is copied once more on its way out (3 µs of 116 a client that comes back). */
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
  return `"users":${JSON.stringify(ids)}`;
}

function reField(re: MessageId | undefined): string {
  return re === undefined ? '' : `,"re":${JSON.stringify(re)}`;
}
