/**
 * Joins webhooks to the hub: reads their rules and settings, passes them every shown change, and has changes queued
 * before watchers are sent them.
 */
import { parseCidrs } from '../auth/cidrs.ts';
import { rememberedOf } from '../cluster/bridge/records.ts';
import { BUCKETS } from '../cluster/bucket.ts';
import { decodeRecord } from '../cluster/record/record.ts';
import { ClusterQueue } from '../cluster/webhooks/cluster-queue.ts';
import { StartError } from '../lib/start-error.ts';
import { WatchedFile } from '../lib/watched-file.ts';
import { shownStatusOf } from '../presence/fold.ts';
import { shownCause } from '../presence/shown-cause.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Staleness } from '../staleness.ts';
import type { EventQueue } from '../webhooks/queue.ts';
import { parseRules, ruleOfSettings, URL_RULE, type Rule } from '../webhooks/rules.ts';
import { ChangeNotes } from '../webhooks/change-notes.ts';
import { Webhooks, type WebhooksOptions } from '../webhooks/webhooks.ts';
import type { ChangeListener } from '../presence/change.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
import type { ClusterParts } from './cluster.ts';
import type { HubContext } from './context.ts';
import type { Storage } from './storage/open-storage.ts';

/** A receiver sees what a stranger with the scope `observe` sees. */
const stranger: Viewer = { user: null, isAdmin: false, follower: null, mayObserve: true };
const CHECK_FILE_EVERY_MS = 1000;

interface WebhookOptions {
  readonly storage: Storage;
  readonly users: Users;
  readonly writeBehind: WriteBehind<User>;
  readonly staleness: Staleness;
  /** Null if the hub is not in a cluster. */
  readonly clusterParts: ClusterParts | null;
}

export interface WebhookParts {
  readonly webhooks: Webhooks;
  readonly queue: EventQueue;
  /** Must come before the fan-out, because a change that is sent must already be noted. */
  readonly onChange: readonly ChangeListener[];
  /** What is noted of a user and queued in the storage of this hub; null in a cluster. */
  readonly notes: ChangeNotes | null;
  /** Reads the rules and begins to send. @throws {StartError} for a wrong rule. */
  readonly start: () => Promise<void>;
}

/** Returns null if no setting asks for webhooks. @throws {StartError} for a wrong setting. */
export function buildWebhooks(context: HubContext, options: WebhookOptions): WebhookParts | null {
  const { webhookUrl, webhookSecret, webhookFile } = context.config;
  if (webhookUrl === null && webhookFile === null) return null;
  const ownRules = readSettingsRule(webhookUrl, webhookSecret);
  const { clusterParts } = options;
  if (clusterParts !== null) return buildInCluster(context, options, clusterParts, ownRules);
  const { storage, users, writeBehind } = options;
  const webhooks = openWebhooks(context, options, {
    queue: storage.webhookQueue,
    onPause: () => notes.flush(),
    onRules: () => undefined,
    onHealth: (error) => storage.health.report('webhooks', error),
  });
  const notes = new ChangeNotes({
    queue: storage.webhookQueue,
    rules: () => webhooks.rules,
    requestStore: () => writeBehind.writeFirsts(),
    entryOf: (user) => users.peekAs(user, stranger),
    now: () => context.clock.now().wallMs,
    onApplied: (rule, applied) => webhooks.applied(rule, applied),
    onStored: (rule) => webhooks.wake(rule),
  });
  context.onStop(() => webhooks.stop());
  writeBehind.attach({ write: () => notes.storePending(), written: () => notes.pendingStored() });
  return {
    webhooks,
    queue: storage.webhookQueue,
    notes,
    onChange: [
      ({ user, isShown, cause, from, at }) => {
        if (!isShown) return;
        // Not from `users.entryOf`, which would store the users that wait for it: a transaction for each change.
        const to = shownStatusOf(user.fold);
        const isNoted = notes.changed({ user: user.id, from, to, cause: shownCause(cause, from, to), at });
        if (isNoted) writeBehind.storeFirst(user);
      },
    ],
    start: () => startSending(context, webhooks, ownRules),
  };
}

type QueueParts = Pick<WebhooksOptions, 'queue' | 'onPause' | 'onRules' | 'onHealth'>;

