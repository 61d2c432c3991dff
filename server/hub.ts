/**
 * THE MAP: builds every part of the hub and connects them. A heartbeat takes this way:
 *
 *     bytes -> adapter -> intake -> presence -> ledger -> onChange -> fanout -> outbox -> socket
 *                                       `--> write-behind -> store
 *
 * Parts are built before the parts that use them, so storage comes first and adapters come last. Leaves every decision
 * to the parts.
 */
import { fileURLToPath } from 'node:url';
import { REPORT_EVERY_MS } from '../shared/limits.ts';
import { block, unblock } from './actions/block.ts';
import { explain } from './actions/explain.ts';
import { exportUser } from './actions/export-user.ts';
import { kick } from './actions/kick.ts';
import { PresentUsers } from './actions/present-users.ts';
import type { Config } from './config/config.ts';
import { Delays } from './fanout/delivery/delays.ts';
import { Fanout } from './fanout/fanout.ts';
import { LARGE_AUDIENCE } from './fanout/reports.ts';
import { Tails } from './fanout/tails.ts';
import { buildAdapters, type Actions, type Adapters } from './hub/adapters.ts';
import { openContext, type HubContext, type HubOptions } from './hub/context.ts';
import type { HubParts } from './cluster/bridge/hub-cluster.ts';
import type { ClusterParts } from './hub/cluster.ts';
import { buildErasure } from './hub/storage/erasure.ts';
import { buildHistory } from './hub/history.ts';
import { countChanges } from './hub/metrics.ts';
import { serve, Stops, type Hub, type Parts } from './hub/lifecycle.ts';
import { OwnTimekeeper } from './hub/storage/own-timekeeper.ts';
import { buildPresence, createJournal } from './hub/presence.ts';
import { explainStart, keepSureUntil, openStorage, type Storage } from './hub/storage/open-storage.ts';
import { buildListEdits } from './hub/storage/remote-lists.ts';
import { sharedExport } from './hub/storage/shared-storage.ts';
import {
  buildReads,
  buildWriteBehind,
  endRun,
  restoreRun,
  startForgetting,
  storeLeaving,
} from './hub/storage/stored-users.ts';
import { buildWebhooks } from './hub/webhooks.ts';
import { Intake } from './intake.ts';
import { Transitions } from './metrics/transitions.ts';
import { TurnBudget } from './lib/time/turn-budget.ts';
import type { ChangeListener } from './presence/change.ts';
import { OwnLedger } from './presence/entries.ts';
import { offlineFold, type Shown } from './presence/fold.ts';
import { noPeers } from './peers.ts';
import type { User } from './presence/user.ts';
import { Users } from './presence/users.ts';
import { Staleness } from './staleness.ts';

export type { Hub, HubOptions };

const builtPages = fileURLToPath(new URL('../client', import.meta.url));

/** @throws {StartError} with one sentence for the operator if the hub cannot start. */
export async function startHub(config: Config, options: HubOptions): Promise<Hub> {
  const stops = new Stops(options.log);
  try {
    const context = await openContext(config, options, stops.add);
    const core = await buildCore(context);
    const outward = buildFanout(context, core);
    const storing = core.clusterParts === null ? [storeLeaving(core.writeBehind)] : [];
    const onChange = [...storing, ...outward.onOwnChange, ...outward.onShown];
    const intake = buildIntake(context, core, onChange);
    const actions = buildActions(context, core, outward, intake);
    const parts: Parts = { ...core, ...outward, onChange, intake, ...actions };
    const adapters = buildAdapters(context, parts, options.pages ?? builtPages);
    await joinCluster(context, core, outward, parts, adapters);
    await outward.startWebhooks?.();
    return await serve(context, parts, adapters, stops);
  } catch (error) {
    await stops.undoStart();
    throw explainStart(config.data, error);
  }
}

