/**
 * The friend lists of a remote source that are in memory. Loads lists in batches, keeps the ones in use up to date, and
 * answers with the last known list while the source is unavailable. A list that was never read is not answered then:
 * the hub must not take it for an empty one. Knows neither PostgreSQL nor HTTP.
 */
import { StorageUnavailable } from '../lib/storage-unavailable.ts';
import { CachedList } from './cached-list.ts';
import type { ListChanges, Maybe, Roster, RosterChange } from './port.ts';
import type { ListListener, ListSource, ReadList } from './remote.ts';

/** Maximum lists in memory, and maximum friends on all of them (about 100 bytes each). Lists in use may exceed both. */
const MAX_LISTS = 50_000;
const MAX_FRIENDS_HELD = 1_000_000;
/** Lists read at once. */
const READ_AT_ONCE = 500;
/** While the source fails, it is asked this often. */
const RETRY_MS = 1000;
/** How often lists in use are checked for their age. */
const TICK_MS = 250;

export interface CachedRosterOptions {
  readonly source: ListSource;
  /** How long a list is answered without reading it again; Infinity if the source reports changes. */
  readonly ttlMs: number;
  /** By how much the time of a change may differ between hubs that answer each other's `since`; 0 for a single hub. */
  readonly slackMs: number;
  readonly monoMs: () => number;
  /** Reports that the source fails as a whole, or is well again (undefined). */
  readonly onHealth: (error: StorageUnavailable | undefined) => void;
}

interface Reading {
  /** On the hub clock. */
  readonly beganMs: number;
  readonly done: Promise<void>;
  readonly settle: (error: Error | undefined) => void;
  /** A list read before this change must be read again. */
  leastPosition: number;
  /** The list must be read again, because somebody asked for it after it was read. */
  isAgain: boolean;
}

/** A change of one edge, with its number. */
export interface NumberedChange {
  readonly id: number;
  readonly user: string;
  readonly friend: string;
  readonly isAdded: boolean;
}

const unconnected: ListListener = {
  changed: () => ({ atMs: 0, notified: Promise.resolve() }),
  isInUse: () => false,
  now: () => 0,
};

