/** The middle of the map: presence, fan-out, and what connects them. Every change passes `onChange`. Opens no port. */
import { randomBytes } from 'node:crypto';
import { neighbourhoodOf } from '../auth/cidrs.ts';
import { Delays } from '../fanout/delivery/delays.ts';
import { Fanout } from '../fanout/fanout.ts';
import { LARGE_AUDIENCE } from '../fanout/reports.ts';
import { Tails } from '../fanout/tails.ts';
import { Intake } from '../intake.ts';
import type { ChangeListener } from '../presence/change.ts';
import { TurnBudget } from '../lib/time/turn-budget.ts';
import { correctDates } from '../presence/future-dates.ts';
import { Journal } from '../presence/explain/journal.ts';
import { Presence } from '../presence/presence.ts';
import type { Session } from '../presence/sessions/session.ts';
import type { User } from '../presence/user.ts';
import { REPORT_EVERY_MS } from '../../shared/limits.ts';
import type { Store } from '../storage/port.ts';
import { buildBlocks } from '../actions/block.ts';
import { startForgettingStrangers } from './forgetting.ts';
import {
  buildForgetting,
  buildWriteBehind,
  endRun,
  isCertain,
  recall,
  recallMany,
  reportStorage,
  writeAll,
  type Storage,
} from './storage.ts';
import { buildHistory, type HistoryParts } from './history.ts';
import { PresentUsers } from '../actions/present-users.ts';
import { RosterEdits } from '../actions/edit-friends.ts';
import { buildSessionActions, type SessionActions } from '../actions/sessions.ts';
import type { HubContext } from './context.ts';

export interface Core extends SessionActions {
  readonly presence: Presence;
  readonly fanout: Fanout;
  readonly tails: Tails;
  readonly presentUsers: PresentUsers;
  /** Null if history is off. */
  readonly history: HistoryParts | null;
  readonly intake: Intake;
  readonly onChange: readonly ChangeListener[];
  readonly ensureStored: () => void;
  readonly rosterEdits: RosterEdits;
  /** The budget of one loop turn for long work. */
  readonly turns: TurnBudget;
  /**
   * Hides `user` from `other`, as if the user had left now. Resolves when the block is durable and the viewer is
   * notified. Resolves to false if the user has reached the maximum number of blocks. Rejects if storage fails.
   */
  readonly block: (user: string, other: string) => Promise<boolean>;
  /** Lifts a block, so that `other` sees the current entry of `user` again. */
  readonly unblock: (user: string, other: string) => Promise<void>;
  /** Handles a wall clock that was set back: nothing shown may lie in the future. */
  readonly clockSetBack: (wallMs: number) => void;
  /** Stores everything now, in case the coming end is not a clean one. */
  readonly storeNow: () => void;
  /** Stores a renewed lease, so that it outlasts a restart. */
  readonly keepLease: (user: User) => void;
  readonly counts: { changes: number; deliveries: number };
  readonly delays: Delays;
}

export function buildCore(site: HubContext, lasting: Storage): Core {
  const { store, hubClock } = lasting;
  const { config, clock } = site;
  const keepLease = (user: User): void => {
    writeBehind.add(user);
  };
  const journal = openJournal(site);
  const presence = buildPresence(site, lasting, journal, keepLease);
  const forgetting = buildForgetting(site, lasting, presence);
  const writeBehind = buildWriteBehind(site, store, presence, () => forgetting.left());
  restoreAll(site, store, presence);
  site.onStop(startForgettingStrangers(forgetting));
  site.onStop(() => {
    endRun(site, presence, writeBehind, () => {
      store.closeCleanly(hubClock.last);
    });
  });
  const ensureStored = (): void => writeBehind.writeFirsts();
  const counts = { changes: 0, deliveries: 0 };
  const delays = new Delays();
  const turns = new TurnBudget();
  const fanout = buildFanout(site, lasting, presence, { ensureStored, counts, delays, turns });
  const rosterEdits = buildRosterEdits(site, lasting, fanout, turns);
  const tails = buildTails(site, presence, ensureStored);
  const history = buildHistory(site, lasting.historyStore, presence);
  const presentUsers = new PresentUsers({ presence, ensureStored, turns, nowMs: () => performance.now() });
  const onChange: readonly ChangeListener[] = [
    ({ isShown }) => {
      if (isShown) counts.changes++;
    },
    (change) => presentUsers.changed(change),
    (change) => history?.recorder.changed(change),
    (change) => tails.changed(change),
    (change) => fanout.reports.changed(change),
  ];
  const intake = new Intake({
    presence,
    clock,
    onChange,
    maxSessions: config.maxSessions,
    maxSessionsTotal: site.maxSessionsTotal,
    unsavedCount: () => writeBehind.unsavedCount,
    onRefused: (reason) => {
      site.refusals[reason]++;
    },
  });
  return {
    presence,
    fanout,
    tails,
    presentUsers,
    history,
    intake,
    onChange,
    ensureStored,
    rosterEdits,
    turns,
    ...buildSessionActions({ ...site, presence, intake, journal }),
    ...buildBlocks({ clock, maxBlocks: config.maxFriends }, store, presence, fanout.reports, ensureStored),
    keepLease,
    clockSetBack: (wallMs) => correctDates(presence.heldUsers(), wallMs, hubClock, keepLease),
    storeNow: () => void writeAll(presence, writeBehind, site.log),
    counts,
    delays,
  };
}