/** Storage, and presence on top of it. */
async function buildCore(context: HubContext) {
  const { config, clock, stalls, codes, onStop } = context;
  const storage = await openStorage(context);
  const offline = offlineFold(codes.codeOf('offline'));
  const clusterParts = await openCluster(context, offline, storage);
  const cluster = clusterParts?.cluster;
  const writeBehind = buildWriteBehind(context, storage, offline);
  const keep = cluster?.scheduleWrite ?? ((user: User): void => writeBehind.add(user));

  const hidesLastSeen = config.lastSeen === 'hide';
  const storeFirsts = (): void => writeBehind.writeFirsts();
  const reads = cluster?.reads ?? buildReads(context, storage);
  const users = new Users({ offline, hidesLastSeen, ...reads, storeFirsts });
  const ownLedger = new OwnLedger(storage.versions, stalls, offline);
  const journal = createJournal(clock);
  const presence = buildPresence(context, { users, ledger: cluster ?? ownLedger, journal, onSessions: keep });

  startForgetting(context, storage, users, writeBehind);
  // What is known of users in a cluster is in the store that its hubs share.
  if (cluster === undefined) {
    restoreRun(storage, users, presence, config.warmMs, clock.now());
    onStop(() => {
      endRun(context, storage, users, writeBehind);
    });
  }
  const peers = cluster?.peers ?? noPeers;
  return { storage, writeBehind, keep, users, ownLedger, journal, presence, clusterParts, peers };
}

/** The modules of a cluster are loaded only in one: the Redis client alone takes a sixth of the time of a start. */
async function openCluster(context: HubContext, offline: Shown, storage: Storage): Promise<ClusterParts | null> {
  const { redisUrl } = context.config;
  if (redisUrl === null) return null;
  const cluster = await import('./hub/cluster.ts');
  return cluster.ClusterParts.open(context, redisUrl, offline, storage);
}

type Core = Awaited<ReturnType<typeof buildCore>>;

/** Everything that learns of a change: the counters, tails of admins, and watchers. */
function buildFanout(context: HubContext, { storage, users, writeBehind, clusterParts, peers }: Core) {
  const { clock, onStop } = context;
  const counts = { changes: 0, deliveries: 0 };
  const delays = new Delays(context.inputWait);
  const transitions = new Transitions();
  const turns = new TurnBudget();
  const history = buildHistory(context, { storage, users, turns, clusterParts });
  const staleness = new Staleness({
    users,
    onSureness: (since) => keepSureUntil(storage, since),
    onDoubt: (since) => history?.recorder.doubt(since),
  });
  const fanout = new Fanout({
    presence: users,
    staleNotifier: staleness,
    turns,
    clock,
    timekeeper: clusterParts?.cluster.timekeeper ?? new OwnTimekeeper(clock, storage.versions, storage.store),
    friends: storage.roster,
    peers,
    delays,
    reportEveryMs: REPORT_EVERY_MS,
    largeAudience: LARGE_AUDIENCE,
    nowMs: () => performance.now(),
    afterTurn: setImmediate,
    onDelivered: (entries) => (counts.deliveries += entries),
  });
  onStop(() => fanout.dropIdleLists());
  const ownTails = new Tails({ presence: users });
  onStop(() => ownTails.stop());
  const presentUsers = buildPresentUsers(users, turns, clusterParts);
  const webhooks = buildWebhooks(context, { storage, users, writeBehind, staleness, clusterParts });
  // Webhooks come before the fan-out, because a change that is sent must already be noted.
  const onOwnChange: readonly ChangeListener[] = [
    ...(webhooks?.onChange ?? []),
    countChanges(counts, transitions),
    (change) => history?.onChange(change),
    (change) => ownTails.changed(change),
  ];
  const onShown: readonly ChangeListener[] = [
    (change) => presentUsers.changed(change),
    (change) => fanout.reports.changed(change),
  ];
  return {
    counts,
    transitions,
    delays,
    turns,
    staleness,
    fanout,
    tails: clusterParts?.tails(ownTails) ?? ownTails,
    presentUsers,
    historyParts: history,
    webhooks: webhooks?.webhooks ?? null,
    webhookNotes: webhooks?.notes ?? null,
    eventQueue: webhooks?.queue ?? storage.webhookQueue,
    startWebhooks: webhooks?.start,
    onOwnChange,
    onShown,
  };
}