export class CachedRoster implements Roster {
  readonly #options: CachedRosterOptions;
  /** The least recently loaded first. */
  readonly #lists = new Map<string, CachedList>();
  /** When each list is too old (monotonic milliseconds), the oldest first. */
  readonly #freshUntil = new Map<string, number>();
  readonly #reading = new Map<string, Reading>();
  #queue: string[] = [];
  #friendsHeld = 0;
  #failedAt = -Infinity;
  #failure: StorageUnavailable | undefined;
  #listener = unconnected;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CachedRosterOptions) {
    this.#options = options;
  }

  start(listener: ListListener): void {
    this.#listener = listener;
    if (this.#options.ttlMs !== Infinity) this.#timer = setInterval(() => this.#refreshOld(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    const stopped = new StorageUnavailable('is closed', new Error('the hub is stopping'));
    for (const { settle } of this.#reading.values()) settle(stopped);
  }

  load(users: readonly string[]): Promise<void> | undefined {
    const waits: Promise<void>[] = [];
    for (const user of users) {
      const list = this.#lists.get(user);
      if (list === undefined) {
        waits.push(this.#failure === undefined || this.#mayAsk() ? this.#read(user) : Promise.reject(this.#failure));
        continue;
      }
      this.#lists.delete(user);
      this.#lists.set(user, list);
      if (!this.#isOld(user) || !this.#mayAsk()) continue;
      const read = this.#read(user).catch(() => undefined);
      // During an outage the known list answers at once, so that nobody waits for each next attempt.
      if (this.#failure === undefined) waits.push(read);
    }
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  friendsOf(user: string): readonly string[] {
    return this.#listOf(user).friends;
  }

  follows(user: string, friend: string): boolean {
    return this.#listOf(user).has(friend);
  }

  changesSince(user: string, sinceMs: number): ListChanges | undefined {
    return this.#lists.get(user)?.changesSince(sinceMs, this.#options.slackMs);
  }

  followersAfter(user: string, after: string, limit: number): Maybe<readonly string[]> {
    return this.#options.source.followersAfter?.(user, after, limit) ?? [];
  }

  /** Reads a list again that is in memory or is being read. Rejects with `StorageUnavailable`. */
  async refresh(user: string): Promise<void> {
    const reading = this.#reading.get(user);
    if (reading !== undefined) {
      reading.isAgain = true;
      await reading.done;
    } else if (this.#lists.has(user)) await this.#read(user);
  }

  /** Reads all lists in use again, and forgets the others. Notifies watchers of the differences. */
  async refreshAll(): Promise<void> {
    for (const [user, list] of this.#lists) if (!this.#listener.isInUse(user)) this.#forget(user, list);
    const users = [...new Set([...this.#lists.keys(), ...this.#reading.keys()])];
    await Promise.allSettled(users.map((user) => this.refresh(user)));
  }

  /** Applies changes in their order. Resolves when watchers are notified. */
  apply(changes: readonly NumberedChange[]): Promise<void> {
    const last = new Map<string, NumberedChange>();
    for (const change of changes) {
      const { id, user, friend, isAdded } = change;
      const reading = this.#reading.get(user);
      if (reading !== undefined) reading.leastPosition = id;
      const list = this.#lists.get(user);
      if (list !== undefined && id > list.position && list.apply(friend, isAdded))
        this.#friendsHeld += isAdded ? 1 : -1;
      list?.reached(id);
      last.set(`${user} ${friend}`, change);
    }
    const net = [...last.values()].map((change) => {
      const list = this.#lists.get(change.user);
      return list === undefined ? change : { ...change, isAdded: list.has(change.friend) };
    });
    return this.#announce({
      added: net.filter(({ isAdded }) => isAdded).map(({ user, friend }) => ({ user, friend })),
      removed: net.filter(({ isAdded }) => !isAdded).map(({ user, friend }) => ({ user, friend })),
    });
  }

  #announce(change: RosterChange): Promise<void> {
    const { atMs, notified } = this.#listener.changed(change);
    for (const { user, friend } of change.removed) this.#lists.get(user)?.note(atMs, friend, false);
    for (const { user, friend } of change.added) this.#lists.get(user)?.note(atMs, friend, true);
    return notified;
  }

  #listOf(user: string): CachedList {
    const list = this.#lists.get(user);
    if (list !== undefined) return list;
    throw new StorageUnavailable('is being read again', new Error('a friend list was read before it was loaded'));
  }

  #isOld(user: string): boolean {
    return this.#options.ttlMs !== Infinity && (this.#freshUntil.get(user) ?? 0) <= this.#options.monoMs();
  }

  /** While the source fails, one read after another finds out whether it is well again. */
  #mayAsk(): boolean {
    return this.#failure === undefined || this.#options.monoMs() - this.#failedAt >= RETRY_MS;
  }

  #read(user: string): Promise<void> {
    const known = this.#reading.get(user);
    if (known !== undefined) return known.done;
    let settle: (error: Error | undefined) => void = () => undefined;
    const done = new Promise<void>((resolve, reject) => {
      settle = (error) => {
        this.#reading.delete(user);
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    done.catch(() => undefined); // nobody may be waiting
    this.#reading.set(user, { beganMs: this.#listener.now(), done, settle, leastPosition: 0, isAgain: false });
    this.#enqueue(user);
    return done;
  }

  #enqueue(user: string): void {
    this.#queue.push(user);
    if (this.#queue.length === 1) setImmediate(() => this.#readQueue());
  }

  #readQueue(): void {
    const users = this.#queue;
    this.#queue = [];
    for (let from = 0; from < users.length; from += READ_AT_ONCE) {
      void this.#readBatch(users.slice(from, from + READ_AT_ONCE));
    }
  }

  async #readBatch(users: readonly string[]): Promise<void> {
    for (const user of users) {
      const reading = this.#reading.get(user);
      if (reading !== undefined) reading.isAgain = false;
    }
    let answers: Awaited<ReturnType<ListSource['read']>>;
    try {
      answers = await this.#options.source.read(users);
    } catch (error) {
      if (error instanceof StorageUnavailable) this.#failed(error);
      for (const user of users) this.#reading.get(user)?.settle(error as Error);
      return;
    }
    if (this.#failure !== undefined) {
      this.#failure = undefined;
      this.#options.onHealth(undefined);
    }
    for (const user of users) this.#answered(user, answers.get(user));
  }

  #answered(user: string, answer: ReadList | StorageUnavailable | undefined): void {
    const reading = this.#reading.get(user);
    if (reading === undefined) return;
    if (answer === undefined || answer instanceof StorageUnavailable) {
      this.#freshUntil.delete(user);
      this.#freshUntil.set(user, this.#options.monoMs() + Math.min(this.#options.ttlMs, RETRY_MS));
      reading.settle(answer ?? new StorageUnavailable('left out a list', new Error(user)));
    } else if (answer.position < reading.leastPosition || reading.isAgain) this.#enqueue(user);
    else void this.#adopt(user, answer, reading.beganMs).then(() => reading.settle(undefined), reading.settle);
  }

  #adopt(user: string, read: ReadList, beganMs: number): Promise<void> {
    const { monoMs, ttlMs } = this.#options;
    this.#freshUntil.delete(user);
    if (ttlMs !== Infinity) this.#freshUntil.set(user, monoMs() + ttlMs);
    const list = this.#lists.get(user);
    if (list === undefined) {
      // Nobody used the list while it was not in memory, so every `at` sent before is below the clock.
      const fresh = new CachedList(user, read, beganMs - 1);
      this.#lists.set(user, fresh);
      this.#friendsHeld += fresh.size;
      this.#trim();
      return Promise.resolve();
    }
    const change = list.differenceTo(read);
    list.reached(read.position);
    if (change.added.length + change.removed.length === 0) return Promise.resolve();
    for (const { friend } of change.removed) list.apply(friend, false);
    for (const { friend } of change.added) list.apply(friend, true);
    this.#friendsHeld += change.added.length - change.removed.length;
    return this.#announce(change);
  }

  #failed(error: StorageUnavailable): void {
    this.#failedAt = this.#options.monoMs();
    const isNew = this.#failure === undefined;
    this.#failure = error;
    if (isNew) this.#options.onHealth(error);
  }

  /** Reads lists in use that are too old. During an outage, one list at a time is tried. */
  #refreshOld(): void {
    const { monoMs, ttlMs } = this.#options;
    const nowMs = monoMs();
    for (const [user, until] of this.#freshUntil) {
      if (until > nowMs || !this.#mayAsk()) return;
      this.#freshUntil.delete(user);
      if (!this.#listener.isInUse(user)) continue;
      this.#read(user).catch(() => this.#freshUntil.set(user, monoMs() + Math.min(ttlMs, RETRY_MS)));
      if (this.#failure !== undefined) return;
    }
  }

  #trim(): void {
    if (this.#lists.size <= MAX_LISTS && this.#friendsHeld <= MAX_FRIENDS_HELD) return;
    for (const [user, list] of this.#lists) {
      if (this.#lists.size <= 0.9 * MAX_LISTS && this.#friendsHeld <= 0.9 * MAX_FRIENDS_HELD) return;
      if (!this.#listener.isInUse(user)) this.#forget(user, list);
    }
  }

  #forget(user: string, list: CachedList): void {
    this.#lists.delete(user);
    this.#freshUntil.delete(user);
    this.#friendsHeld -= list.size;
  }
}
