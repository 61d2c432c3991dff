/**
 * What outlasts the process, and what happens when it can't be written: presence goes on, `/readyz` says what fails, and
 * it is tried again. Part of hub.ts; the store and the roster know how to keep, this knows when.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../lib/log.ts';
import { QuietLog } from '../lib/quiet-log.ts';
import { describeTrouble, isSqlError } from '../lib/sqlite.ts';
import { CEILING_AHEAD_MS, VersionClock } from '../presence/version-clock.ts';
import { datedBy } from '../presence/future-dates.ts';
import type { Presence } from '../presence/presence.ts';
import type { Remembered, User } from '../presence/user.ts';
import type { Roster } from '../roster/port.ts';
import { SqliteRoster } from '../roster/sqlite-roster.ts';
import { DataInUseError, explainStorage, MEMORY, openDatabase, type OpenedDatabase } from '../store/database.ts';
import type { Store, StoreState } from '../store/port.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { storedEntryOf } from '../store/stored-entry.ts';
import { WalWatch } from '../store/wal-watch.ts';
import { WriteBehind } from '../store/write-behind.ts';
import { Forgetting } from './forgetting.ts';
import type { HubContext } from './context.ts';

export interface Storage {
  readonly store: Store;
  readonly roster: Roster;
  readonly hubClock: VersionClock;
}

/** How long a start waits for the hub before it to let go of HUB_DATA, and how often it looks. */
const IN_USE_FOR_MS = 15_000;
const IN_USE_LOOK_EVERY_MS = 100;

/** @throws {StorageError} where HUB_DATA can't be used; {DataInUseError} where another hub keeps it, or on interruption. */
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
  return { store, roster, hubClock };
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

/** Completes an edit of friend lists that the last run had stored only a part of when it ended. */
function completeEdit(roster: SqliteRoster, path: string): void {
  try {
    roster.complete();
  } catch (error) {
    throw explainStorage(path, error);
  }
}

/** Strangers whose entries are kept: 100 bytes each, in memory without a disk. */
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

/** Corrupt rows that are named before only their number is. */
const NAMED_AT_ONCE = 10;

/** Names the first corrupt rows one by one, and later ones at most once a second: a row may be read again and again. */
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

/** An error of SQLite during the start as a sentence for the operator; any other error as it is. */
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
    // Without a disk there is no next run to restore a session: whoever is here is in memory, and is stored on leaving.
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

/** A stop has two seconds in all. */
const LAST_SIGNS_WITHIN_MS = 1000;
const LAST_SIGNS_A_FLUSH = 1000;

/** Any id will do to see whether the store can be read. */
const RETRIED_USER = '42';

/** How often storage that failed is tried again, whoever asks meanwhile. */
const RETRY_EVERY_MS = 1000;

/** Tries what failed every so often, so that it is known when it is well again. `more` tries what the caller keeps. */
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
 * What was given out before the store is certain can't be answered from it. Nor what was given out between its last end
 * and this start: by nobody, unless a backup of it was put in the place of a store that had run on.
 */
export function isCertain({ certainFrom, lastRunEndedBy, clockFloor }: StoreState, since: number): boolean {
  const isForeign = lastRunEndedBy !== null && since > lastRunEndedBy && since < clockFloor;
  return since >= certainFrom && !isForeign;
}

/** What the store knows of a user. Where it can't be read, nobody can say more than that the user is not here. */
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
  // Once: the next look finds it as it is now. What is held is stored by the write-behind, and only by it.
  if (dated !== remembered && isHeld?.(id) !== true) {
    tryStorage(site, 'dates', () => {
      store.correct([{ user: id, ...dated }]);
    });
  }
  return dated;
}

/** The same for many users, in their order. */
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

/** What the next run is to know of how sure this one is; null: of all it shows. */
export function keepSureUntil(site: HubContext, store: Store, at: number | null): void {
  tryStorage(site, 'sureness', () => {
    store.setSureUntil(at);
  });
}

/** The same, where it could not be kept when it changed. */
export function retrySureness(site: HubContext, store: Store, at: number | null): void {
  if (site.failing.has('sureness')) keepSureUntil(site, store, at);
}

/** Stores everything, and then marks the end as a clean one. */
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
 * Stores what is not yet stored, and then the last sign of every live session, as far as a stop has time for it: of a
 * million sessions most keep the one that came with their last change. @returns whether storage took it.
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

/** Runs a piece of storage work that presence can go on without. @returns whether it was done. */
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

/** Says once that storage fails, and once that it is well again; `/readyz` says it as long as it lasts. */
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
