/**
 * Opens storage and handles its failures: presence continues, `/readyz` reports what fails, and failed work is
 * repeated. The store and the roster know how to keep data; this module knows when.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../lib/log/log.ts';
import { QuietLog } from '../lib/log/quiet-log.ts';
import { describeTrouble, isSqlError } from '../storage/sqlite/sqlite.ts';
import { CEILING_AHEAD_MS, VersionClock } from '../presence/version-clock.ts';
import { datedBy } from '../presence/future-dates.ts';
import type { Presence } from '../presence/presence.ts';
import type { Remembered, User } from '../presence/user.ts';
import type { Roster } from '../roster/port.ts';
import { SqliteRoster } from '../storage/sqlite/sqlite-roster.ts';
import {
  DataInUseError,
  explainStorage,
  MEMORY,
  openDatabase,
  type OpenedDatabase,
} from '../storage/sqlite/database.ts';
import type { Store, StoreState } from '../storage/port.ts';
import { SqliteHistory } from '../storage/sqlite/sqlite-history.ts';
import type { HistoryStore } from '../history/port.ts';
import { SqliteStore } from '../storage/sqlite/sqlite-store.ts';
import { storedEntryOf } from '../storage/stored-entry.ts';
import { WalWatch } from '../storage/sqlite/wal-watch.ts';
import { WriteBehind } from '../storage/write-behind.ts';
import { Forgetting } from './forgetting.ts';
import type { HubContext } from './context.ts';

export interface Storage {
  readonly store: Store;
  readonly roster: Roster;
  readonly hubClock: VersionClock;
  readonly historyStore: HistoryStore;
}

/** How long a start waits for a previous hub to release HUB_DATA, and how often it checks. */
const IN_USE_FOR_MS = 15_000;
const IN_USE_LOOK_EVERY_MS = 100;

/** @throws {StorageError} if HUB_DATA cannot be used; {DataInUseError} if another hub uses it, or on an interrupt. */
export async function openStorage(site: HubContext, interrupted: AbortSignal): Promise<Storage> {
  const { config, onStop } = site;
  const database = await openWhenFree(site, interrupted);
  onStop(() => {
    database.close();
  });
  watchWal(site, database);
  const store = new SqliteStore(database, CEILING_AHEAD_MS, nameCorrupt(site));
  const roster = new SqliteRoster(database);
  completeEdit(roster, config.data);
  const hubClock = new VersionClock(store.state.clockFloor, (ceiling) =>
    tryStorage(site, 'versions', () => {
      store.raiseCeiling(ceiling);
    }),
  );
  return { store, roster, hubClock, historyStore: new SqliteHistory(database, config.historyPerDay) };
}

async function openWhenFree({ config, clock, log }: HubContext, interrupted: AbortSignal): Promise<OpenedDatabase> {
  const giveUpAt = performance.now() + IN_USE_FOR_MS;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return openDatabase(config.data, { sync: config.sqliteSync, wallMs: clock.now().wallMs });
    } catch (error) {
      const mustWait = error instanceof DataInUseError && !interrupted.aborted && performance.now() < giveUpAt;
      if (!mustWait) throw error;
      if (isFirst)
        log.warn(`HUB_DATA=${config.data} is in use by another hub: waiting ${IN_USE_FOR_MS / 1000} s for its end`);
      await delay(IN_USE_LOOK_EVERY_MS);
    }
  }
}

function watchWal({ log, onStop }: HubContext, { db, file }: OpenedDatabase): void {
  if (file === MEMORY) return;
  const watch = new WalWatch({
    db,
    file,
    onGrown: (bytes, cause) => {
      log.warn(
        { file: `${file}-wal`, bytes },
        cause === 'held'
          ? 'the write-ahead log grows, since another program keeps reading hub.sqlite: end what has it open'
          : 'the write-ahead log grows, since it cannot be copied into hub.sqlite: see to the disk',
      );
    },
  });
  onStop(() => watch.stop());
}

/** Completes an edit of friend lists that the previous run had stored only in part. */
function completeEdit(roster: SqliteRoster, path: string): void {
  try {
    roster.complete();
  } catch (error) {
    throw explainStorage(path, error);
  }
}

