/**
 * The thirty bugs of the legacy server, each shown not to be here: through real sockets, by what a client, a watcher or
 * an operator sees. A title names the bug's number and says what the hub does instead.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StartError } from '../../server/lib/start-error.ts';
import { endHubProcesses, freePort, holdPort, startHubProcess, startLine } from '../support/hub-process.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { startTcpHub, sentTo, type TcpHub } from '../support/tcp-hub.ts';
import { WsClient } from '../support/ws-client.ts';

// A hub in a process of its own takes its time to start on busy cores, and may have to be built first.
vi.setConfig({ testTimeout: 60_000 });

let hub: TcpHub;
beforeEach(async () => {
  hub = await startTcpHub({ messagesPerS: 1000 });
});
afterEach(() => hub.stop());

const sessions = (): Promise<number> => hub.metric('presence_hub_sessions{adapter="tcp-xml"}');
const hasSessions = (count: number): Promise<void> => expect.poll(sessions, { timeout: 10_000 }).toBe(count);
const deviceFrame = (user: string, device: string): string =>
  `<protocol><user_id>${user}</user_id><device>${device}</device></protocol>`;

describe('liveness and notification', () => {
  it('legacy bug 1: a user that falls silent is offline, its friends are notified, and its session is gone', async () => {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const friend = await WsClient.hello(hub.addresses.ws, { user: '42' });
    friend.send({ type: 'watch', friendsOf: '42' });
    await friend.next('snapshot');
    (await hub.open()).beat('7');
    await friend.entryOf('7');
    hub.clock.pass(5_500);
    expect(await friend.entryOf('7')).toMatchObject({ status: 'offline', code: -1 });
    await hasSessions(0);
  });

  it('legacy bug 2: a user who is gone is reported once, however many ticks follow', async () => {
    const watcher = await hub.watch('7', 'marker');
    const client = await hub.open();
    client.beat('7');
    await watcher.entryOf('7');
    for (let scan = 0; scan < 8; scan++) {
      hub.clock.pass(1_800);
      await hub.looked();
    }
    client.beat('marker');
    await watcher.entryOf('marker');
    expect(sentTo(watcher)).toEqual(['7 online 1', '7 offline -1', 'marker online 1']);
  });

  it('legacy bug 3: a clean end of stream ends the session after the grace, and is reported', async () => {
    const watcher = await hub.watch('7');
    const client = await hub.open();
    client.beat('7');
    await watcher.entryOf('7');
    client.end();
    await hub.hasConnections(0);
    hub.clock.pass(2_050);
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'offline' });
    await hasSessions(0);
  });

  it('legacy bug 4: coming online and each change of state are reported', async () => {
    const watcher = await hub.watch('7');
    const client = await hub.open();
    for (const state of [1, 2, 3, 7, 1]) {
      client.beat('7', state);
      await watcher.entryOf('7');
    }
    expect(sentTo(watcher)).toEqual(['7 online 1', '7 away 2', '7 busy 3', '7 online 7', '7 online 1']);
  });

  it('legacy bug 5: offline is -1 everywhere: never seen, lapsed, broken off, said with 0 or with -1', async () => {
    const users = ['never', 'silent', 'broken', 'zero', 'minus'];
    const watcher = await hub.watch(...users);
    const [client, other] = [await hub.open(), await hub.open()];
    for (const user of ['silent', 'zero', 'minus']) client.beat(user);
    other.beat('broken');
    await hub.hasReceived(4);
    other.reset();
    client.write(frame('zero', 0) + frame('minus', -1));
    await hub.hasConnections(1);
    hub.clock.pass(5_500);
    await hasSessions(0);
    for (const user of users) expect(await hub.entry(user)).toMatchObject({ status: 'offline', code: -1 });
    const asker = await WsClient.hello(hub.addresses.ws, { observe: true });
    asker.send({ type: 'watch', users });
    expect((await asker.next('snapshot')).entries.map(({ code }) => code)).toEqual([-1, -1, -1, -1, -1]);
    await watcher.roundTrip();
    const offline = sentTo(watcher).filter((reported) => reported.includes('offline'));
    expect(offline.sort()).toEqual(['broken offline -1', 'minus offline -1', 'silent offline -1', 'zero offline -1']);
  });

  it.each([0, 1, 900, 1_799])(
    'legacy bug 6: a lease is 5400 ms from the last frame, %i ms after whatever look (L2)',
    async (phaseMs) => {
      hub.clock.pass(phaseMs);
      await hub.looked();
      (await hub.open()).beat('7');
      await hub.hasReceived(1);
      hub.clock.pass(5_399);
      await hub.looked();
      expect(await hub.entry('7')).toMatchObject({ status: 'online' });
      hub.clock.pass(51);
      await hub.shows('7', { status: 'offline' });
    },
  );
});

describe('keys', () => {
  it('legacy bug 7: a late error of an old connection does not affect the user on a new one', async () => {
    const watcher = await hub.watch('7');
    const [old, fresh] = [await hub.open(), await hub.open()];
    old.beat('7');
    const before = await watcher.entryOf('7');
    fresh.beat('7');
    await hub.hasReceived(2);
    old.reset();
    await hub.hasConnections(1);
    hub.clock.pass(3_000);
    await hasSessions(1);
    expect(await hub.entry('7')).toMatchObject({ status: 'online', v: before.v });
    fresh.beat('7', -1);
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'offline' });
  });

  it('legacy bug 8: a connection that changes its user id leaves nobody behind: each user lives and ends by itself', async () => {
    const watcher = await hub.watch('7', '8');
    const client = await hub.open();
    client.beat('7');
    await watcher.entryOf('7');
    hub.clock.pass(3_000);
    client.beat('8');
    await watcher.entryOf('8');
    hub.clock.pass(2_500);
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'offline' });
    client.beat('7');
    await watcher.entryOf('7');
    client.reset();
    await hub.hasConnections(0);
    hub.clock.pass(2_100);
    await hub.shows('7', { status: 'offline' });
    await hub.shows('8', { status: 'offline' });
    await hasSessions(0);
  });

  it('legacy bug 9: each session has an identity: the end of a connection whose session had lapsed is none of the new one’s', async () => {
    const watcher = await hub.watch('7');
    const [old, fresh] = [await hub.open(), await hub.open()];
    old.beat('7');
    await watcher.entryOf('7');
    hub.clock.pass(5_500);
    await watcher.entryOf('7');
    fresh.beat('7');
    const before = await watcher.entryOf('7');
    old.end();
    await hub.hasConnections(1);
    hub.clock.pass(2_100);
    await hub.looked();
    expect(await hub.entry('7')).toEqual(before);
    await hasSessions(1);
  });
});

describe('framing', () => {
  it('legacy bug 10: a frame without a line end counts at once, and one that the end of stream cuts is nothing', async () => {
    const client = await hub.open();
    client.write(frame('7'));
    await hub.shows('7', { status: 'online' });
    const other = await hub.open();
    other.write('<protocol><user_id>7</user_id><user_state>0</user_state></protocol');
    other.end();
    await other.closed;
    await hub.hasConnections(1);
    hub.clock.pass(2_100);
    await hub.looked();
    expect(await hub.entry('7')).toMatchObject({ status: 'online' });
    expect(await hub.badFrames()).toEqual({});
  });

  it('legacy bug 11: a frame over several lines is one heartbeat', async () => {
    (await hub.open()).write('<protocol>\r\n<user_id>7</user_id>\r\n<user_state>3</user_state>\r\n</protocol>\r\n');
    await hub.shows('7', { status: 'busy' });
    await hub.hasReceived(1);
  });

  it('legacy bug 12: two frames on a line are two heartbeats', async () => {
    (await hub.open()).write(`${frame('7')}${frame('8', 2)}\n`);
    await hub.shows('7', { status: 'online' });
    await hub.shows('8', { status: 'away' });
  });

  it('legacy bug 13: frames without number leave nothing behind them, and one without an end is cut off at 8 KiB', async () => {
    const client = await hub.open();
    const line = frame('7').repeat(10_000);
    client.write(line);
    await hub.hasReceived(10_000);
    client.write(`<protocol>${'x'.repeat(8_182)}`);
    await hub.looked();
    await hub.hasConnections(1);
    client.write('x');
    await client.closed;
    expect(await hub.badFrames()).toEqual({ too_large: 1 });
  });

  it('legacy bug 14: a frame ends with the whole terminator, its `>` included', async () => {
    const client = await hub.open();
    client.write('<protocol><user_id>7</user_id></protocol');
    await hub.hasRead(await hub.open());
    expect(await hub.entry('7')).toMatchObject({ status: 'offline', v: 0 });
    client.write('>');
    await hub.shows('7', { status: 'online' });
  });

  it('legacy bug 15: a malformed frame stores nothing, neither a user 0 nor over a good one', async () => {
    const client = await hub.open();
    client.beat('7', 3);
    await hub.shows('7', { status: 'busy' });
    const before = await hub.entry('7');
    client.write('<protocol></protocol><protocol><user_id>7</user_id><user_state></protocol><user_id>7</protocol>');
    client.write('<protocol><user_id></user_id></protocol>');
    await hub.hasRead(client);
    expect(await hub.badFrames()).toEqual({ user_id: 2, malformed: 2 });
    expect(await hub.entry('7')).toEqual(before);
    expect(await hub.entry('0')).toMatchObject({ status: 'offline', v: 0 });
    await hasSessions(2);
  });

  it('legacy bug 16: a number that does not parse skips a frame or a port, and the connection lives on', async () => {
    const client = await hub.open();
    client.beat('7');
    client.write('<protocol><user_id>7</user_id><user_state>x</user_state></protocol>');
    client.write('<protocol><user_id>8</user_id><user_port>x</user_port></protocol>');
    await hub.shows('8', { status: 'online' });
    expect(await hub.badFrames()).toEqual({ user_state: 1 });
    client.reset();
    await hub.hasConnections(0);
    hub.clock.pass(2_100);
    await hub.shows('7', { status: 'offline' });
    await hub.shows('8', { status: 'offline' });
  });

  it('legacy bug 17: the charset is the one that the XML declares', async () => {
    const declared = (encoding: string): Buffer =>
      Buffer.from(`<?xml version="1.0" encoding="${encoding}"?>${deviceFrame('7', 'ÊÖ»ú')}`, 'latin1');
    const client = await hub.open();
    client.write(declared('GBK'));
    await hub.shows('7', { devices: ['手机'] });
    client.write(declared('ISO-8859-1'));
    await hub.shows('7', { devices: ['ÊÖ»ú'] });
  });

  it('legacy bug 18: an external entity is not fetched and a bomb not expanded: both frames are refused', async () => {
    let fetched = 0;
    const site = createServer((_, response) => {
      fetched++;
      response.end('7');
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
    const definitions = Array.from({ length: 20 }, (_, i) => `<!ENTITY a${i + 1} "${`&a${i};`.repeat(20)}">`);
    const client = await hub.open();
    client.write(`<!DOCTYPE protocol [<!ENTITY x SYSTEM "${url}">]>${frame('&x;')}`);
    client.write(`<!DOCTYPE protocol SYSTEM "${url}">${frame('7')}`);
    client.write(`<!DOCTYPE protocol [<!ENTITY a0 "7">${definitions.join('')}]>${frame('&a20;')}`);
    await hub.hasRead(client);
    site.close();
    expect(await hub.badFrames()).toEqual({ doctype: 3 });
    expect(fetched).toBe(0);
    expect(await hub.entry('7')).toMatchObject({ status: 'offline', v: 0 });
  });
});

describe('threads', () => {
  it('legacy bug 19: a connection that breaks before its first heartbeat harms nothing', async () => {
    const client = await hub.open();
    client.beat('7');
    await hub.hasReceived(1);
    const before = await hub.entry('7');
    const silent = await hub.open();
    const halfway = await hub.open();
    const wrong = await hub.open();
    halfway.write('<protocol><user_id>7');
    wrong.write('</protocol>');
    await expect.poll(() => hub.badFrames()).toEqual({ malformed: 1 });
    for (const broken of [silent, halfway, wrong]) broken.reset();
    await hub.hasConnections(1);
    hub.clock.pass(2_100);
    client.beat('7');
    await hub.hasReceived(2);
    expect(await hub.entry('7')).toEqual(before);
  });

  it('legacy bug 20: sessions that end while others are found lapsed do not stop the looking', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => hub.open()));
    const users = (i: number): string[] => Array.from({ length: 20 }, (_, n) => `u${i}-${n}`);
    for (const [i, client] of clients.entries()) client.write(users(i).map((user) => frame(user)).join('')); // prettier-ignore
    await hub.hasReceived(800);
    for (const [i, client] of clients.entries()) {
      if (i % 4 === 0) client.reset();
      if (i % 4 === 1) client.end();
      if (i % 4 === 2) client.write(users(i).map((user) => frame(user, -1)).join('')); // prettier-ignore
      if (i % 10 === 0) hub.clock.pass(1_375);
    }
    await hub.hasConnections(20);
    hub.clock.pass(2_100);
    await hasSessions(0);
    for (let round = 0; round < 3; round++) {
      clients[3]!.beat('7');
      await hub.shows('7', { status: 'online' });
      hub.clock.pass(5_500);
      await hub.shows('7', { status: 'offline' });
    }
  });

  it('legacy bug 21: two hubs share nothing, and fifty connections of one user at once are fifty sessions', async () => {
    const other = await startTcpHub();
    try {
      const watcher = await hub.watch('7');
      const clients = await Promise.all(Array.from({ length: 50 }, () => hub.open()));
      for (const client of clients) client.beat('7');
      await hub.hasReceived(50);
      await hasSessions(50);
      expect(await other.entry('7')).toMatchObject({ status: 'offline', v: 0 });
      (await other.open()).beat('7', -1);
      for (const client of clients) client.beat('7', 0);
      await hasSessions(0);
      await hub.shows('7', { status: 'offline' });
      await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline');
      expect(sentTo(watcher)).toEqual(['7 online 1', '7 offline -1']);
    } finally {
      await other.stop();
    }
  });

  it('legacy bug 22: the counters are right, and those of what is there go down again', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, () => hub.open()));
    await hub.hasConnections(60);
    for (const [i, client] of clients.entries()) client.write(frame(`a${i}`) + frame(`b${i}`) + frame('no user'));
    await hub.hasReceived(120);
    await hasSessions(120);
    await expect.poll(() => hub.badFrames()).toEqual({ user_id: 60 });
    for (const [i, client] of clients.entries()) client.beat(`a${i}`, -1);
    await hasSessions(60);
    for (const client of clients.slice(0, 30)) client.reset();
    for (const client of clients.slice(30)) client.end();
    await hub.hasConnections(0);
    await hasSessions(60);
    hub.clock.pass(2_100);
    await hasSessions(0);
    await hub.hasReceived(120);
  });

  it('legacy bug 23: nothing is printed per user, at the finest log level, whatever becomes of them', async () => {
    const port = await freePort();
    const child = startHubProcess({ HUB_TCP_PORT: `${port}`, HUB_TCP_TIMEOUT_MS: '500', HUB_LOG_LEVEL: 'trace' });
    const page = startLine(await child.started, 'page');
    const client = await LegacyClient.open(port);
    const names = Array.from({ length: 500 }, (_, i) => `legacy-user-${i}`);
    client.write(names.map((user, i) => frame(user, i % 2)).join(''));
    const seen = async (user: string): Promise<unknown> => (await fetch(`${page}v1/presence/${user}`)).json();
    await expect
      .poll(() => seen('legacy-user-499'), { timeout: 10_000 })
      .toMatchObject({ status: 'offline', lastSeen: expect.any(Number) as number });
    client.reset();
    child.child.kill('SIGTERM');
    const { code, stdout, stderr } = await child.exited;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain('legacy-user');
    expect(stderr.split('\n').length).toBeLessThan(20);
  });

  it('legacy bug 24: two thousand peers that send half a frame and wait keep nobody out', async () => {
    const watcher = await hub.watch('early', 'late');
    const early = await hub.open();
    early.beat('early');
    await watcher.entryOf('early');
    const idle: LegacyClient[] = [];
    while (idle.length < 2_000) idle.push(...(await Promise.all(Array.from({ length: 250 }, () => hub.open()))));
    for (const client of idle) client.write('<protocol><user_id>idle');
    await hub.hasConnections(2_001);
    const late = await hub.open();
    late.beat('late');
    expect(await watcher.entryOf('late')).toMatchObject({ status: 'online' });
    early.beat('early', 3);
    expect(await watcher.entryOf('early')).toMatchObject({ status: 'busy' });
    for (const client of idle) client.reset();
    await hub.hasConnections(2);
  });

  it('legacy bug 25: with no descriptor left, accepting neither spins nor ends', needing('Linux'), async () => {
    const port = await freePort();
    const child = startWithFewFiles({ HUB_TCP_PORT: `${port}`, HUB_PORT: '0', HUB_DATA: ':memory:' });
    try {
      const page = startLine(await child.started, 'page');
      // The hub holds what it can, and lets go of the others at once.
      const held = await Promise.all(Array.from({ length: 300 }, () => LegacyClient.open(port)));
      await Promise.race(held.map(({ closed }) => closed));
      const usedBefore = cpuTicks(child.pid);
      await new Promise((resolve) => setTimeout(resolve, 500));
      // A loop that spins would use 50 of these 100ths of a second.
      expect(cpuTicks(child.pid) - usedBefore).toBeLessThan(20);
      for (const client of held) client.reset();
      await Promise.all(held.map(({ closed }) => closed));
      const seen = async (): Promise<unknown> => {
        const newcomer = await LegacyClient.open(port);
        newcomer.beat('7');
        const answer = await fetch(`${page}v1/presence/7`).catch(() => undefined);
        newcomer.end();
        return answer?.json();
      };
      await expect.poll(seen, { timeout: 10_000 }).toMatchObject({ status: 'online' });
    } finally {
      await child.end();
    }
  });

  it('legacy bug 26: the address is a setting, and each failure to listen says what it is', async () => {
    const held = await holdPort();
    const tcpPort = await freePort();
    const problem = async (settings: Parameters<typeof startTcpHub>[0]): Promise<string> => {
      const failure: unknown = await startTcpHub(settings).then(
        async (unwanted) => unwanted.stop(),
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(StartError);
      return (failure as StartError).message;
    };
    expect(await problem({ tcpPort: held.port })).toMatch(/^HUB_TCP_PORT is \d+: another process holds that port/);
    expect(await problem({ tcpHost: '192.0.2.1' })).toMatch(/^HUB_TCP_HOST is "192\.0\.2\.1": (?!.*holds that port)/);
    // A start that failed later gives back what it had taken.
    expect(await problem({ tcpPort, port: held.port })).toContain('HUB_PORT');
    await held.close();
    const other = await startTcpHub({ tcpHost: 'localhost', tcpPort });
    expect(other.addresses.tcp).toBe(`localhost:${tcpPort}`);
    await other.stop();
  });

  it('legacy bug 27: a stop closes every connection, keeps the last signs of life, and frees the port', async () => {
    const data = mkdtempSync(join(tmpdir(), 'hub-legacy-'));
    const settings = { data, tcpPort: await freePort() };
    try {
      const first = await startTcpHub(settings);
      const clients = await Promise.all(Array.from({ length: 20 }, () => first.open()));
      for (const [i, client] of clients.entries()) client.beat(`u${i}`);
      await first.hasReceived(20);
      first.clock.pass(3_000);
      for (const [i, client] of clients.entries()) client.beat(`u${i}`);
      await first.hasReceived(40);
      const lastSeen = first.clock.wallMs;
      first.clock.pass(1_000);
      const closed = Promise.all(clients.map((client) => client.closed));
      await first.stop();
      await closed;
      await expect(LegacyClient.open(settings.tcpPort)).rejects.toThrow('ECONNREFUSED');
      const second = await startTcpHub(settings, (clock) => {
        clock.pass(first.clock.wallMs - clock.wallMs); // otherwise the clock would be set back
        return clock;
      });
      (await second.open()).beat('u19', 2);
      await second.shows('u19', { status: 'away' });
      second.clock.pass(25_100);
      await second.shows('u18', { status: 'offline', lastSeen });
      await second.stop();
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  });
});

describe('trust', () => {
  it('legacy bug 28: a goodbye in another’s name does not end a session of somebody else’s connection', async () => {
    const watcher = await hub.watch('7', '8');
    const [honest, other] = [await hub.open(), await hub.open()];
    honest.beat('7', 2);
    await watcher.entryOf('7');
    other.write(frame('7', -1) + frame('7', 0));
    other.write('<protocol user_id="7" user_state="-1" device="legacy"></protocol>');
    await hub.hasRead(other);
    await hub.request('POST', '/v1/heartbeat', { user: '7', device: 'legacy', status: 'offline' });
    other.reset();
    await hub.hasConnections(1);
    hub.clock.pass(2_100);
    honest.beat('8');
    await watcher.entryOf('8');
    expect(await hub.entry('7')).toMatchObject({ status: 'away', devices: ['legacy'] });
    expect(sentTo(watcher)).toEqual(['7 away 2', '8 online 1']);
  });

  it('legacy bug 29: the address in a message, and the peer’s, reach no watcher and no reader (I23)', async () => {
    const watcher = await hub.watch('7');
    const client = await hub.open();
    const address = '<user_ip>10.99.88.77</user_ip><user_port>54321</user_port>';
    client.write(`<protocol><user_id>7</user_id>${address}</protocol>`);
    await watcher.entryOf('7');
    client.write(`<protocol><user_id>7</user_id><user_state>3</user_state>${address}</protocol>`);
    await watcher.entryOf('7');
    watcher.send({ type: 'watch', users: ['7'] });
    await watcher.next('snapshot');
    const heartbeat = { user: '7', device: 'http' };
    const reported = [
      ...watcher.all,
      (await hub.request('GET', '/v1/presence/7')).body,
      (await hub.request('POST', '/v1/presence', { users: ['7'] })).body,
      (await hub.request('POST', '/v1/heartbeat', heartbeat)).body,
    ];
    const text = JSON.stringify(reported);
    expect(text).toContain('"busy"');
    expect(text).not.toMatch(/10\.99\.88\.77|54321|127\.0\.0\.1/);
  });

  it('legacy bug 30: a client can know that the hub receives it, and at which interval, in which version', async () => {
    const answering = await startTcpHub({ tcpAck: true });
    try {
      const client = await answering.open();
      client.write(frame('7') + frame('no user'));
      await client.waitFor('</error>');
      expect(client.received).toMatch(
        /^<protocol><ack user_id="7" state="1"\/><\/protocol>\n<protocol><error code="user_id">/,
      );
      const browser = await WsClient.open(answering.addresses.ws);
      browser.send({ type: 'hello', user: '7' });
      const { heartbeatMs, timeoutMs, protocol } = await browser.next('welcome');
      expect(heartbeatMs).toBeGreaterThan(0);
      expect(timeoutMs).toBeGreaterThanOrEqual(2 * heartbeatMs);
      expect(protocol).toBe(1);
    } finally {
      await answering.stop();
    }
  });
});

afterEach(endHubProcesses);

interface Child {
  readonly pid: number;
  readonly started: Promise<string>;
  end(): Promise<void>;
}

/** A hub in a process that may open 256 files. */
function startWithFewFiles(settings: Readonly<Record<string, string>>): Child {
  const launcher = fileURLToPath(new URL('../../server/launch.mjs', import.meta.url));
  const script = 'ulimit -n 256 && exec "$0" "$1"';
  const env = { ...process.env, ...settings };
  const child = spawn('sh', ['-c', script, process.execPath, launcher], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  let stdout = '';
  const started = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.includes('Ctrl-C stops\n')) resolve(stdout);
    });
    child.on('close', () => reject(new Error(`the hub ended before it ran: ${stdout}`)));
  });
  return {
    pid: child.pid ?? 0,
    started,
    end: async () => {
      child.kill('SIGTERM');
      await closed;
    },
  };
}

/** User and system time of a process, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
