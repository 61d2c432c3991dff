/**
 * Records the changes that this hub makes, and the times in which it knows everything, in a history that it shares with
 * other hubs. Writes in batches, off the hot path, and repeats failed writes. Of the changes of a user within 50 ms only
 * the last is recorded, because watchers may receive only the last. Records only what others are shown.
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
import { MIN_STALL_MS } from './recorder.ts';
import type { KnownTime, SharedHistoryStore, VersionedTransition } from './shared-port.ts';

/** The shown status of a user since `since`. */
export interface ShownState {
  readonly status: UserStatus;
  /** Null: the user was never seen. */
  readonly since: number | null;
  readonly v: number;
  readonly cause: TransitionCause;
}

export interface SharedRecorderOptions {
  readonly store: SharedHistoryStore;
  readonly clock: Clock;
  /** The present name of this hub. It changes if the other hubs declared it dead. */
  readonly hub: () => string;
  /** Up to which time this hub has noticed all deaths of hubs. Null while that is unknown. */
  readonly deathsKnownUntil: () => number | null;
  /** The live hubs including this one; null while they are unknown. */
  readonly alive: () => readonly string[] | null;
  /** Awaited before a user's history is read. */
  readonly refresh: (user: string) => Promise<void>;
  /** Reports that storage fails (an error), or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

interface ReportedTime extends KnownTime {
  readonly hub: string;
}

/** The shown states of these users may be outdated. */
interface Doubt {
  readonly users: readonly string[];
  readonly from: number;
  readonly to: number | null;
}

type Pending = VersionedTransition & { readonly openedAt: number };

/** How long a change may take from its time until it is recorded here. */
const IN_FLIGHT_MS = 1000;
const WRITE_EVERY_MS = 250;
const SURE_EVERY_MS = 1000;
const BATCH = 500;
/** If this many transitions wait because storage fails, the oldest are dropped, and their time is unknown. */
const MAX_QUEUED = 100_000;
/** Maximum age of a change of another hub that this hub stores too, in case that hub died before it stored it. */
const REPEATED_FOR_MS = 600_000;
const RECORDED_FOR_MS = 60_000;
const MAX_RECORDED = 200_000;

export class SharedRecorder implements HistoryRecorder {
  readonly state: Pick<HistoryState, 'beganAt'>;
  readonly #options: SharedRecorderOptions;
  readonly #pending = new Map<string, Pending>();
  #queue: VersionedTransition[] = [];
  /** The last version of each user that was recorded here. */
  readonly #recorded = new RecentMap<string, { v: number }>({ keepMs: RECORDED_FOR_MS, capacity: MAX_RECORDED });
  #doubts: Doubt[] = [];
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  #reportedAtMs = -Infinity;
  /** The names under which this hub has stored how much it has written. */
  #names = new Set<string>();
  /** Since when this hub knows everything. Null while it does not. */
  #knownFrom: number | null = null;
  /** The known time that was stored last. */
  #reportedKnown: ReportedTime | null = null;
  /** Its corrected form, if its end was too late. */
  #correction: ReportedTime | null = null;
  #lostFrom: number | null = null;
  /** Stalls of this hub that are not stored yet. */
  #stalls: KnownTime[] = [];
  #isStopped = false;

  /** This hub knows nothing until `doubt(null)` is called. */
  constructor(options: SharedRecorderOptions, state: Pick<HistoryState, 'beganAt'>) {
    this.#options = options;
    this.state = state;
    this.#timer = setInterval(() => void this.flush(), WRITE_EVERY_MS);
  }

  /** Records a change that this hub made, and the one before it, which another hub may have failed to store. */
  changed(user: string, before: ShownState | undefined, after: ShownState): void {
    if (before !== undefined) this.repeat(user, before);
    const recorded = this.#recordedOf(user);
    const from = before?.status ?? null;
    if (after.v <= recorded.v || after.v === before?.v) return;
    recorded.v = after.v;
    if (from === after.status || after.since === null) return;
    const cause = shownCause(after.cause, from ?? 'offline', after.status);
    const pending = this.#pending.get(user);
    const continues = pending !== undefined && pending.v === before?.v && this.#isOpen(pending, after.since);
    if (continues) {
      this.#pending.set(user, { ...pending, at: after.since, v: after.v, to: after.status, cause });
      return;
    }
    this.#close(user);
    const { since: at, v, status: to } = after;
    this.#pending.set(user, { user, at, firstV: v, v, from, to, cause, openedAt: at });
  }