/** Maximum strangers whose entries are kept: 100 bytes each. Without a disk, they take memory. */
const MAX_STRANGERS = 1_000_000;
const MAX_STRANGERS_IN_MEMORY = 100_000;

export function buildForgetting(site: HubContext, { store, hubClock }: Storage, presence: Presence): Forgetting {
  return new Forgetting({
    store,
    isHeld: (user) => presence.find(user) !== undefined,
    now: () => hubClock.now(site.clock.now().wallMs),
    maxStrangers: site.config.data === MEMORY ? MAX_STRANGERS_IN_MEMORY : MAX_STRANGERS,
    attempt: (work) => tryStorage(site, 'forgetting', work),
  });
}

/** Corrupt rows that are logged individually before only their number is. */
const NAMED_AT_ONCE = 10;

/**
 * Logs the first corrupt rows individually, and later ones at most once a second, because the same row may be read
 * often.
 */
function nameCorrupt({ log, clock }: HubContext): (row: string) => void {
  const quiet = new QuietLog(clock);
  let named = 0;
  return (row) => {
    const tell = (leftOut: number): void => {
      log.error({ row, leftOut }, 'a corrupt stored row was skipped: the next change of it writes a sound one');
    };
    if (named++ < NAMED_AT_ONCE) tell(0);
    else quiet.maybe(tell);
  };
}

/** Turns an SQLite error during the start into a sentence for the operator. Returns any other error unchanged. */
export function explainStart(data: string, error: unknown): unknown {
  return isSqlError(error) ? explainStorage(data, error) : error;
}

export function buildWriteBehind(
  site: HubContext,
  store: Store,
  presence: Presence,
  onLeft: () => void,
): WriteBehind<User> {
  return new WriteBehind<User>({
    store,
    storedOf: (user) => storedEntryOf(presence.entryOf(user), presence.sessionsOf(user, site.clock.now())),
    // Without a disk there is no next run, so sessions are not stored. A present user is in memory, and is stored on
    // leaving.
    mustKeep: site.config.data === MEMORY ? (user) => user.firstSession === null : () => true,
    onSaved: (user) => {
      if (user.firstSession === null && user.audience?.isEmpty !== false) onLeft();
      presence.release(user);
    },
    onHealth: (error) => {
      reportStorage(site, 'entries', error);
    },
  });
}

/** A stop has two seconds in total. */
const LAST_SIGNS_WITHIN_MS = 1000;
const LAST_SIGNS_A_FLUSH = 1000;

/** Any id serves to test whether the store can be read. */
const RETRIED_USER = '42';

/** How often failed storage work is repeated, in addition to requests that happen to use it. */
const RETRY_EVERY_MS = 1000;

/** Repeats failed storage work periodically, so that a recovery is noticed. `more` repeats the caller's own work. */
export function startRetryingStorage(site: HubContext, lasting: Storage, more: () => void): void {
  const timer = setInterval(() => {
    if (site.failing.has('recall')) recall(site, lasting, RETRIED_USER);
    if (site.failing.has('versions')) lasting.hubClock.now(site.clock.now().wallMs);
    more();
  }, RETRY_EVERY_MS);
  site.onStop(() => {
    clearInterval(timer);
  });
}

/**
 * Whether the store can answer what changed after `since`. It cannot if `since` is before `certainFrom`. It also cannot
 * if `since` lies between the end of the last run and this start. The hub issued nothing in that time, unless the store
 * was replaced by an older backup.
 */
export function isCertain({ certainFrom, lastRunEndedBy, clockFloor }: StoreState, since: number): boolean {
  const isForeign = lastRunEndedBy !== null && since > lastRunEndedBy && since < clockFloor;
  return since >= certainFrom && !isForeign;
}