function buildPresentUsers(users: Users, turns: TurnBudget, clusterParts: ClusterParts | null): PresentUsers {
  const elsewhere = clusterParts?.cluster.orphans;
  return new PresentUsers({ users, turns, ...(elsewhere && { elsewhere }), nowMs: () => performance.now() });
}

/** From here on, changes of this hub are agreed on with the others. */
async function joinCluster(
  { onStop }: HubContext,
  { users, presence, clusterParts }: Core,
  { fanout, onOwnChange, onShown, staleness, presentUsers, historyParts }: ReturnType<typeof buildFanout>,
  { intake, onErased }: Pick<Parts, 'intake' | 'onErased'>,
  { wsJson }: Adapters,
): Promise<void> {
  const onOrphan = (user: User): void => presentUsers.held(user);
  const onReleased = (user: User): void => presentUsers.released(user);
  const onWritten: HubParts['onWritten'] = (...written) => {
    clusterParts?.onWritten(...written);
    historyParts?.onWritten(...written);
  };
  const erasing: Pick<HubParts, 'kick' | 'onErased'> = {
    kick: (session) => intake.kick(session),
    onErased: (user, n, change) => {
      if (change !== undefined) presentUsers.changed(change);
      onErased(user, n);
    },
  };
  const changes = {
    reports: fanout.reports,
    onChange: onShown,
    onOwnChange,
    onWritten,
    onOrphan,
    onReleased,
    ...erasing,
  };
  await clusterParts?.join({ users, presence, ...changes }, staleness, wsJson);
  if (!staleness.isAny) historyParts?.recorder.doubt(null);
  onStop(() => historyParts?.leaving());
}

/** The entrance of all heartbeats. */
function buildIntake(
  context: HubContext,
  { users, presence, writeBehind, peers }: Core,
  onChange: readonly ChangeListener[],
) {
  const { config, clock, refusals } = context;
  return new Intake({
    users,
    presence,
    peers,
    clock,
    onChange,
    get maxSessions() {
      return config.maxSessions;
    },
    get maxSessionsTotal() {
      return context.maxSessionsTotal;
    },
    unsavedCount: () => writeBehind.unsavedCount,
    onRefused: (reason) => {
      refusals[reason]++;
    },
  });
}

/** The use cases of the API and the command line. */
function buildActions(
  context: HubContext,
  core: Core,
  { fanout, turns, historyParts, webhookNotes, eventQueue }: ReturnType<typeof buildFanout>,
  intake: Intake,
): Actions {
  const { config, clock, stalls, sessionIds } = context;
  const { storage, users, ownLedger, journal, keep, clusterParts } = core;
  const { store } = storage;
  const edits = buildListEdits(context, storage, fanout, turns);
  const { reports } = fanout;
  const blocks = { store, users, keep, ledger: ownLedger, reports, clock, limits: config };
  const clusterBlocks = clusterParts?.blocks(config);
  const explainHere = (user: string) => explain({ sessionIds, clock, stalls, users, journal }, user);
  const kickHere = (user: string, session: string) => kick({ sessionIds, users, intake }, user, session);
  const sessions = clusterParts?.sessions({ users, explain: explainHere, kick: kickHere });
  const explained = (user: string) => sessions?.explain(user) ?? explainHere(user);
  const erasing = { historyParts, clusterBlocks, blocks, edits, fanout, turns, intake, webhooks: webhookNotes };
  const { erase, onErased } = buildErasure(context, { ...storage, ...core, ...erasing });
  const kept = clusterParts === null ? storage : sharedExport(storage);
  const exported = { ...storage, ...kept, webhookQueue: eventQueue, users, turns, explain: explained };
  return {
    edit: storage.remoteLists?.areReadOnly === true ? null : (edit) => edits.edit(edit),
    refreshList: (user) => edits.refresh(user),
    block: (user, other) => clusterBlocks?.block(user, other) ?? block(blocks, user, other),
    unblock: (user, other) => clusterBlocks?.unblock(user, other) ?? unblock(blocks, user, other),
    explain: explained,
    erase,
    onErased,
    exportOf: (user, reader) => exportUser(exported, user, reader),
    kick: (user, session) => sessions?.kick(user, session) ?? kickHere(user, session),
  };
}