  /** Records the shown state of a user, because another hub may have failed to store it. */
  repeat(user: string, { status, since, v, cause }: ShownState): void {
    const recorded = this.#recordedOf(user);
    if (v <= recorded.v || since === null || this.#now - since > REPEATED_FOR_MS) return;
    recorded.v = v;
    this.#close(user);
    // The store knows the status before it. From offline, the cause is `began`.
    const shown = shownCause(cause, 'online', status);
    this.#enqueue({ user, at: since, firstV: v, v, from: null, to: status, cause: shown });
  }

  /** Records since when all shown states may be outdated. Null: they are certain again. */
  doubt(since: number | null): void {
    const reported = this.#reportedKnown;
    if (since !== null && reported !== null && reported.to > since) {
      this.#correction = { ...reported, to: Math.max(since, reported.from) };
    }
    if (since !== null) this.#knownFrom = null;
    else this.#knownFrom ??= this.#now;
  }

  /** Records that the shown states of these users may be outdated. `to` is null if the end is not known yet. */
  doubtUsers(users: readonly string[], from: number, to: number | null): void {
    if (users.length > 0) this.#doubts.push({ users, from, to });
  }

  /** Records that this hub stood still: nobody knew then what its sessions did. */
  stalled({ from, to }: KnownTime): void {
    if (to - from >= MIN_STALL_MS) this.#stalls.push({ from, to });
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

  /** Drops the transitions of a user up to version `v` that are not stored yet. Resolves when none is being written. */
  async forget(user: string, v: number): Promise<void> {
    if ((this.#pending.get(user)?.v ?? Infinity) <= v) this.#pending.delete(user);
    this.#queue = this.#queue.filter((one) => one.user !== user || one.v > v);
    this.#doubts = this.#doubts.map((doubt) => ({ ...doubt, users: doubt.users.filter((id) => id !== user) }));
    await this.#writing;
  }

  /** The gaps, computed from the stored known times of all hubs and the present one of this hub. */
  async gaps(from: number, to: number): Promise<Gap[]> {
    const { known, lost } = await this.#options.store.knownTimes(from, to);
    const own = this.#knownFrom === null ? [] : [{ from: this.#knownFrom, to: this.#now }];
    return gapsBetween([...known, ...own], lost, { from: Math.max(from, this.state.beganAt), to });
  }

  /** Stores everything that is complete now. Resolves after the attempt, even if it failed. */
  async flush(): Promise<void> {
    this.#closeWindows(false);
    while (this.#writing !== undefined) await this.#writing;
    await (this.#writing = this.#write().finally(() => (this.#writing = undefined)));
  }

  /** Stores everything up to now, because this hub ends. `stop` stores later changes. */
  async leaving(): Promise<void> {
    this.#isStopped = true;
    this.#closeWindows(true);
    this.#reportedAtMs = -Infinity;
    await this.flush();
    this.#knownFrom = null;
  }

  /** Stores the rest, and that no change of this hub is missing. */
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

  #recordedOf(user: string): { v: number } {
    return this.#recorded.get(user, this.#options.clock.now().monoMs, () => ({ v: 0 }));
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
      if (performance.now() - this.#reportedAtMs >= SURE_EVERY_MS || this.#correction !== null) await this.#report();
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
    }
  }

  /** Stores up to which time this hub knows everything, and up to which time its changes are stored. */
  async #report(): Promise<void> {
    const { store, hub, deathsKnownUntil, alive } = this.#options;
    const name = hub();
    const [correction, lostFrom] = [this.#correction, this.#lostFrom];
    if (correction !== null) await store.setKnown(correction.hub, correction);
    if (this.#correction === correction) this.#correction = null;
    if (lostFrom !== null) await store.setLost(name, { from: lostFrom, to: this.#now });
    this.#lostFrom = null;
    for (let stall = this.#stalls[0]; stall !== undefined; stall = this.#stalls[0]) {
      await store.setLost(name, stall);
      this.#stalls.shift();
    }
    const writtenUntil = this.#writtenUntil;
    const [until, living] = [deathsKnownUntil(), alive()];
    this.#names.add(name);
    if (living !== null) await store.setWritten(name, writtenUntil, living);
    for (const former of this.#names) if (former !== name) await store.leave(former);
    this.#names = new Set([name]);
    if (this.#knownFrom !== null && until !== null) {
      const known = { hub: name, from: this.#knownFrom, to: Math.min(until, writtenUntil) };
      // Set before it is stored, so that a doubt during the write corrects it.
      if (known.to > known.from) this.#reportedKnown = known;
      if (known.to > known.from) await store.setKnown(name, known);
    }
    this.#reportedAtMs = performance.now();
  }

  /** All changes before it are stored. If a change takes longer than IN_FLIGHT_MS, the hub is uncertain of everything. */
  get #writtenUntil(): number {
    const waiting = [...this.#queue, ...this.#pending.values()].map(({ at }) => at);
    return waiting.reduce((least, at) => Math.min(least, at), this.#now - (this.#isStopped ? 0 : IN_FLIGHT_MS));
  }
}
