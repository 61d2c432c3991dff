/**
 * Records the changes that this hub makes, and the times in which it knows everything, in a history that it shares with
 * other hubs. Writes in batches, off the hot path. What fails is repeated. Changes of a user within 50 ms are recorded as
 * the last of them, as watchers may be told of them. Records only what others are shown.
 *
 * If a hub dies before it has stored a change, the hub that makes the next change of the user stores both.
 */
import { MAX_FLUSH_WAIT_MS } from '../../shared/limits.ts';
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { UserStatus } from '../../shared/status.ts';
import { RecentMap } from '../lib/collections/recent-map.ts';
import type { Clock } from '../lib/time/clock.ts';
import { shownCause } from '../presence/shown-cause.ts';
import { gapsBetween } from './known-times.ts';
import type { Gap, HistoryRecorder, HistoryState } from './port.ts';
import type { KnownTime, SharedHistoryStore, VersionedTransition } from './shared-port.ts';

/** How a user was shown from some moment on. */
export interface ShownState {
  readonly status: UserStatus;
  /** Since when; null: never seen. */
  readonly since: number | null;
  readonly v: number;
  readonly cause: TransitionCause;
}

export interface SharedRecorderOptions {
  readonly store: SharedHistoryStore;
  readonly clock: Clock;
  /** The name of this hub now. It changes if the other hubs took it for dead. */
  readonly hub: () => string;
  /** Up to which moment this hub would know of a hub that died. Null while it knows nothing. */
  readonly heardUntil: () => number | null;
  /** The hubs that are alive, with this one; null while that is not known. */
  readonly alive: () => readonly string[] | null;
  /** What else is awaited before a user's history is read. */
  readonly refresh: (user: string) => Promise<void>;
  /** Whether the storage fails (an error), or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

interface Said extends KnownTime {
  readonly hub: string;
}

/** What is shown of these users may be out of date. */
interface Doubt {
  readonly users: readonly string[];
  readonly from: number;
  readonly to: number | null;
}

type Pending = VersionedTransition & { readonly openedAt: number };

/** How long a change may be on its way until it is noted here. */
const ON_ITS_WAY_MS = 1000;
const WRITE_EVERY_MS = 250;
const SURE_EVERY_MS = 1000;
const BATCH = 500;
/** If storage fails for so long that this many wait, the oldest are dropped, and their time is unknown. */
const MAX_QUEUED = 100_000;
/** How old a change of another hub may be that is stored again, in case that hub has died before it could. */
const REPEATED_FOR_MS = 600_000;
const NOTED_FOR_MS = 60_000;
const MOST_NOTED = 200_000;

export class SharedRecorder implements HistoryRecorder {
  readonly state: Pick<HistoryState, 'beganAt'>;
  readonly #options: SharedRecorderOptions;
  readonly #pending = new Map<string, Pending>();
  #queue: VersionedTransition[] = [];
  /** The last version of a user that was recorded here. */
  readonly #noted = new RecentMap<string, { v: number }>({ keepMs: NOTED_FOR_MS, capacity: MOST_NOTED });
  #doubts: Doubt[] = [];
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  #saidAtMs = -Infinity;
  /** The names under which this hub has said how much is stored. */
  #names = new Set<string>();
  /** Since when this hub knows everything; null while it does not. */
  #knownFrom: number | null = null;
  /** The known time that was said last. */
  #saidKnown: Said | null = null;
  /** The same, if its end was too late. */
  #correction: Said | null = null;
  #lostFrom: number | null = null;
  #isStopped = false;

  /** Begins in doubt. `doubt` says when that ends. */
  constructor(options: SharedRecorderOptions, state: Pick<HistoryState, 'beganAt'>) {
    this.#options = options;
    this.state = state;
    this.#timer = setInterval(() => void this.flush(), WRITE_EVERY_MS);
  }

  /** Notes a change that this hub has made, and the one before it, which another hub may have failed to store. */
  changed(user: string, before: ShownState | undefined, after: ShownState): void {
    if (before !== undefined) this.repeat(user, before);
    const noted = this.#notedOf(user);
    const from = before?.status ?? null;
    if (after.v <= noted.v || after.v === before?.v) return;
    noted.v = after.v;
    if (from === after.status || after.since === null) return;
    const cause = shownCause(after.cause, from ?? 'offline', after.status);
    const pending = this.#pending.get(user);
    const goesOn = pending !== undefined && pending.v === before?.v && this.#isOpen(pending, after.since);
    if (goesOn) {
      this.#pending.set(user, { ...pending, at: after.since, v: after.v, to: after.status, cause });
      return;
    }
    this.#close(user);
    const { since: at, v, status: to } = after;
    this.#pending.set(user, { user, at, firstV: v, v, from, to, cause, openedAt: at });
  }