/** Loads what the store knows of a user. If it cannot be read, the answer is only that the user is not here. */
export function recall(
  site: HubContext,
  lasting: Storage,
  id: string,
  isHeld?: (id: string) => boolean,
): Remembered | undefined {
  const { store, hubClock } = lasting;
  let remembered: Remembered | undefined;
  if (!tryStorage(site, 'recall', () => (remembered = store.recall(id)))) {
    const { wallMs } = site.clock.now();
    return { since: wallMs, lastSeen: null, v: hubClock.now(wallMs) };
  }
  if (remembered === undefined) return undefined;
  const dated = datedBy(remembered, site.clock.now().wallMs, hubClock);
  // Corrects the row, so that the next read finds the right date. The write-behind stores users in memory, so they are
  // left out.
  if (dated !== remembered && isHeld?.(id) !== true) {
    tryStorage(site, 'dates', () => {
      store.correct([{ user: id, ...dated }]);
    });
  }
  return dated;
}

/** Like `recall`, for many users, in their order. */
export function recallMany(
  site: HubContext,
  { store, hubClock }: Storage,
  ids: readonly string[],
  isHeld: (id: string) => boolean = () => false,
): readonly (Remembered | undefined)[] {
  const { wallMs } = site.clock.now();
  let remembered: readonly (Remembered | undefined)[] = [];
  if (!tryStorage(site, 'recall', () => (remembered = store.recallMany(ids)))) {
    return ids.map(() => ({ since: wallMs, lastSeen: null, v: hubClock.now(wallMs) }));
  }
  const dated = remembered.map((one) => one && datedBy(one, wallMs, hubClock));
  const corrected = ids.flatMap((user, i) => {
    const one = dated[i];
    return one === undefined || one === remembered[i] || isHeld(user) ? [] : [{ user, ...one }];
  });
  if (corrected.length > 0) tryStorage(site, 'dates', () => store.correct(corrected));
  return dated;
}

/** Stores up to which moment this run is sure of what it shows; null: it is sure of everything. */
export function keepSureUntil(site: HubContext, store: Store, at: number | null): void {
  tryStorage(site, 'sureness', () => {
    store.setSureUntil(at);
  });
}

/** Repeats `keepSureUntil` if it failed. */
export function retrySureness(site: HubContext, store: Store, at: number | null): void {
  if (site.failing.has('sureness')) keepSureUntil(site, store, at);
}

/** Stores everything, and then marks the end as clean. */
export function endRun(
  { log }: HubContext,
  presence: Presence,
  writeBehind: WriteBehind<User>,
  markClean: () => void,
): void {
  if (!writeAll(presence, writeBehind, log)) return;
  try {
    markClean();
  } catch (error) {
    log.error({ err: error }, 'the end could not be marked as a clean one');
  }
}

/**
 * Stores all pending changes, and then the last heartbeat of live sessions for as long as a stop has time. Of a million
 * sessions, most keep the heartbeat that was stored with their last change. @returns whether storage succeeded.
 */
export function writeAll(presence: Presence, writeBehind: WriteBehind<User>, log: Logger): boolean {
  try {
    writeBehind.flush();
    const enoughAt = performance.now() + LAST_SIGNS_WITHIN_MS;
    let added = 0;
    for (const user of presence.heldUsers()) {
      if (user.firstSession === null) continue;
      writeBehind.add(user);
      if (++added % LAST_SIGNS_A_FLUSH !== 0) continue;
      writeBehind.flush();
      if (performance.now() > enoughAt) break;
    }
    writeBehind.flush();
    return true;
  } catch (error) {
    log.error({ err: error }, 'storage could not be written: the next start may treat this as an unclean end');
    return false;
  }
}

/** Runs storage work that presence can do without. @returns whether it succeeded. */
function tryStorage(site: HubContext, what: string, work: () => void): boolean {
  try {
    work();
  } catch (error) {
    reportStorage(site, what, error);
    return false;
  }
  reportStorage(site, what, undefined);
  return true;
}

/** Logs a failure of storage once, and its recovery once. `/readyz` reports it while it lasts. */
export function reportStorage({ failing, log }: HubContext, what: string, error: unknown): void {
  if ((error !== undefined) === failing.has(what)) return;
  if (error === undefined) {
    failing.delete(what);
    log.info({ what }, 'storage is well again');
  } else {
    failing.set(what, `storage: ${what} can’t be kept, since it ${describeTrouble(error)}`);
    log.error({ what, err: error }, 'storage fails; presence goes on, and it is tried again');
  }
}
