/**
 * The roster in SQLite: one row per edge, and a tombstone per ended edge. Each list is also stored in one row, as a
 * cache for reads. Responsible for all-or-nothing edits that return what they changed. Must not know watchers, and keeps
 * no list in memory. Callers must have rejected invalid ids and edges from a user to itself.
 *
 * A large edit is first stored as one row, which makes it durable at once, and then edge by edge in parts. Meanwhile an
 * `UnsettledEdit` answers for the missing rows. The next start completes an edit that a crash interrupted.
 */
import { FriendLists, packFriends, unpack, type PackedList } from './friend-lists.ts';
import { inTransaction, type SqlDatabase, type SqlStatement } from './sqlite.ts';
import { Tombstones } from './tombstones.ts';
import type { Edge, ListChanges, Parts, RosterChange, RosterEdit, StoredRoster } from '../../roster/port.ts';
import { UnsettledEdit } from '../../roster/unsettled-edit.ts';

/**
 * Edges made or ended in one part of an edit: about 3 ms. An even number keeps the two directions of a friendship
 * together.
 */
const EDGES_IN_PART = 250;
/** Users whose friends are counted in one part. A list of ten thousand takes 0.2 ms. */
const COUNTED_AT_ONCE = 50;
/** Edges that can be looked up in the time of making one. */
const EDGES_ASKED_FOR = 2;
/** Rows that can be scanned in the time of looking one up. */
const ROWS_LOOKED_THROUGH = 10;

export class SqliteRoster implements StoredRoster {
  readonly #db: SqlDatabase;
  readonly #lists: FriendLists;
  readonly #follows: SqlStatement<{ readonly one: number }>;
  readonly #count: SqlStatement<{ readonly friends: number }>;
  readonly #addedSince: SqlStatement<PackedList>;
  readonly #edgesOf: SqlStatement<Edge>;
  readonly #edgesAfter: SqlStatement<Edge>;
  readonly #followersAfter: SqlStatement<{ readonly user: string }>;
  readonly #tombstones: Tombstones;
  readonly #make: SqlStatement<never>;
  readonly #end: SqlStatement<never>;
  readonly #setPending: SqlStatement<never>;
  readonly #pending: SqlStatement<{ readonly at: number; readonly edit: string }>;
  readonly #clearPending: SqlStatement<never>;
  #unsettled: UnsettledEdit | undefined;
  /** The parts of `#unsettled` that are still to be stored. The last one ends it. */
  #parts: EditPart[] = [];