function buildRosterEdits(site: HubContext, lasting: Storage, fanout: Fanout, turns: TurnBudget): RosterEdits {
  const { config, clock, onStop } = site;
  const { roster, hubClock } = lasting;
  const now = (): number => hubClock.now(clock.now().wallMs);
  const onHealth = (error: unknown): void => {
    reportStorage(site, 'friend lists', error);
  };
  const edits = new RosterEdits({ roster, fanout, turns, maxFriends: config.maxFriends, now, onHealth });
  onStop(() => {
    edits.stop();
  });
  return edits;
}

function openJournal({ clock }: HubContext): Journal {
  const key = randomBytes(8);
  return new Journal([key.readUInt32LE(0), key.readUInt32LE(4)], clock.now().wallMs);
}

function buildTails({ onStop }: HubContext, presence: Presence, ensureStored: () => void): Tails {
  const tails = new Tails({ presence, ensureStored });
  onStop(() => {
    tails.stop();
  });
  return tails;
}

/**
 * The source of a session, for mass lapses. A WebSocket needs none, because it can be pinged. One address may be the
 * gateway of many users.
 */
function sourceOf({ adapter, owner, address }: Session): unknown {
  if (adapter === 'ws-json') return undefined;
  return adapter === 'tcp-xml' ? owner : neighbourhoodOf(address);
}

function buildPresence(
  site: HubContext,
  lasting: Storage,
  journal: Journal,
  onSessions: (user: User) => void,
): Presence {
  const { config, clock, codes, stalls } = site;
  const { graceMs, timeoutMs, doubtSessions, doubtPercent, doubtMs } = config;
  const presence: Presence = new Presence(
    {
      graceMs,
      offlineCode: codes.codeOf('offline'),
      hidesLastSeen: config.lastSeen === 'hide',
      clock: lasting.hubClock,
      stalls,
      stallGraceMs: timeoutMs,
      massLapse: { sessions: doubtSessions, percent: doubtPercent, holdMs: doubtMs, sourceOf },
      journal,
      sessionIdOf: (no) => site.sessionIds.of(no),
      recall: (id) => recall(site, lasting, id, (held) => presence.find(held) !== undefined),
      recallMany: (ids) => recallMany(site, lasting, ids, (held) => presence.find(held) !== undefined),
      onSessions,
    },
    clock.now(),
  );
  return presence;
}

/**
 * Restores the previous run. Blocks come first, so that a restored user is hidden from the start from those it blocked.
 */
function restoreAll({ config, clock }: HubContext, store: Store, presence: Presence): void {
  for (const { user, viewer, ...frozen } of store.blocks()) presence.hide(user, viewer, frozen);
  for (const entry of store.withSessions()) {
    presence.restore(entry.user, entry, entry.sessions, config.warmMs, clock.now());
  }
}

function buildFanout(
  { clock, onStop }: HubContext,
  { store, roster, hubClock }: Storage,
  presence: Presence,
  { ensureStored, counts, delays, turns }: Pick<Core, 'ensureStored' | 'counts' | 'delays' | 'turns'>,
): Fanout {
  const fanout = new Fanout({
    presence,
    turns,
    clock,
    hubClock,
    friends: roster,
    isCertain: (since) => isCertain(store.state, since),
    forgottenAt: () => store.forgottenAt,
    ensureStored,
    delays,
    reportEveryMs: REPORT_EVERY_MS,
    largeAudience: LARGE_AUDIENCE,
    nowMs: () => performance.now(),
    afterTurn: setImmediate,
    onDelivered: (entries) => {
      counts.deliveries += entries;
    },
  });
  onStop(() => {
    fanout.dropIdleLists();
  });
  return fanout;
}
