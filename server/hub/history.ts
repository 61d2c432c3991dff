/** Builds the history, and reports to it which times are uncertain. The history itself decides what that means. */
import type { UserStatus } from '../../shared/status.ts';
import { decodeOrigin } from '../cluster/bridge/origins.ts';
import type { HubParts } from '../cluster/bridge/hub-cluster.ts';
import type { UserRecord } from '../cluster/record/record.ts';
import { History } from '../history/history.ts';
import type { HistoryTransition } from '../history/port.ts';
import type { SharedHistoryStore } from '../history/shared-port.ts';
import { Recorder } from '../history/recorder.ts';
import { SharedRecorder, type ShownState } from '../history/shared-recorder.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import type { ChangeListener, Doubt } from '../presence/change.ts';
import { shownCause } from '../presence/shown-cause.ts';
import type { Users } from '../presence/users.ts';
import type { ClusterParts } from './cluster.ts';
import type { HubContext } from './context.ts';
import type { Storage } from './storage/open-storage.ts';

export interface HistoryParts {
  readonly recorder: Pick<Recorder, 'doubt' | 'doubtUsers' | 'stalled'>;
  readonly history: History;
  /** Forgets what is not stored yet of a user, in a cluster up to that version. */
  readonly forget: (user: string, v: number) => void | Promise<void>;
  /** Records a change of a single hub. */
  readonly onChange: ChangeListener;
  /** Records what this hub writes in its cluster. */
  readonly onWritten: HubParts['onWritten'];
  /** Stores what is known, before the hub leaves its cluster. */
  readonly leaving: () => Promise<void>;
}

export interface HistoryOptions {
  readonly storage: Storage;
  readonly users: Users;
  readonly turns: TurnBudget;
  readonly clusterParts: ClusterParts | null;
}

const nothing = (): void => undefined;

/** Returns null if history is off. */
export function buildHistory(context: HubContext, options: HistoryOptions): HistoryParts | null {
  if (context.config.historyDays === 0) return null;
  const { storage, clusterParts } = options;
  if (clusterParts === null) return buildOwn(context, options);
  const opened = storage.shared?.history ?? null;
  return opened && buildShared(context, options, clusterParts, opened);
}

function buildOwn(context: HubContext, { storage, users, turns }: HistoryOptions): HistoryParts {
  const { config, clock, onStop } = context;
  const { historyStore: store, health } = storage;
  const onHealth = (error: unknown): void => {
    health.report('history', error);
  };
  const recorder = new Recorder({ store, clock, onHealth });
  const history = new History({ store, recorder, users, turns, clock, days: config.historyDays, onHealth });
  onStop(() => {
    history.stop();
    recorder.stop();
  });
  return {
    recorder,
    history,
    forget: (user) => recorder.forget(user),
    onChange: (change) => recorder.changed(change),
    onWritten: nothing,
    leaving: () => Promise.resolve(),
  };
}

type Opened = NonNullable<NonNullable<Storage['shared']>['history']>;

/** Each hub records the changes that it writes, so that each change is recorded once. */
function buildShared(
  context: HubContext,
  { storage, users, turns }: HistoryOptions,
  { cluster }: ClusterParts,
  { store, state }: Opened,
): HistoryParts {
  const { config, clock, onStop } = context;
  const { node, peers } = cluster;
  const onHealth = (error: unknown): void => {
    storage.health.report('history', error);
  };
  const recorder = new SharedRecorder(
    {
      store,
      clock,
      hub: () => node.inc,
      deathsKnownUntil: () => {
        if (node.isStale) return null;
        return clock.now().wallMs - (performance.now() - node.members.allAliveAtMs);
      },
      alive: () => (node.state === 'up' ? [node.inc, ...node.members.live()] : null),
      refresh: (user) => peers.refresh([user]),
      onHealth,
    },
    state,
  );
  const history = new History({
    store: sharedSource(store, recorder),
    recorder,
    // A user of another hub is not held here.
    users: { peek: (user) => users.peek(user), find: (user) => users.peek(user) },
    latest: (user, from) => latestOf(node.replicas.get(user)?.record, from),
    turns,
    clock,
    days: config.historyDays,
    onHealth,
  });
  onStop(async () => {
    history.stop();
    await recorder.stop();
  });
  return {
    recorder,
    history,
    forget: (user, v) => recorder.forget(user, v),
    onChange: nothing,
    onWritten: (user, before, after) => recorder.changed(user, before && stateOf(before), stateOf(after)),
    leaving: () => recorder.leaving(),
  };
}

function sharedSource(store: SharedHistoryStore, recorder: SharedRecorder) {
  return {
    read: store.read.bind(store),
    lastBefore: store.lastBefore.bind(store),
    purge: store.purge.bind(store),
    gaps: (user: string | null, from: number, to: number) =>
      user === null ? recorder.gaps(from, to) : store.gaps(user, from, to),
  };
}

function stateOf({ entry: { status, since }, v, origin }: UserRecord): ShownState {
  return { status, since, v, cause: decodeOrigin(origin).cause };
}

function latestOf(record: UserRecord | undefined, from: UserStatus): HistoryTransition | undefined {
  if (record === undefined || record.entry.since === null || record.v === 0) return undefined;
  const { status, since } = record.entry;
  return {
    at: since,
    from,
    to: status,
    cause: shownCause(decodeOrigin(record.origin).cause, from, status),
    merged: null,
  };
}

const USERS_AT_ONCE = 500;

/**
 * Records that everybody who is shown with a session on the doubted adapter is uncertain until the hold ends. In small
 * steps, because that may be a million users.
 */
export async function recordDoubt(
  { clock }: HubContext,
  { recorder }: Pick<HistoryParts, 'recorder'>,
  users: Users,
  turns: TurnBudget,
  { adapter, since, heldUntil }: Doubt,
): Promise<void> {
  const { wallMs, monoMs } = clock.now();
  const to = wallMs + Math.max(0, heldUntil - monoMs);
  const everything = { user: null, isAdmin: true, follower: null, mayObserve: true };
  let some: string[] = [];
  let looked = 0;
  for (const user of users.held()) {
    if (users.isShownOn(user, everything, adapter)) some.push(user.id);
    if (++looked % USERS_AT_ONCE !== 0) continue;
    recorder.doubtUsers(some, since, to);
    some = [];
    await turns.take(USERS_AT_ONCE);
  }
  recorder.doubtUsers(some, since, to);
}
