/**
 * Joins webhooks to the hub: reads their rules and settings, passes them every shown change, and has changes queued
 * before watchers are sent them.
 */
import { parseCidrs } from '../auth/cidrs.ts';
import { StartError } from '../lib/start-error.ts';
import { WatchedFile } from '../lib/watched-file.ts';
import { shownCause } from '../presence/shown-cause.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Staleness } from '../staleness.ts';
import { parseRules, ruleOfSettings, URL_RULE, type Rule } from '../webhooks/rules.ts';
import { Webhooks } from '../webhooks/webhooks.ts';
import type { ChangeListener } from '../presence/change.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
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
}

export interface WebhookParts {
  readonly webhooks: Webhooks;
  /** Must come before the fan-out, because a change that is sent must already be noted. */
  readonly onChange: ChangeListener;
  /** Reads the rules and begins to send. @throws {StartError} for a wrong rule. */
  readonly start: () => Promise<void>;
}

/** Returns null if no setting asks for webhooks. @throws {StartError} for a wrong setting. */
export function buildWebhooks(context: HubContext, options: WebhookOptions): WebhookParts | null {
  const { config, clock, log, node, onStop } = context;
  const { storage, users, writeBehind, staleness } = options;
  const { webhookUrl, webhookSecret, webhookFile, webhookKeepMs, webhookAllow } = config;
  if (webhookUrl === null && webhookFile === null) return null;
  const allowed = parseCidrs('HUB_WEBHOOK_ALLOW', webhookAllow);
  if (!allowed.ok) throw new StartError(allowed.problem);
  const ownRules = readSettingsRule(webhookUrl, webhookSecret);
  const webhooks = new Webhooks({
    queue: storage.webhookQueue,
    requestStore: () => writeBehind.writeFirsts(),
    entryOf: (user) => users.peekAs(user, stranger),
    isStale: (user) => staleness.isStale(user === undefined ? [] : [user], stranger),
    hub: node,
    keepMs: webhookKeepMs,
    allowed: allowed.value,
    now: () => clock.now().wallMs,
    log,
    onHealth: (error) => storage.health.report('webhooks', error),
  });
  onStop(() => webhooks.stop());
  writeBehind.attach({
    write: () => {
      webhooks.storePending();
    },
    written: () => {
      webhooks.pendingStored();
    },
  });
  return {
    webhooks,
    onChange: ({ user, isShown, cause, from, at }) => {
      if (!isShown) return;
      const to = users.entryOf(user).status;
      const isNoted = webhooks.changed({ user: user.id, from, to, cause: shownCause(cause, from, to), at });
      if (isNoted) writeBehind.storeFirst(user);
    },
    start: () => startSending(context, webhooks, ownRules),
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
