/**
 * The middle of the map: what lasts, who is there, who is told, and what is kept of it. Every change passes `onChange`.
 * Part of hub.ts; opens no port.
 */
import { Fanout } from '../fanout/fanout.ts';
import { Intake } from '../intake.ts';
import { HubClock } from '../presence/hub-clock.ts';
import { Presence, type Change } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Roster, RosterEdit } from '../roster/port.ts';
import { SqliteRoster } from '../roster/sqlite-roster.ts';
import { openDatabase } from '../store/database.ts';
import type { Store } from '../store/port.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { storedEntryOf } from '../store/stored-entry.ts';
import { WriteBehind } from '../store/write-behind.ts';
import type { Site } from './site.ts';

export interface Lasting {
  readonly store: Store;
  readonly roster: Roster;
  readonly hubClock: HubClock;
}

export function openLasting({ config, clock, codes, onStop }: Site): Lasting {
  const database = openDatabase(config.data, { sync: config.sqliteSync, wallMs: clock.now().wallMs });
  onStop(() => {
    database.close();
  });
  const store = new SqliteStore(database, { offlineCode: codes.codeOf('offline') });
  const roster = new SqliteRoster(database);
  const hubClock = new HubClock(store.state.clockFloor, (ceiling) => {
    store.raiseCeiling(ceiling);
  });
  return { store, roster, hubClock };
}

export interface Core {
  readonly presence: Presence;
  readonly fanout: Fanout;
  readonly intake: Intake;
  readonly onChange: (change: Change) => void;
  readonly beforeTelling: () => void;
  /** Commits an edit and tells it. @returns edges added. */
  readonly editRoster: (edit: RosterEdit) => number;
  readonly counts: { changes: number; deliveries: number };
}

/** Who is there, who is told, and what is kept of it. */
export function buildCore(site: Site, { store, roster, hubClock }: Lasting): Core {
  const { config, clock, codes } = site;
  const presence = new Presence(
    {
      graceMs: config.graceMs,
      offlineCode: codes.codeOf('offline'),
      clock: hubClock,
      recall: (id) => store.recall(id),
    },
    clock.now(),
  );
  const writeBehind = new WriteBehind<User>({
    store,
    storedOf: (user) => storedEntryOf(presence.entryOf(user)),
    onSaved: (user) => {
      presence.release(user);
    },
    onHealth: (error) => {
      reportStorage(site, error);
    },
  });
  const beforeTelling = (): void => {
    writeBehind.writeFirsts();
  };
  site.onStop(() => {
    endRun(site, presence, writeBehind, () => {
      store.closeCleanly(hubClock.last);
    });
  });
  const counts = { changes: 0, deliveries: 0 };
  const fanout = new Fanout({
    presence,
    clock,
    hubClock,
    friends: roster,
    certainFrom: store.state.certainFrom,
    beforeTelling,
    onDelivered: (entries) => {
      counts.deliveries += entries;
    },
  });
  const onChange = (change: Change): void => {
    if (change.isShown) {
      counts.changes++;
      writeBehind.add(change.user);
    }
    fanout.changed(change);
  };
  const intake = new Intake({ presence, clock, onChange });
  const editRoster = (edit: RosterEdit): number => {
    const change = roster.edit(edit, hubClock.now(clock.now().wallMs));
    fanout.rosterChanged(change);
    return change.added.length;
  };
  return { presence, fanout, intake, onChange, beforeTelling, editRoster, counts };
}

/** Stores what is not yet stored, the exact last sign of everybody visible with it, and marks the end as clean. */
function endRun({ clock, log }: Site, presence: Presence, writeBehind: WriteBehind<User>, markClean: () => void): void {
  try {
    const now = clock.now();
    for (const user of presence.heldUsers()) if (presence.settleLastSeen(user, now)) writeBehind.add(user);
    writeBehind.flush();
    markClean();
  } catch (error) {
    log.error({ err: error }, 'storage could not be written at the end: the next start treats this as an unclean end');
  }
}

function reportStorage({ failing, log }: Site, error: Error | undefined): void {
  if (error === undefined) {
    failing.delete('storage');
    log.info('storage takes entries again');
  } else {
    failing.set('storage', `storage: entries can't be written (${error.message})`);
    log.error({ err: error }, 'storage can’t take entries; they are kept and tried again');
  }
}
