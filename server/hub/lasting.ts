/**
 * What outlasts the process, and what happens when it can't be written: presence goes on, `/readyz` says what fails, and
 * it is tried again. Part of hub.ts; the store and the roster know how to keep, this knows when.
 */
import type { Logger } from '../lib/log.ts';
import { describeTrouble } from '../lib/sqlite.ts';
import { CEILING_AHEAD_MS, HubClock } from '../presence/hub-clock.ts';
import { datedBy } from '../presence/future-dates.ts';
import type { Presence } from '../presence/presence.ts';
import type { Remembered, User } from '../presence/user.ts';
import type { Roster } from '../roster/port.ts';
import { SqliteRoster } from '../roster/sqlite-roster.ts';
import { MEMORY, openDatabase } from '../store/database.ts';
import type { Store, StoredEntry, StoreState } from '../store/port.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { storedEntryOf } from '../store/stored-entry.ts';
import { WriteBehind } from '../store/write-behind.ts';
import type { Site } from './site.ts';

export interface Lasting {
  readonly store: Store;
  readonly roster: Roster;
  readonly hubClock: HubClock;
}

export function openLasting(site: Site): Lasting {
  const { config, clock, onStop } = site;
  const database = openDatabase(config.data, { sync: config.sqliteSync, wallMs: clock.now().wallMs });
  onStop(() => {
    database.close();
  });
  const store = new SqliteStore(database, CEILING_AHEAD_MS);
  const roster = new SqliteRoster(database);
  const hubClock = new HubClock(store.state.clockFloor, (ceiling) =>
    tryStorage(site, 'versions', () => {
      store.raiseCeiling(ceiling);
    }),
  );
  return { store, roster, hubClock };
}

export function buildWriteBehind(site: Site, store: Store, presence: Presence): WriteBehind<User> {
  return new WriteBehind<User>({
    store,
    storedOf: (user) => storedEntryOf(presence.entryOf(user), presence.sessionsOf(user, site.clock.now())),
    // Without a disk there is no next run to restore a session: whoever is here is in memory, and is stored on leaving.
    mustKeep: site.config.data === MEMORY ? (user) => user.firstSession === null : () => true,
    onSaved: (user) => {
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

/** Tries what failed, so that it is known when it is well again. */
export function retryStorage(site: Site, lasting: Lasting): void {
  if (site.failing.has('recall')) recall(site, lasting, RETRIED_USER);
  if (site.failing.has('versions')) lasting.hubClock.now(site.clock.now().wallMs);
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
  site: Site,
  { store, hubClock }: Lasting,
  id: string,
  isHeld: (id: string) => boolean = () => false,
): Remembered | undefined {
  const { wallMs } = site.clock.now();
  let remembered: StoredEntry | undefined;
  if (tryStorage(site, 'recall', () => (remembered = store.recall(id)))) {
    if (remembered === undefined) return undefined;
    const dated = datedBy(remembered, wallMs, hubClock);
    // Once: the next look finds it as it is now. What is held is stored by the write-behind, and only by it.
    if (dated !== remembered && !isHeld(id)) tryStorage(site, 'dates', () => store.keep([dated]));
    return dated;
  }
  return { since: wallMs, lastSeen: null, v: hubClock.now(wallMs) };
}

/** What the next run is to know of how sure this one is; null: of all it shows. */
export function keepSureUntil(site: Site, store: Store, at: number | null): void {
  tryStorage(site, 'sureness', () => {
    store.setSureUntil(at);
  });
}

/** The same, where it could not be kept when it changed. */
export function retrySureness(site: Site, store: Store, at: number | null): void {
  if (site.failing.has('sureness')) keepSureUntil(site, store, at);
}

/** Stores everything, and then marks the end as a clean one. */
export function endRun({ log }: Site, presence: Presence, writeBehind: WriteBehind<User>, markClean: () => void): void {
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
function tryStorage(site: Site, what: string, work: () => void): boolean {
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
function reportStorage({ failing, log }: Site, what: string, error: unknown): void {
  if ((error !== undefined) === failing.has(what)) return;
  if (error === undefined) {
    failing.delete(what);
    log.info({ what }, 'storage is well again');
  } else {
    failing.set(what, `storage: ${what} can’t be kept, since it ${describeTrouble(error)}`);
    log.error({ what, err: error }, 'storage fails; presence goes on, and it is tried again');
  }
}
