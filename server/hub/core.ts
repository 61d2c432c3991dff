/**
 * The middle of the map: who is there, and who is told. Every change passes `onChange`. Part of hub.ts; opens no port.
 */
import { Fanout } from '../fanout/fanout.ts';
import { Intake } from '../intake.ts';
import type { Change } from '../presence/outcomes.ts';
import { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { RosterEdit } from '../roster/port.ts';
import { buildBlocks } from './blocks.ts';
import { buildWriteBehind, endRun, isCertain, recall, retryStorage, writeAll, type Lasting } from './lasting.ts';
import type { Site } from './site.ts';

export interface Core {
  readonly presence: Presence;
  readonly fanout: Fanout;
  readonly intake: Intake;
  readonly onChange: (change: Change) => void;
  readonly beforeTelling: () => void;
  /** Commits an edit and tells it. @returns edges added. */
  readonly editRoster: (edit: RosterEdit) => number;
  /** From now on `other` sees `user` as if it had left now. Durable, and told, before it returns. @throws where storage can't take it. */
  readonly block: (user: string, other: string) => void;
  /** `other` sees `user` as it is again. */
  readonly unblock: (user: string, other: string) => void;
  /** Tries what failed, so that it is known when it is well again. */
  readonly retryStorage: () => void;
  /** Stores everything now, should the end that is near not be a clean one. */
  readonly storeNow: () => void;
  /** A lease that outlasts a restart was renewed: the next run must know. */
  readonly keepLease: (user: User) => void;
  readonly counts: { changes: number; deliveries: number };
}

/** Who is there, who is told, and what is kept of it. */
export function buildCore(site: Site, lasting: Lasting): Core {
  const { store, roster, hubClock } = lasting;
  const { config, clock, codes } = site;
  const presence = new Presence(
    {
      graceMs: config.graceMs,
      offlineCode: codes.codeOf('offline'),
      hidesLastSeen: config.lastSeen === 'hide',
      clock: hubClock,
      stalls: site.stalls,
      stallGraceMs: config.timeoutMs,
      massLapse: { sessions: config.doubtSessions, percent: config.doubtPercent, holdMs: config.doubtMs },
      recall: (id) => recall(site, lasting, id),
      onSessions: (user) => {
        writeBehind.add(user);
      },
    },
    clock.now(),
  );
  const writeBehind = buildWriteBehind(site, lasting.store, presence);
  for (const { user, viewer, ...frozen } of store.blocks()) presence.hide(user, viewer, frozen);
  for (const entry of store.withSessions()) {
    presence.restore(entry.user, entry, entry.sessions, config.warmMs, clock.now());
  }
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
    isCertain: (since) => isCertain(store.state, since),
    beforeTelling,
    onDelivered: (entries) => {
      counts.deliveries += entries;
    },
  });
  const onChange = (change: Change): void => {
    if (change.isShown) counts.changes++;
    fanout.changed(change);
  };
  const intake = new Intake({
    presence,
    clock,
    onChange,
    maxSessions: config.maxSessions,
    onRefused: (reason) => {
      site.refusals[reason]++;
    },
  });
  const editRoster = (edit: RosterEdit): number => {
    const change = roster.edit(edit, hubClock.now(clock.now().wallMs));
    fanout.rosterChanged(change);
    return change.added.length;
  };
  const { block, unblock } = buildBlocks(site, store, presence, fanout, beforeTelling);
  const storeNow = (): void => {
    writeAll(presence, writeBehind, site.log);
  };
  const retry = (): void => {
    retryStorage(site, lasting);
  };
  const keepLease = (user: User): void => {
    writeBehind.add(user);
  };
  return {
    presence,
    fanout,
    intake,
    onChange,
    beforeTelling,
    editRoster,
    block,
    unblock,
    keepLease,
    storeNow,
    retryStorage: retry,
    counts,
  };
}
