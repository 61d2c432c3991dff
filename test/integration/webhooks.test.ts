/** PROTOCOL.md section 9: webhooks of a real hub, posted to a real receiver that verifies each signature. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { ask } from '../support/ask.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WEBHOOK_SECRET, WebhookReceiver, type ReceivedEvent } from '../support/webhook-receiver.ts';
import { WsClient } from '../support/ws-client.ts';

const TTL_MS = 3_600_000;

let folder: string;
let receiver: WebhookReceiver;
let hub: TestHub | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hub-webhooks-'));
  receiver = await WebhookReceiver.open();
});
afterEach(async () => {
  await hub?.stop();
  hub = undefined;
  await endHubProcesses();
  await receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(settings: Partial<Config> = {}): Promise<TestHub> {
  hub = await startTestHub({ webhookUrl: receiver.url, webhookSecret: WEBHOOK_SECRET, ...settings });
  return hub;
}

function rulesFile(...rules: object[]): string {
  const path = join(folder, 'rules.json');
  const named = rules.map((rule) => ({ name: 'mail', url: receiver.url, secret: WEBHOOK_SECRET, ...rule }));
  writeFileSync(`${path}.new`, JSON.stringify(named));
  renameSync(`${path}.new`, path);
  return path;
}

const startWithRules = (...rules: object[]): Promise<TestHub> =>
  start({ webhookUrl: null, webhookSecret: null, webhookFile: rulesFile(...rules) });

const heartbeat = (user: string, fields: object = {}): Promise<{ status: number }> =>
  hub!.request('POST', '/v1/heartbeat', { user, ttlMs: TTL_MS, ...fields });

const summaryOf = ({ from, cause, entry }: ReceivedEvent): string => `${from} -> ${entry.status} (${cause})`;

describe('an event', () => {
  it('is posted for each change of status, with the entry, even if nobody watches the user (N2)', async () => {
    await start();
    await heartbeat('42', { text: 'hi' });
    await receiver.until(() => receiver.events.length === 1);
    const entry = (await hub!.request('GET', '/v1/presence/42')).body;
    expect(receiver.events[0]).toMatchObject({ rule: 'default', from: 'offline', cause: 'began', entry });
    await heartbeat('42', { status: 'offline' });
    await receiver.until(() => receiver.events.length === 2);
    expect(receiver.events.map(summaryOf)).toEqual(['offline -> online (began)', 'online -> offline (bye)']);
    expect(JSON.parse(receiver.messages[0]!.body)).toMatchObject({
      type: 'presence.changed',
      hub: expect.stringMatching(/^hub-/) as string,
    });
  });

  it('is posted for a change of the text only if the rule wants every change', async () => {
    await startWithRules({ name: 'all', events: 'all' }, { name: 'status' });
    await heartbeat('42');
    await receiver.until(() => receiver.events.length === 2);
    await heartbeat('42', { text: 'lunch' });
    await receiver.until(() => receiver.events.length === 3);
    expect(receiver.events[2]).toMatchObject({ rule: 'all', from: 'online', cause: 'set', entry: { text: 'lunch' } });
  });

  it('is stored with others in one transaction, so that many changes at once do not keep the hub from its watchers', async () => {
    const { tcpPort } = await start();
    const users = Array.from({ length: 100 }, (_, no) => `u${no}`);
    const gateway = await LegacyClient.open(tcpPort);
    const writes = 'presence_hub_storage_write_seconds_count';
    // The first time, users are stored because they are new.
    for (const state of [1, 2]) {
      const before = await hub!.metric(writes);
      gateway.write(users.map((user) => frame(user, state)).join(''));
      await receiver.until(() => receiver.events.length === 100 * state);
      expect((await hub!.metric(writes)) - before).toBeLessThan(50);
    }
    gateway.end();
  });

  it('is posted only for the users and statuses of the rule', async () => {
    await startWithRules({ users: ['42', 'bot-*'], on: ['away', 'offline'] });
    for (const user of ['42', 'bot-7', '9']) await heartbeat(user, { status: 'away' });
    for (const user of ['42', 'bot-7', '9']) await heartbeat(user, { status: 'online' });
    for (const user of ['42', 'bot-7', '9']) await heartbeat(user, { status: 'offline' });
    await receiver.until(() => receiver.eventsOf('42').length > 0 && receiver.eventsOf('bot-7').length > 0);
    const last = (user: string): string => receiver.eventsOf(user).at(-1)!.entry.status;
    expect([last('42'), last('bot-7')]).toEqual(['offline', 'offline']);
    expect(receiver.eventsOf('9')).toEqual([]);
    expect(receiver.events.map(({ entry }) => entry.status)).not.toContain('online');
  });

  it('has the causes `lapsed` and `closed`', async () => {
    const { clock, tcpPort } = await start({ tcpTimeoutMs: 5000, graceMs: 100 });
    const legacy = await LegacyClient.open(tcpPort);
    legacy.beat('tcp', 1);
    const socket = await WsClient.hello(hub!.addresses.ws, { user: 'ws' });
    await receiver.until(() => receiver.events.length === 2);
    socket.cut();
    await hub!.until(() => {
      clock.pass(50);
      return receiver.eventsOf('ws').length === 2;
    });
    expect(summaryOf(receiver.eventsOf('ws')[1]!)).toBe('online -> offline (closed)');
    clock.pass(6000);
    await receiver.until(() => receiver.eventsOf('tcp').length === 2);
    expect(summaryOf(receiver.eventsOf('tcp')[1]!)).toBe('online -> offline (lapsed)');
  });
});

it('with afterMs reports only a status that still holds then, counted from the change, and across a restart', async () => {
  const rules = { webhookUrl: null, webhookSecret: null, webhookFile: rulesFile({ on: ['offline'], afterMs: 60_000 }) };
  const settings = { ...rules, data: join(folder, 'data'), warmMs: 1000 };
  await start(settings);
  for (const user of ['gone', 'back']) await heartbeat(user);
  for (const user of ['gone', 'back']) await heartbeat(user, { status: 'offline' });
  const leftAt = hub!.clock.wallMs;
  hub!.clock.pass(30_000);
  const wallMs = hub!.clock.wallMs;
  await hub!.stop();
  hub = await startTestHub(settings, (clock) => {
    clock.stepWall(wallMs - clock.wallMs);
    return clock;
  });
  await heartbeat('back');
  hub.clock.pass(29_000);
  await hub.looked();
  expect(await hub.metric('presence_hub_webhook_queue{rule="mail"}')).toBe(1);
  hub.clock.pass(1000);
  await receiver.until(() => receiver.events.length === 1);
  expect(receiver.events[0]).toMatchObject({ at: leftAt, from: 'online', cause: 'bye', entry: { user: 'gone' } });
  await heartbeat('back', { status: 'offline' });
  hub.clock.pass(60_000);
  await receiver.until(() => receiver.events.length === 2);
  expect(receiver.events[1]).toMatchObject({ at: leftAt + 60_000, entry: { user: 'back' } });
});

describe('nothing distinguishes', () => {
  it('an invisible user from an offline one, and nothing is sent while it is invisible (N7)', async () => {
    await startWithRules({ events: 'all' });
    for (const user of ['hides', 'leaves']) await heartbeat(user, { text: 'hi' });
    await receiver.until(() => receiver.events.length === 2);
    await heartbeat('hides', { status: 'invisible' });
    await heartbeat('leaves', { status: 'offline' });
    await receiver.until(() => receiver.events.length === 4);
    const facts = (user: string): object => {
      const { from, cause, entry } = receiver.eventsOf(user)[1]!;
      const { user: _, v, since, lastSeen, ...rest } = entry;
      return { from, cause, rest, types: [typeof v, typeof since, typeof lastSeen] };
    };
    expect(facts('hides')).toEqual(facts('leaves'));
    await heartbeat('hides', { status: 'invisible', text: 'still here' });
    await heartbeat('hides', { status: 'online', text: 'back' });
    await heartbeat('leaves', { status: 'online', text: 'back' });
    await receiver.until(() => receiver.events.length === 6);
    expect(receiver.eventsOf('hides').map(summaryOf)).toEqual(receiver.eventsOf('leaves').map(summaryOf));
  });

  it('a blocked viewer from others: a block changes no event', async () => {
    const { addresses } = await start({ auth: 'jwt', jwtSecret: TEST_SECRET });
    const token = await tokenFor('42');
    const beat = (fields: object): Promise<unknown> =>
      ask(addresses.http, 'POST', '/v1/heartbeat', { token, body: { user: '42', ttlMs: TTL_MS, ...fields } });
    await beat({});
    await receiver.until(() => receiver.events.length === 1);
    expect((await ask(addresses.http, 'PUT', '/v1/users/42/blocks/7', { token })).status).toBe(204);
    await beat({ status: 'busy' });
    await receiver.until(() => receiver.events.length === 2);
    expect(receiver.events.map(summaryOf)).toEqual(['offline -> online (began)', 'online -> busy (set)']);
  });
});

describe('a mass lapse', () => {
  it('that turns out to be false sends nothing (N6)', async () => {
    const { clock, addresses, tcpPort } = await start({ doubtMs: 5000, tcpTimeoutMs: 5400 });
    const users = Array.from({ length: 120 }, (_, n) => `u${n}`);
    const clients = await Promise.all(users.map(() => LegacyClient.open(tcpPort)));
    const beatAll = (state: (n: number) => number): void =>
      clients.forEach((client, n) => client.beat(`u${n}`, state(n)));
    beatAll(() => 1);
    await receiver.until(() => receiver.events.length === 120);
    const watcher = await WsClient.hello(addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users });
    await watcher.next('snapshot');
    clock.pass(5450);
    await watcher.next('stale');
    beatAll(() => 1);
    await hub!.until(async () => (await hub!.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}')) === 240);
    clock.pass(5100);
    await watcher.next('fresh');
    beatAll((n) => (n === 0 ? 2 : 1));
    await receiver.until(() => receiver.events.length > 120);
    expect(receiver.events.slice(120).map(summaryOf)).toEqual(['online -> away (set)']);
  });
});

describe('a hub as a process', () => {
  const settings = (data: string, more: Record<string, string> = {}): Record<string, string> => ({
    HUB_DATA: data,
    HUB_WARM_MS: '300',
    HUB_WEBHOOK_URL: receiver.url,
    HUB_WEBHOOK_SECRET: WEBHOOK_SECRET,
    ...more,
  });
  const beat = (http: string, user: string, status: string): Promise<unknown> =>
    ask(http, 'POST', '/v1/heartbeat', { body: { user, status, ttlMs: TTL_MS } });
  const run = async (more: Record<string, string> = {}): Promise<{ http: string; kill: () => Promise<unknown> }> => {
    const { child, started, exited } = startHubProcess(settings(join(folder, 'data'), more));
    const http = new URL(startLine(await started, 'page').split(' ')[0]!).origin;
    return {
      http,
      kill: () => {
        child.kill('SIGKILL');
        return exited;
      },
    };
  };

  it('gives a receiver that fails half of the time the last state of every user, in order, with stable ids', async () => {
    const { http } = await run();
    let answers = 0;
    receiver.answer = () => [200, 500, 200, 0][answers++ % 4]!;
    const statuses = ['online', 'away', 'busy', 'offline'];
    const users = Array.from({ length: 40 }, (_, n) => `u${n}`);
    for (let round = 0; round < 6; round++) {
      await Promise.all(users.map((user, n) => beat(http, user, statuses[(n + round) % 4]!)));
    }
    const lastOf = (n: number): string => statuses[(n + 5) % 4]!;
    await receiver.until(() => users.every((user, n) => receiver.eventsOf(user).at(-1)?.entry.status === lastOf(n)));
    for (const user of users) {
      const versions = receiver.eventsOf(user).map(({ entry }) => entry.v);
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
    }
    const bodies = new Map<string, Set<string>>();
    for (const { id, body } of receiver.messages) bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
    expect([...bodies.values()].every(({ size }) => size === 1)).toBe(true);
    expect(receiver.messages.some(({ status }) => status !== 200)).toBe(true);
  });

  it('that is killed ten times loses no last state, and events of one user stay in order (N5)', async () => {
    const users = Array.from({ length: 20 }, (_, n) => `u${n}`);
    const statuses = ['online', 'away', 'busy'];
    let answers = 0;
    receiver.answer = () => (answers++ % 3 === 0 ? 503 : 200);
    for (let round = 0; round < 10; round++) {
      const { http, kill } = await run();
      await Promise.all(users.map((user, n) => beat(http, user, statuses[(n + round) % 3]!)));
      // Once a watcher has received the changes, they must not be lost.
      const watcher = await WsClient.hello(`${http.replace('http', 'ws')}/ws`, { observe: true });
      watcher.send({ type: 'watch', users });
      const { entries } = await watcher.next('snapshot');
      expect((entries as { status: string }[]).map(({ status }) => status)).not.toContain('offline');
      await kill();
    }
    receiver.answer = () => 200;
    await run();
    const lastOf = (n: number): string => statuses[(n + 9) % 3]!;
    await receiver.until(() => users.every((user, n) => receiver.eventsOf(user).at(-1)?.entry.status === lastOf(n)));
    for (const user of users) {
      const versions = receiver.eventsOf(user).map(({ entry }) => entry.v);
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
    }
    // Eleven starts, on a machine that may be busy.
  }, 180_000);

  it.each([
    [{ HUB_WEBHOOK_SECRET: '' }, 'HUB_WEBHOOK_SECRET is not'],
    [{ HUB_WEBHOOK_URL: 'shop.example' }, 'HUB_WEBHOOK_URL must be an http:// or https:// URL'],
    [{ HUB_WEBHOOKS: '/nowhere/rules.json' }, 'HUB_WEBHOOKS is "/nowhere/rules.json": the file cannot be read'],
    [{ HUB_WEBHOOK_ALLOW: 'here' }, 'HUB_WEBHOOK_ALLOW holds "here"'],
    [{ HUB_WEBHOOK_KEEP_MS: '0' }, 'HUB_WEBHOOK_KEEP_MS is "0"'],
  ])('does not start with %j, and prints the reason in one line', async (more, problem) => {
    const { exited } = startHubProcess(settings(':memory:', more));
    const { code, stderr } = await exited;
    expect(code).not.toBe(0);
    expect(stderr).toContain(problem);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('does not start with an invalid rule', async () => {
    const path = rulesFile({ afterMs: -1 });
    const { exited } = startHubProcess(settings(':memory:', { HUB_WEBHOOKS: path }));
    expect((await exited).stderr).toContain('rule 1: afterMs must be a whole number');
  });
});

describe('the file of rules', () => {
  it('is read again when it changes, and an invalid one leaves the old rules (N1)', async () => {
    await startWithRules({ users: ['42'] });
    writeFileSync(join(folder, 'rules.json'), '[');
    await heartbeat('42');
    await receiver.until(() => receiver.events.length === 1);
    rulesFile({ users: ['7'] });
    await hub!.until(async () => {
      await heartbeat('7', { status: 'offline' });
      await heartbeat('7');
      return receiver.eventsOf('7').length > 0;
    });
    expect(receiver.eventsOf('42')).toHaveLength(1);
  });
});

it('sends each event once, even if the rules are replaced several times meanwhile', async () => {
  await startWithRules({ users: ['42'] });
  for (let n = 0; n < 5; n++) {
    rulesFile({ users: ['42'], afterMs: n });
    await heartbeat('42', { status: n % 2 === 0 ? 'online' : 'away' });
    await receiver.until(() => receiver.events.length === n + 1);
  }
  expect(new Set(receiver.events.map(({ id }) => id)).size).toBe(5);
});

describe('an admin', () => {
  it('lists the rules without secrets, sends a test, and replays dead events (N9)', async () => {
    const url = `${receiver.url}?key=hush`.replace('//', '//me:hush@');
    await start({ webhookUrl: url, webhookKeepMs: 1 });
    receiver.answer = () => 500;
    await heartbeat('42');
    await hub!.until(async () => {
      const { body } = await hub!.request('GET', '/v1/webhooks');
      return (body as { rules: { dead: number }[] }).rules[0]?.dead === 1;
    });
    const { body } = await hub!.request('GET', '/v1/webhooks');
    expect(body).toMatchObject({
      rules: [{ name: 'default', url: receiver.url, queued: 0, dead: 1, lastFailure: 'it answered 500' }],
    });
    expect(JSON.stringify(body)).not.toMatch(/hush|whsec/);
    expect((await hub!.request('POST', '/v1/webhooks/default/test')).body).toEqual({
      delivered: false,
      reason: 'it answered 500',
    });
    receiver.answer = () => 200;
    expect((await hub!.request('POST', '/v1/webhooks/default/test')).body).toEqual({ delivered: true });
    expect(JSON.parse(receiver.messages.at(-1)!.body)).toMatchObject({ type: 'presence.test', events: [] });
    expect((await hub!.request('POST', '/v1/webhooks/default/replay')).body).toEqual({ events: 1 });
    await receiver.until(() => receiver.events.length === 1);
    expect((await hub!.request('POST', '/v1/webhooks/other/replay')).status).toBe(404);
    expect(await hub!.metric('presence_hub_webhook_events_total{rule="default",result="delivered"}')).toBe(1);
    expect(await hub!.metric('presence_hub_webhook_events_total{rule="default",result="dead"}')).toBe(1);
    expect(await hub!.metric('presence_hub_webhook_queue{rule="default"}')).toBe(0);
  });

  it('alone may do so, and without rules there is nothing to list', async () => {
    const { addresses } = await start({ auth: 'jwt', jwtSecret: TEST_SECRET });
    const token = await tokenFor('42');
    expect((await ask(addresses.http, 'GET', '/v1/webhooks', { token })).status).toBe(403);
    expect((await ask(addresses.http, 'POST', '/v1/webhooks/default/test', { token })).status).toBe(403);
    await hub!.stop();
    hub = await startTestHub();
    expect((await hub.request('GET', '/v1/webhooks')).status).toBe(404);
  });
});
