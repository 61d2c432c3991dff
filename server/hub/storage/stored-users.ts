/**
 * Users in the store and in memory: reads users that are not in memory, writes changed ones behind, restores the
 * previous run and stores this one at its end. `Presence` and `Users` must not know storage, so this module connects
 * them.
 */
import type { Logger } from '../../lib/log/log.ts';
import type { Moment } from '../../lib/time/clock.ts';
import type { TransitionCause } from '../../../shared/messages/explain.ts';
import type { ChangeListener } from '../../presence/change.ts';
import { shownStatusOf, type Shown } from '../../presence/fold.ts';
import { datedBy } from '../../presence/future-dates.ts';
import type { Presence } from '../../presence/presence.ts';
import { storableSessions } from '../../presence/sessions/restored-session.ts';
import { entryOf, type Remembered, type User } from '../../presence/user.ts';
import type { Users, UsersOptions } from '../../presence/users.ts';
import { storedEntryOf } from '../../storage/stored-entry.ts';
import { WriteBehind } from '../../storage/write-behind.ts';
import type { HubContext } from '../context.ts';
import { ForgetStrangers } from './forget-strangers.ts';
import type { Storage } from './open-storage.ts';

type Reads = Pick<UsersOptions, 'recall' | 'recallMany'>;

/**
 * Reads users from the store, without dates in the future. If the store cannot be read, the answer is only that the
 * user is not here.
 */
export function buildReads({ clock }: HubContext, { store, versions, health }: Storage): Reads {
  const unreadable = (wallMs: number): Remembered => ({ since: wallMs, lastSeen: null, v: versions.now(wallMs) });
  // Corrects rows, so that the next read finds the right dates. The write-behind stores users in memory, so they are
  // left out.
  const correct = (rows: ({ readonly user: string } & Remembered)[]): void => {
    if (rows.length > 0) health.attempt('dates', () => store.correct(rows));
  };
  return {
    recall: (user, isHeld) => {
      const { wallMs } = clock.now();
      let read: Remembered | undefined;
      if (!health.attempt('recall', () => (read = store.recall(user)))) return unreadable(wallMs);
      const dated = read && datedBy(read, wallMs, versions);
      if (dated !== undefined && dated !== read && !isHeld(user)) correct([{ user, ...dated }]);
      return dated;
    },
    recallMany: (users, isHeld) => {
      const { wallMs } = clock.now();
      let read: readonly (Remembered | undefined)[] = [];
      if (!health.attempt('recall', () => (read = store.recallMany(users)))) return users.map(() => unreadable(wallMs));
      const dated = read.map((one) => one && datedBy(one, wallMs, versions));
      correct(
        users.flatMap((user, i) => {
          const one = dated[i];
          return one === undefined || one === read[i] || isHeld(user) ? [] : [{ user, ...one }];
        }),
      );
      return dated;
    },
  };
}

export function buildWriteBehind(
  { clock, stalls }: HubContext,
  { store, health, isDurable }: Storage,
  offline: Shown,
): WriteBehind<User> {
  return new WriteBehind<User>({
    store,
    storedOf: (user) => storedEntryOf(entryOf(user, offline), storableSessions(user, stalls, clock.now())),
    // Without a disk there is no next run, so sessions are not stored. A present user is in memory, and is stored on
    // leaving.
    mustKeep: isDurable ? () => true : (user) => user.firstSession === null,
    onHealth: (error) => {
      health.report('entries', error);
    },
  });
}

/**
 * Causes that come from the user or an admin. Leases and graces that expire can end thousands of sessions in one turn of
 * the loop, so they are stored like any other change.
 */
const deliberateCauses: ReadonlySet<TransitionCause> = new Set(['came', 'returned', 'set', 'left', 'kicked']);

/** Stores that a user left or became invisible before it is shown, so that no unclean end can reveal the user. */
export function storeLeaving(writeBehind: WriteBehind<User>): ChangeListener {
  return ({ user, isShown, cause }) => {
    if (isShown && deliberateCauses.has(cause) && shownStatusOf(user.fold) === 'offline') writeBehind.storeFirst(user);
  };
}

/** Maximum strangers whose entries are kept: 100 bytes each. Without a disk, they take memory. */
const MAX_STRANGERS = 1_000_000;
const MAX_STRANGERS_IN_MEMORY = 100_000;

/**
 * Drops stored users from memory that nothing needs there, and stored strangers from the store. If nobody knows who is
 * followed, strangers stay.
 */
export function startForgetting(
  { clock, onStop }: HubContext,
  { store, versions, health, isDurable, remoteLists }: Storage,
  users: Users,
  writeBehind: WriteBehind<User>,
): void {
  const forgetting = new ForgetStrangers({
    store,
    isHeld: (user) => users.find(user) !== undefined,
    now: () => versions.now(clock.now().wallMs),
    followed: remoteLists?.followed,
    maxStrangers: isDurable ? MAX_STRANGERS : MAX_STRANGERS_IN_MEMORY,
    attempt: (work) => health.attempt('forgetting', work),
  });
  writeBehind.onSaved.push((user) => {
    if (user.firstSession === null && user.audience?.isEmpty !== false) forgetting.left();
    users.release(user);
  });
  if (remoteLists === null || remoteLists.followed !== undefined) onStop(forgetting.start());
}

/**
 * Restores the previous run. Blocks come first, so that a restored user is hidden from the start from those it blocked.
 */
export function restoreRun(
  { store, versions }: Storage,
  users: Users,
  presence: Presence,
  warmMs: number,
  now: Moment,
): void {
  for (const { user, viewer, ...frozen } of store.blocks()) users.hide(user, viewer, frozen);
  for (const entry of store.withSessions()) {
    presence.restore(entry.user, datedBy(entry, now.wallMs, versions), entry.sessions, warmMs, now);
  }
}

/** Stores everything, and then marks the end as clean. */
export function endRun({ log }: HubContext, storage: Storage, users: Users, writeBehind: WriteBehind<User>): void {
  if (!writeAll(users, writeBehind, log)) return;
  try {
    storage.store.closeCleanly(storage.versions.last);
  } catch (error) {
    log.error({ err: error }, 'the clean shutdown could not be recorded');
  }
}

/** A stop has two seconds in total. */
const LAST_SIGNS_WITHIN_MS = 1000;
const LAST_SIGNS_A_FLUSH = 1000;

/**
 * Stores all pending changes, and then the last heartbeat of live sessions for as long as a stop has time. Of a million
 * sessions, most keep the heartbeat that was stored with their last change. @returns whether storage succeeded.
 */
export function writeAll(users: Users, writeBehind: WriteBehind<User>, log: Logger): boolean {
  try {
    writeBehind.flush();
    const enoughAt = performance.now() + LAST_SIGNS_WITHIN_MS;
    let added = 0;
    for (const user of users.held()) {
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