  constructor({ db }: { readonly db: SqlDatabase }) {
    this.#db = db;
    this.#lists = new FriendLists(db);
    this.#follows = db.prepare('SELECT 1 AS one FROM edge WHERE user = ? AND friend = ?');
    this.#count = db.prepare('SELECT count(*) AS friends FROM edge WHERE user = ?');
    this.#addedSince = packFriends(db, 'edge WHERE user = ? AND at > ?');
    this.#edgesOf = db.prepare('SELECT user, friend FROM edge WHERE user = ?1 OR friend = ?1 LIMIT ?2');
    this.#edgesAfter = db.prepare(
      'SELECT user, friend FROM edge WHERE (user, friend) > (?, ?) ORDER BY user, friend LIMIT ?',
    );
    this.#followersAfter = db.prepare('SELECT user FROM edge WHERE friend = ? AND user > ? ORDER BY user LIMIT ?');
    this.#tombstones = new Tombstones(db);
    this.#make = db.prepare('INSERT INTO edge (user, friend, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    this.#end = db.prepare('DELETE FROM edge WHERE user = ? AND friend = ?');
    this.#setPending = db.prepare('INSERT INTO edit_pending (one, at, edit) VALUES (1, ?, ?)');
    this.#pending = db.prepare('SELECT at, edit FROM edit_pending');
    this.#clearPending = db.prepare('DELETE FROM edit_pending');
  }

  get isUnsettled(): boolean {
    return this.#unsettled !== undefined;
  }

  /** Every list is readable at any time. */
  load(): undefined {
    return undefined;
  }

  friendsOf(user: string): readonly string[] {
    const stored = this.#lists.read(user);
    return this.#unsettled?.friendsOf(user, stored) ?? stored;
  }

  follows(user: string, friend: string): boolean {
    return this.#unsettled?.follows({ user, friend }) ?? this.#follows.get(user, friend) !== undefined;
  }

  overfull(edit: RosterEdit, maxFriends: number): string | undefined {
    return atOnce(this.overfullInParts(edit, maxFriends));
  }

  *overfullInParts(edit: RosterEdit, maxFriends: number): Parts<string | undefined> {
    if (edit.kind === 'remove') return undefined;
    if (edit.kind === 'replace') yield edit.friends.length / ROWS_LOOKED_THROUGH;
    const { ends, makes } = this.#stepsOf(edit);
    const countOf = new Map<string, number>();
    for (const { user } of makes) countOf.set(user, (countOf.get(user) ?? 0) + 1);
    let making: FriendsByUser | undefined;
    let ending: FriendsByUser | undefined;
    let rows = 0;
    let users = 0;
    for (const [user, atMost] of countOf) {
      if (++users % COUNTED_AT_ONCE === 0 || rows > 10_000) {
        yield COUNTED_AT_ONCE + rows / ROWS_LOOKED_THROUGH;
        rows = 0;
      }
      const count = this.#count.get(user)?.friends ?? 0;
      rows += count;
      if (count + atMost <= maxFriends) continue;
      // Only now is it worth reading which edges are new, and how many end.
      making ??= friendsByUser(makes);
      ending ??= friendsByUser(ends);
      const wanted = [...(making.get(user) ?? [])];
      rows += wanted.length * ROWS_LOOKED_THROUGH;
      const added = wanted.filter((friend) => !this.follows(user, friend)).length;
      const removed = ending.get(user)?.size ?? 0;
      if (added > removed && count + added - removed > maxFriends) return user;
    }
    return undefined;
  }

  changesSince(user: string, sinceMs: number): ListChanges | undefined {
    const removed = this.#tombstones.since(user, sinceMs);
    if (removed === undefined) return undefined;
    const stored = { added: unpack(this.#addedSince.get(user, sinceMs)), removed };
    return this.#unsettled?.changesSince(user, sinceMs, stored) ?? stored;
  }

  edit(edit: RosterEdit, atMs: number): RosterChange {
    const change = atOnce(this.editInParts(edit, atMs));
    atOnce(this.settleInParts());
    return change;
  }

  *editInParts(edit: RosterEdit, atMs: number): Parts<RosterChange> {
    if (this.#unsettled !== undefined) throw new Error('an edit of friend lists before the last one was settled');
    if (edit.kind === 'replace') yield edit.friends.length / ROWS_LOOKED_THROUGH;
    const steps = this.#stepsOf(edit);
    const size = steps.ends.length + steps.makes.length;
    if (size > EDGES_IN_PART) return yield* this.#begin(edit, steps, atMs);
    yield size;
    return inTransaction(this.#db, () => this.#apply(steps, atMs));
  }

  *settleInParts(): Parts<void> {
    for (let part = this.#parts[0]; part !== undefined; part = this.#parts[0]) {
      yield part.ends.length + part.makes.length;
      this.#settle(part);
    }
  }

  /** Completes an edit that the previous run left unsettled. For the start. */
  complete(): void {
    const pending = this.#pending.get();
    if (pending === undefined) return;
    inTransaction(this.#db, () => {
      this.#clearPending.run();
      this.#apply(this.#stepsOf(JSON.parse(pending.edit) as RosterEdit), pending.at);
    });
  }

  /** Finds out what a large edit changes, and makes it durable. */
  *#begin(edit: RosterEdit, { ends, makes }: EditSteps, atMs: number): Parts<RosterChange> {
    const unsettled = new UnsettledEdit(atMs);
    for (const part of inParts(ends)) {
      yield part.length / EDGES_ASKED_FOR;
      for (const edge of part) if (this.follows(edge.user, edge.friend)) unsettled.removes(edge);
    }
    for (const part of inParts(makes)) {
      yield part.length / EDGES_ASKED_FOR;
      for (const edge of part) {
        // In a later part this edge would fail at every attempt.
        if (edge.user === edge.friend) throw new RangeError('you cannot add yourself');
        if (!this.follows(edge.user, edge.friend)) unsettled.adds(edge);
      }
    }
    this.#setPending.run(atMs, JSON.stringify(edit));
    this.#unsettled = unsettled;
    this.#parts = [
      ...inParts(ends).map((part) => ({ ends: part, makes: [], atMs })),
      ...inParts(makes).map((part) => ({ ends: [], makes: part, atMs })),
    ];
    return unsettled.change;
  }

  #settle(part: EditPart): void {
    const isLast = this.#parts.length === 1;
    inTransaction(this.#db, () => {
      if (isLast) this.#clearPending.run();
      this.#apply(part, part.atMs);
    });
    this.#parts.shift();
    if (isLast) this.#unsettled = undefined;
  }

  forgetTombstones(nowMs: number): boolean {
    return this.#tombstones.forget(nowMs);
  }

  edgesOf(user: string): readonly Edge[] {
    return this.#edgesOf.all(user, EDGES_IN_PART).map((edge) => ({ ...edge }));
  }

  /** All edges in the order of their users and friends, after that one. */
  edgesAfter({ user, friend }: Edge, limit: number): readonly Edge[] {
    return this.#edgesAfter.all(user, friend, limit);
  }

  followersAfter(user: string, after: string, limit: number): readonly string[] {
    return this.#followersAfter.all(user, after, limit).map((follower) => follower.user);
  }

  eraseTombstones(user: string, atMs: number): boolean {
    return this.#tombstones.eraseSome(user, atMs);
  }

  #apply({ ends, makes }: EditSteps, atMs: number): RosterChange {
    const removed = ends.filter(({ user, friend }) => Number(this.#end.run(user, friend).changes) === 1);
    for (const edge of removed) this.#tombstones.add(edge, atMs);
    const added = makes.filter(({ user, friend }) => Number(this.#make.run(user, friend, atMs).changes) === 1);
    for (const edge of added) this.#tombstones.remove(edge);
    return { added, removed };
  }

  #stepsOf(edit: RosterEdit): EditSteps {
    switch (edit.kind) {
      case 'add':
        return { ends: [], makes: edit.edges };
      case 'remove':
        return { ends: edit.edges, makes: [] };
      case 'replace': {
        const { user, friends, mutual } = edit;
        const wanted = new Set(friends);
        const dropped = this.friendsOf(user).filter((friend) => !wanted.has(friend));
        return { ends: edgesOf(user, dropped, mutual), makes: edgesOf(user, friends, mutual) };
      }
    }
  }
}

interface EditSteps {
  readonly ends: readonly Edge[];
  readonly makes: readonly Edge[];
}

interface EditPart extends EditSteps {
  readonly atMs: number;
}

function inParts(edges: readonly Edge[]): (readonly Edge[])[] {
  const parts: (readonly Edge[])[] = [];
  for (let from = 0; from < edges.length; from += EDGES_IN_PART) parts.push(edges.slice(from, from + EDGES_IN_PART));
  return parts;
}

function atOnce<T>(parts: Parts<T>): T {
  for (;;) {
    const { done, value } = parts.next();
    if (done === true) return value;
  }
}

function edgesOf(user: string, friends: readonly string[], mutual: boolean): Edge[] {
  const own = friends.map((friend) => ({ user, friend }));
  return mutual ? own.flatMap((edge) => [edge, { user: edge.friend, friend: user }]) : own;
}

type FriendsByUser = ReadonlyMap<string, ReadonlySet<string>>;

function friendsByUser(edges: readonly Edge[]): FriendsByUser {
  const byUser = new Map<string, Set<string>>();
  for (const { user, friend } of edges) {
    const friends = byUser.get(user);
    if (friends === undefined) byUser.set(user, new Set([friend]));
    else friends.add(friend);
  }
  return byUser;
}