function openWebhooks(
  { config, clock, node, log }: HubContext,
  { staleness }: WebhookOptions,
  parts: QueueParts,
): Webhooks {
  const allowed = parseCidrs('HUB_WEBHOOK_ALLOW', config.webhookAllow);
  if (!allowed.ok) throw new StartError(allowed.problem);
  return new Webhooks({
    ...parts,
    isStale: (user) => staleness.isStale(user === undefined ? [] : [user], stranger),
    hub: node,
    keepMs: config.webhookKeepMs,
    allowed: allowed.value,
    now: () => clock.now().wallMs,
    log,
  });
}

/** How long another node may take to hear that dead events are sent again. It also finds them by itself. */
const TOLD_WITHIN_MS = 1000;

/** The nodes of a cluster share one queue. */
function buildInCluster(
  context: HubContext,
  options: WebhookOptions,
  { cluster, shares, calls, events, eventStore, onTick }: ClusterParts,
  ownRules: readonly Rule[],
): WebhookParts {
  const { config, clock, log, onStop } = context;
  const { users } = options;
  const { node } = cluster;
  const queue = new ClusterQueue({
    store: eventStore,
    shares,
    buckets: BUCKETS,
    most: config.webhookMax,
    inc: () => node.inc,
    hasEnded: (inc) => node.members.hasEnded(inc),
    isUp: () => node.state === 'up',
    newOp: () => node.publisher.nextId(node.inc),
    entryOf: (user, stored) => {
      const record = decodeRecord(stored);
      const v = record.v === 0 ? 0 : Math.max(record.v, node.buckets.chainOf(user).epoch);
      return users.printAs(user, v === 0 ? undefined : rememberedOf(user, record, v, users.offline), stranger);
    },
    nowMs: () => performance.now(),
    wallMs: () => clock.now().wallMs,
    wake: (rule) => webhooks.wake(rule),
    onApplied: (rule, applied) => webhooks.applied(rule, applied),
    tellReplayed: (inc, rule) => void calls.call([inc], 'replayed', rule, TOLD_WITHIN_MS),
    warn: (text) => log.warn(text),
  });
  const webhooks = openWebhooks(context, options, {
    queue,
    onPause: () => undefined,
    onRules: (rules) => queue.useRules(rules),
    onHealth: (error) => {
      // What is wrong with the store is told once, by the cluster.
      if (error !== undefined) log.debug({ err: error }, 'webhook events wait for Redis');
    },
  });
  calls.on('replayed', (rule) => {
    queue.replayed(String(rule));
    return true;
  });
  return {
    webhooks,
    queue,
    notes: null,
    onChange: [],
    start: async () => {
      // Before this node leaves the cluster.
      onStop(() => queue.stop());
      onStop(() => webhooks.stop());
      events.to = queue;
      onTick.push(() => queue.tick());
      await startSending(context, webhooks, ownRules);
    },
  };
}

async function startSending(
  { config, log, onStop }: HubContext,
  webhooks: Webhooks,
  ownRules: readonly Rule[],
): Promise<void> {
  const file = openFile(config.webhookFile, ownRules);
  const read = await file?.read();
  if (read?.ok === false) throw new StartError(read.problem);
  await webhooks.setRules([...ownRules, ...(read?.value ?? [])]);
  file?.watch(CHECK_FILE_EVERY_MS, (again) => {
    if (!again.ok) log.error(`${again.problem}; until then the previous rules apply`);
    else void webhooks.setRules([...ownRules, ...again.value]).then(() => log.info('HUB_WEBHOOKS was reloaded'));
  });
  onStop(() => file?.stop());
}

function readSettingsRule(url: string | null, secret: string | null): readonly Rule[] {
  if (url === null) return [];
  const rule = ruleOfSettings(url, secret);
  if (!rule.ok) throw new StartError(rule.problem);
  return [rule.value];
}

function openFile(path: string | null, others: readonly Rule[]): WatchedFile<readonly Rule[]> | undefined {
  if (path === null) return undefined;
  return new WatchedFile({
    setting: 'HUB_WEBHOOKS',
    path,
    form: 'a JSON file of webhook rules',
    parse: (text) => {
      const rules = parseRules(text);
      const isTaken = rules.ok && others.length > 0 && rules.value.some(({ name }) => name === URL_RULE);
      return isTaken
        ? { ok: false, problem: `a rule is named "${URL_RULE}", which is the rule of HUB_WEBHOOK_URL: rename it` }
        : rules;
    },
  });
}
