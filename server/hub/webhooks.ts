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
import type { Core } from './core.ts';
import type { HubContext } from './context.ts';
import { reportStorage, type Storage } from './storage.ts';

/** A receiver sees what a stranger with the scope `observe` sees. */
const stranger: Viewer = { user: null, isAdmin: false, follower: null, mayObserve: true };
const CHECK_FILE_EVERY_MS = 1000;

export interface WebhookParts {
  readonly webhooks: Webhooks;
  /** Reads the rules and begins to send. @throws {StartError} for a wrong rule. */
  readonly start: (staleness: Staleness) => Promise<void>;
}

/** Returns null if no setting asks for webhooks. @throws {StartError} for a wrong setting. */
export function buildWebhooks(context: HubContext, core: Core, { webhookQueue }: Storage): WebhookParts | null {
  const { config, clock, log, node, onStop } = context;
  const { webhookUrl, webhookSecret, webhookFile, webhookKeepMs, webhookAllow } = config;
  if (webhookUrl === null && webhookFile === null) return null;
  const allowed = parseCidrs('HUB_WEBHOOK_ALLOW', webhookAllow);
  if (!allowed.ok) throw new StartError(allowed.problem);
  const webhooks = new Webhooks({
    queue: webhookQueue,
    requestStore: core.ensureStored,
    entryOf: (user) => core.presence.peekAs(user, stranger),
    hub: node,
    keepMs: webhookKeepMs,
    allowed: allowed.cidrs,
    now: () => clock.now().wallMs,
    log,
    onHealth: (error) => {
      reportStorage(context, 'webhooks', error);
    },
  });
  onStop(() => webhooks.stop());
  observeChanges(core, webhooks);
  const ownRules = readSettingsRule(webhookUrl, webhookSecret);
  return { webhooks, start: (staleness) => startSending(context, webhooks, ownRules, staleness) };
}

function observeChanges({ presence, onChange, storeWith }: Core, webhooks: Webhooks): void {
  // Before the fan-out, because a change that is sent must already be noted here.
  onChange.unshift(({ user, isShown, cause, from, at }) => {
    if (!isShown) return;
    const to = presence.entryOf(user).status;
    webhooks.changed({ user: user.id, from, to, cause: shownCause(cause, from, to), at });
  });
  storeWith({
    users: () => [...webhooks.pendingUsers()].flatMap((id) => presence.find(id) ?? []),
    write: () => {
      webhooks.storePending();
    },
    written: () => {
      webhooks.pendingStored();
    },
  });
}

async function startSending(
  { config, log, onStop }: HubContext,
  webhooks: Webhooks,
  ownRules: readonly Rule[],
  staleness: Staleness,
): Promise<void> {
  const file = openFile(config.webhookFile, ownRules);
  const read = await file?.read();
  if (read?.ok === false) throw new StartError(read.problem);
  const isStale = (user?: string): boolean => staleness.isStale(user === undefined ? [] : [user], stranger);
  await webhooks.start([...ownRules, ...(read?.value ?? [])], isStale);
  file?.watch(CHECK_FILE_EVERY_MS, (again) => {
    if (!again.ok) log.error(`${again.problem}; until then the rules of before apply`);
    else void webhooks.setRules([...ownRules, ...again.value]).then(() => log.info('HUB_WEBHOOKS was read again'));
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