  /** Notes how a user is shown, if another hub may have failed to store that. */
  repeat(user: string, { status, since, v, cause }: ShownState): void {
    const noted = this.#notedOf(user);
    if (v <= noted.v || since === null || this.#now - since > REPEATED_FOR_MS) return;
    noted.v = v;
    this.#close(user);
    const shown = shownCause(cause, status === 'offline' ? 'online' : 'offline', status);
    this.#enqueue({ user, at: since, firstV: v, v, from: null, to: status, cause: shown });
  }

  /** Notes since when everything shown may be out of date; null: it is certain again. */
  doubt(since: number | null): void {
    const said = this.#saidKnown;
    if (since !== null && said !== null && said.to > since) {
      this.#correction = { ...said, to: Math.max(since, said.from) };
    }
    if (since !== null) this.#knownFrom = null;
    else this.#knownFrom ??= this.#now;
  }

  /** Notes that what is shown of these users may be out of date. `to` is null if the end is not known yet. */
  doubtUsers(users: readonly string[], from: number, to: number | null): void {
    if (users.length > 0) this.#doubts.push({ users, from, to });
  }

  async ready(user: string): Promise<void> {
    await this.#options.refresh(user);
    if (this.#pending.has(user) || this.#queue.some((one) => one.user === user)) {
      this.#close(user);
      await this.flush();
    }
  }

  unstoredOf(): readonly never[] {
    return [];
  }

  /** Forgets what is not stored yet of a user up to that version, and resolves when nothing of it is on its way. */
  async forget(user: string, v: number): Promise<void> {
    if ((this.#pending.get(user)?.v ?? Infinity) <= v) this.#pending.delete(user);
    this.#queue = this.#queue.filter((one) => one.user !== user || one.v > v);
    this.#doubts = this.#doubts.map((doubt) => ({ ...doubt, users: doubt.users.filter((id) => id !== user) }));
    await this.#writing;
  }

  /** Times of which this hub knows that they are unknown to all hubs, and those in which it knew. */
  async gaps(from: number, to: number): Promise<Gap[]> {
    const { known, lost } = await this.#options.store.knownTimes(from, to);
    const own = this.#knownFrom === null ? [] : [{ from: this.#knownFrom, to: this.#now }];
    return gapsBetween([...known, ...own], lost, { from: Math.max(from, this.state.beganAt), to });
  }

  /** Stores everything that is known now. Resolves when that is tried. */
  async flush(): Promise<void> {
    this.#closeWindows(false);
    while (this.#writing !== undefined) await this.#writing;
    await (this.#writing = this.#write().finally(() => (this.#writing = undefined)));
  }

  /** Stores everything up to now, because this hub ends. What its users do until `stop` is stored then. */
  async leaving(): Promise<void> {
    this.#isStopped = true;
    this.#closeWindows(true);
    this.#saidAtMs = -Infinity;
    await this.flush();
    this.#knownFrom = null;
  }

  /** Stores the rest, and that nothing of this hub is missing. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#closeWindows(true);
    await this.flush();
    const isAllStored = this.#queue.length === 0 && this.#doubts.length === 0;
    if (isAllStored) for (const name of this.#names) await this.#options.store.leave(name).catch(() => undefined);
  }

  get #now(): number {
    return this.#options.clock.now().wallMs;
  }

  #notedOf(user: string): { v: number } {
    return this.#noted.get(user, this.#options.clock.now().monoMs, () => ({ v: 0 }));
  }

  #isOpen({ openedAt }: Pending, at: number): boolean {
    return at >= openedAt && at - openedAt < MAX_FLUSH_WAIT_MS;
  }

  #closeWindows(all: boolean): void {
    for (const [user, pending] of this.#pending) if (all || !this.#isOpen(pending, this.#now)) this.#close(user);
  }

  #close(user: string): void {
    const pending = this.#pending.get(user);
    if (pending === undefined) return;
    this.#pending.delete(user);
    if (pending.from !== pending.to) this.#enqueue(pending);
  }

  #enqueue(transition: VersionedTransition): void {
    this.#queue.push(transition);
    if (this.#queue.length <= MAX_QUEUED) return;
    this.#lostFrom = Math.min(this.#lostFrom ?? Infinity, this.#queue.shift()?.at ?? Infinity);
  }

  async #write(): Promise<void> {
    const { store, onHealth } = this.#options;
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue.slice(0, BATCH);
        await store.record(batch);
        const written = new Set(batch);
        this.#queue = this.#queue.filter((one) => !written.has(one));
      }
      for (let doubt = this.#doubts[0]; doubt !== undefined; doubt = this.#doubts[0]) {
        await store.setDoubt(this.#options.hub(), doubt.users, doubt.from, doubt.to);
        this.#doubts = this.#doubts.filter((one) => one !== doubt);
      }
      if (performance.now() - this.#saidAtMs >= SURE_EVERY_MS || this.#correction !== null) await this.#say();
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
    }
  }

  /** Says what this hub knows, and what of it is stored. */
  async #say(): Promise<void> {
    const { store, hub, heardUntil, alive } = this.#options;
    const name = hub();
    const [correction, lostFrom] = [this.#correction, this.#lostFrom];
    if (correction !== null) await store.setKnown(correction.hub, correction);
    if (this.#correction === correction) this.#correction = null;
    if (lostFrom !== null) await store.setLost(name, { from: lostFrom, to: this.#now });
    this.#lostFrom = null;
    const writtenUntil = this.#writtenUntil;
    const [until, living] = [heardUntil(), alive()];
    this.#names.add(name);
    if (living !== null) await store.setWritten(name, writtenUntil, living);
    for (const former of this.#names) if (former !== name) await store.leave(former);
    this.#names = new Set([name]);
    if (this.#knownFrom !== null && until !== null) {
      const known = { hub: name, from: this.#knownFrom, to: Math.min(until, writtenUntil) };
      // Before it is stored, so that a doubt which comes meanwhile corrects it.
      if (known.to > known.from) this.#saidKnown = known;
      if (known.to > known.from) await store.setKnown(name, known);
    }
    this.#saidAtMs = performance.now();
  }

  /** Everything before it is stored. A change that is on its way for longer makes a hub doubt everything. */
  get #writtenUntil(): number {
    const waiting = [...this.#queue, ...this.#pending.values()].map(({ at }) => at);
    return waiting.reduce((least, at) => Math.min(least, at), this.#now - (this.#isStopped ? 0 : ON_ITS_WAY_MS));
  }
}
