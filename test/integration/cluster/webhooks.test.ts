/** Webhooks of several hubs on one Redis: each event is sent by one, and by another if that one dies (section 9). */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endHubProcesses } from '../../support/hub-process.ts';
import { ask, ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { needing } from '../../support/needs.ts';
import { WEBHOOK_SECRET, WebhookReceiver, type ReceivedEvent } from '../../support/webhook-receiver.ts';
import { WsClient } from '../../support/ws-client.ts';

const TTL_MS = 3_600_000;
const STATUSES = ['online', 'away', 'busy', 'offline'] as const;

interface ListedRule {
  readonly name: string;
  readonly queued: number;
  readonly dead: number;
}

describe('webhooks in a cluster', { ...needing('redis-server'), timeout: 240_000 }, () => {
  let folder: string;
  let stage: ClusterStage;
  let receiver: WebhookReceiver;
  let hubs: ClusterHub[];

  const writeRules = (...rules: object[]): string => {
    const path = join(folder, 'rules.json');
    const named = rules.map((rule) => ({ name: 'mail', url: receiver.url, secret: WEBHOOK_SECRET, ...rule }));
    writeFileSync(`${path}.new`, JSON.stringify(named));
    renameSync(`${path}.new`, path);
    return path;
  };
  const start = async (...rules: object[]): Promise<void> => {
    stage = await ClusterStage.start({ HUB_WEBHOOKS: writeRules(...rules), HUB_WARM_MS: '2000' });
    hubs = await stage.hubs(3);
  };
  const beat = async (hub: ClusterHub, user: string, fields: object = {}): Promise<void> => {
    const { status } = await ask(hub, 'POST', '/v1/heartbeat', { user, ttlMs: TTL_MS, ...fields });
    expect(status).toBe(200);
  };
  const rulesOn = async (hub: ClusterHub): Promise<ListedRule[]> =>
    ((await ask(hub, 'GET', '/v1/webhooks')).body as { rules: ListedRule[] }).rules;
  const summaryOf = ({ from, cause, entry }: ReceivedEvent): string => `${from} -> ${entry.status} (${cause})`;
  /** Repetitions of an event have its id. What remains of each user must be one chain, with versions that grow. */
  const checkChains = (): Map<string, ReceivedEvent[]> => {
    const chains = new Map<string, ReceivedEvent[]>();
    const byId = new Map<string, string>();
    for (const event of receiver.events) {
      const text = JSON.stringify(event);
      expect(byId.get(event.id) ?? text).toBe(text);
      if (byId.has(event.id)) continue;
      byId.set(event.id, text);
      const chain = chains.get(event.entry.user) ?? [];
      chains.set(event.entry.user, [...chain, event]);
      const before = chain.at(-1);
      if (before === undefined) continue;
      expect(event.from).toBe(before.entry.status);
      expect(event.entry.v).toBeGreaterThan(before.entry.v);
    }
    return chains;
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cluster-webhooks-'));
    receiver = await WebhookReceiver.open();
  });
  afterEach(async () => {
    await endHubProcesses();
    await stage.stop();
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('an event is sent once, no matter which hub made the change, with the entry that all hubs show (N2, N7)', async () => {
    await start({}, { name: 'all', events: 'all', on: ['away'] });
    for (const [i, hub] of hubs.entries()) await beat(hub, `user-${i}`);
    await receiver.until(() => receiver.events.length === 3);
    for (const i of hubs.keys()) await beat(hubs[(i + 1) % 3]!, `user-${i}`, { status: 'away' });
    await receiver.until(() => receiver.events.length === 9);
    for (const i of hubs.keys()) {
      const { body: entry } = await ask(hubs[2]!, 'GET', `/v1/presence/user-${i}`);
      const ofMail = receiver.eventsOf(`user-${i}`).filter(({ rule }) => rule === 'mail');
      expect(ofMail.map(summaryOf)).toEqual(['offline -> online (began)', 'online -> away (set)']);
      expect(ofMail.at(-1)!.entry).toEqual(entry);
      expect(receiver.eventsOf(`user-${i}`).filter(({ rule }) => rule === 'all')).toHaveLength(1);
    }
    expect(new Set(receiver.events.map(({ id }) => id)).size).toBe(9);
    // Invisible looks like offline, and nothing is sent while it is.
    await beat(hubs[0]!, 'user-0', { status: 'invisible' });
    await beat(hubs[0]!, 'user-0', { status: 'invisible', text: 'here' });
    await beat(hubs[0]!, 'last');
    await receiver.until(() => receiver.eventsOf('last').length === 1);
    expect(summaryOf(receiver.eventsOf('user-0').at(-1)!)).toBe('away -> offline (bye)');
    expect(receiver.eventsOf('user-0')).toHaveLength(4);
  });

  it('every last state arrives in order, although the receiver fails half of the time and senders are killed (N3, N4, N10)', async () => {
    await start({});
    let requests = 0;
    receiver.answer = () => (++requests % 2 === 0 ? 200 : requests % 3 === 0 ? 0 : 500);
    const last = new Map<string, string>();
    const users = Array.from({ length: 60 }, (_, i) => `user-${i}`);
    for (let round = 0; round < 4; round++) {
      for (const [i, user] of users.entries()) {
        const status = STATUSES[(round + i) % 4]!;
        last.set(user, status);
        await beat(hubs[(i + round) % hubs.length]!, user, { status });
      }
      if (round === 3) break;
      // The one that sends is in the middle of it.
      const from = receiver.messages.length;
      await receiver.until(() => receiver.messages.length > from);
      const sender = (JSON.parse(receiver.messages.at(-1)!.body) as { hub: string }).hub;
      const names = await Promise.all(hubs.map(nameOf));
      const [killed] = hubs.splice(Math.max(0, names.indexOf(sender)), 1);
      killed!.process.child.kill('SIGKILL');
      await killed!.process.exited;
      hubs.push(await stage.hub());
    }
    const arrived = (): boolean =>
      users.every((user) => (receiver.eventsOf(user).at(-1)?.entry.status ?? 'offline') === last.get(user));
    await receiver.until(arrived);
    checkChains();
    const tries = new Map<string, Set<string>>();
    for (const { id, body } of receiver.messages) tries.set(id, (tries.get(id) ?? new Set()).add(body));
    for (const bodies of tries.values()) expect(bodies.size).toBe(1);
    await expect.poll(async () => (await rulesOn(hubs[0]!))[0]?.queued, { timeout: 10_000 }).toBe(0);
  });

  it('a change back within afterMs sends nothing, even if the node that received it dies meanwhile', async () => {
    await start({ on: ['offline'], afterMs: 8000 });
    for (const user of ['gone', 'back']) await beat(hubs[0]!, user);
    for (const user of ['gone', 'back']) await beat(hubs[0]!, user, { status: 'offline' });
    const leftAt = Date.now();
    hubs[0]!.process.child.kill('SIGKILL');
    await beat(hubs[1]!, 'back');
    await receiver.until(() => receiver.events.length === 1);
    expect(Date.now() - leftAt).toBeGreaterThanOrEqual(7500);
    expect(receiver.events[0]).toMatchObject({ from: 'online', cause: 'bye', entry: { user: 'gone' } });
    await beat(hubs[2]!, 'gone');
    await beat(hubs[2]!, 'back', { status: 'offline' });
    await receiver.until(() => receiver.events.length === 2);
    expect(receiver.events[1]!.entry.user).toBe('back');
  });

  it('the users of a dead node are reported once, with cause node_lost, and not before they are certainly offline (N6)', async () => {
    await start({});
    const clients = await Promise.all(
      Array.from({ length: 5 }, (_, i) => WsClient.hello(hubs[0]!.ws, { user: `user-${i}` })),
    );
    await receiver.until(() => receiver.events.length === 5);
    hubs[0]!.process.child.kill('SIGKILL');
    const moved = await WsClient.hello(hubs[1]!.ws, { user: 'user-0' });
    const lost = [1, 2, 3, 4].map((i) => `user-${i}`);
    await receiver.until(() => lost.every((user) => receiver.eventsOf(user).at(-1)?.entry.status === 'offline'));
    // The hub that died may have sent a batch and not noted its delivery.
    const chains = checkChains();
    for (const user of lost) {
      expect(chains.get(user)!.map(summaryOf)).toEqual(['offline -> online (began)', 'online -> offline (node_lost)']);
    }
    expect(chains.get('user-0')).toHaveLength(1);
    for (const client of [...clients, moved]) client.close();
  });

  it('after FLUSHALL each rule gets the current state of every user whose events may be lost (N10)', async () => {
    await start({}, { name: 'offline', on: ['offline'] });
    const users = Array.from({ length: 12 }, (_, i) => `user-${i}`);
    const clients = await Promise.all(
      users.map((user, i) => WsClient.hello(hubs[i % 3]!.ws, { user, status: i % 2 === 0 ? 'busy' : 'online' })),
    );
    await receiver.until(() => users.every((user) => receiver.eventsOf(user).length > 0));
    receiver.answer = () => 500;
    // Nobody watches them, and their last events are still waiting.
    for (const i of [0, 1, 2]) clients[i]!.send({ type: 'bye' });
    await expect.poll(async () => (await rulesOn(hubs[1]!))[0]?.queued, { timeout: 10_000 }).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 7000)); // longer than nodes remember them
    const from = receiver.messages.length;
    await stage.redis.send(['FLUSHALL']);
    receiver.answer = () => 200;
    const since = (rule: string): ReceivedEvent[] =>
      receiver.messages
        .slice(from)
        .filter(({ status }) => status === 200)
        .flatMap(({ body }) => (JSON.parse(body) as { events: ReceivedEvent[] }).events)
        .filter((event) => event.rule === rule);
    const isIn = (rule: string, user: string, status: string): boolean =>
      since(rule).some(({ entry }) => entry.user === user && entry.status === status);
    await receiver.until(() =>
      users.every((user, i) => isIn('mail', user, i < 3 ? 'offline' : i % 2 === 0 ? 'busy' : 'online')),
    );
    await receiver.until(() => users.slice(0, 3).every((user) => isIn('offline', user, 'offline')));
    expect(since('offline').every(({ entry }) => users.indexOf(entry.user) < 3)).toBe(true);
    for (const client of clients) client.close();
  });

  it('any node lists, tests and replays, and its metrics show the whole queue (N9)', async () => {
    stage = await ClusterStage.start({ HUB_WEBHOOKS: writeRules({}), HUB_WEBHOOK_KEEP_MS: '1000' });
    hubs = await stage.hubs(2);
    receiver.answer = () => 500;
    await beat(hubs[0]!, '42');
    await beat(hubs[1]!, '7');
    const dead = async (hub: ClusterHub): Promise<number> => (await rulesOn(hub))[0]!.dead;
    for (const hub of hubs) await expect.poll(() => dead(hub), { timeout: 15_000 }).toBe(2);
    for (const hub of hubs) {
      const text = await (await fetch(`${hub.http}/metrics`)).text();
      expect(text).toContain('presence_hub_webhook_dead{rule="mail"} 2');
      expect(text).toContain('presence_hub_webhook_queue{rule="mail"} 0');
    }
    receiver.answer = () => 200;
    for (const hub of hubs) {
      const tested = await ask(hub, 'POST', '/v1/webhooks/mail/test');
      expect(tested.body).toEqual({ delivered: true });
    }
    expect((await ask(hubs[1]!, 'POST', '/v1/webhooks/mail/replay')).body).toEqual({ events: 2 });
    await receiver.until(() => receiver.events.length === 2);
    for (const hub of hubs) await expect.poll(() => dead(hub), { timeout: 5000 }).toBe(0);
  });

  it('an added rule applies on all nodes, and after one node leaves the others send each event once (N1)', async () => {
    await start({});
    await beat(hubs[0]!, '42');
    await receiver.until(() => receiver.events.length === 1);
    writeRules({}, { name: 'more', on: ['busy'] });
    await expect
      .poll(async () => (await Promise.all(hubs.map(rulesOn))).map((rules) => rules.length), { timeout: 10_000 })
      .toEqual([2, 2, 2]);
    const [left, ...rest] = hubs;
    left!.process.child.kill('SIGTERM');
    await left!.process.exited;
    await beat(rest[0]!, '42', { status: 'busy' });
    await receiver.until(() => receiver.events.length === 3);
    expect(receiver.events.map(({ rule }) => rule).sort()).toEqual(['mail', 'mail', 'more']);
  });
});

/** The name of a hub in its messages. */
async function nameOf(hub: ClusterHub): Promise<string> {
  const client = await WsClient.open(hub.ws);
  client.send({ type: 'hello', observe: true });
  const { node } = await client.next('welcome');
  client.close();
  return node;
}
