/** The commands beside `serve`, each against a real hub over its own doors. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run as beat } from '../../client/cli/commands/beat.ts';
import { run as demo } from '../../client/cli/demo/demo.ts';
import { run as friends } from '../../client/cli/commands/friends.ts';
import { run as watch } from '../../client/cli/commands/watch.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import type { Clock } from '../../server/lib/time/clock.ts';
import { testIo } from '../support/cli-io.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../support/hub-process.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor, type TokenOptions } from '../support/tokens.ts';

const POLL = { interval: 20, timeout: 10_000 };
let hub: TestHub;
let at: readonly string[];

beforeEach(async () => {
  hub = await startTestHub();
  at = ['--url', hub.addresses.http];
});
afterEach(() => hub.stop());

const friendsOf = async (user: string) =>
  ((await hub.request('GET', `/v1/users/${user}/friends`)).body as { friends: string[] }).friends;
const entryOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body as Entry;

describe('friends', () => {
  const run = async (...args: string[]) => {
    const io = testIo();
    const code = await friends([...args, ...at], io);
    return { code, out: io.stdout.text, err: io.stderr.text };
  };

  it('adds, lists and removes, in both directions', async () => {
    expect(await run('add', '42', 'ada@x:y')).toEqual({ code: 0, out: '42 and ada@x:y are friends\n', err: '' });
    expect(await run('add', '42', '7')).toMatchObject({ code: 0 });
    expect(await run('list', '42')).toEqual({ code: 0, out: '7\nada@x:y\n', err: '' });
    expect(await friendsOf('7')).toEqual(['42']);
    expect(await run('list', '42', '--json')).toMatchObject({ out: '{"user":"42","friends":["7","ada@x:y"]}\n' });
    expect(await run('remove', '42', '7')).toEqual({ code: 0, out: '42 and 7 are no longer friends\n', err: '' });
    expect(await friendsOf('7')).toEqual([]);
  });

  it('adds and removes one direction', async () => {
    expect(await run('add', '42', '7', '--oneway')).toMatchObject({ out: '42 follows 7\n' });
    expect([await friendsOf('42'), await friendsOf('7')]).toEqual([['7'], []]);
    expect(await run('remove', '42', '7', '--oneway')).toMatchObject({ out: '42 no longer follows 7\n' });
    expect(await friendsOf('42')).toEqual([]);
  });
});

describe('friends import', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'presence-hub-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const run = async (text: string, ...args: string[]) => {
    const file = join(folder, 'friends.csv');
    writeFileSync(file, text);
    const io = testIo();
    const code = await friends(['import', file, ...args, ...at], io);
    return { code, out: io.stdout.text, err: io.stderr.text };
  };

  it('takes a graph of more than one piece, and again without effect', async () => {
    const text = ['user,friend', ...Array.from({ length: 2_000 }, (_, i) => `hub,u${i}`)].join('\r\n');
    const first = await run(text);
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toContain('2,001 lines, 2,000 pairs, 2,000 friendships added');
    expect(await friendsOf('hub')).toHaveLength(2_000);
    expect(await friendsOf('u1999')).toEqual(['hub']);
    expect((await run(text)).out).toContain('2,000 pairs, 0 friendships added');
  });

  it('names bad lines, takes the others, and ends with 1', async () => {
    const { code, out, err } = await run('1,2\n1;3\n4,4\n# fine\n1,5\n');
    expect([code, await friendsOf('1')]).toEqual([1, ['2', '5']]);
    expect(err).toBe('line 2: it has 1 field instead of user,friend\nline 3: 4 cannot be their own friend\n');
    expect(out).toContain('5 lines, 2 pairs, 2 friendships added, 2 bad lines');
  });

  it('shows 20 bad lines at most, and says how many more', async () => {
    const { err, out } = await run('bad\n'.repeat(25));
    expect(err.match(/^line /gm)).toHaveLength(20);
    expect(err).toContain('… and 5 more bad lines\n');
    expect(out).toContain('25 bad lines');
  });

  it('reads standard input, one direction', async () => {
    const io = testIo({ stdin: ['user,fri', 'end\n1,2\n3', ',4\n5,6'] });
    expect(await friends(['import', '-', '--oneway', ...at], io)).toBe(0);
    expect(io.stdout.text).toContain('4 lines, 3 pairs, 3 added, 0 bad lines');
    expect([await friendsOf('5'), await friendsOf('6')]).toEqual([['6'], []]);
  });

  it('ends when interrupted, even if standard input is idle', async () => {
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const io = { ...testIo(), stdin: silent };
    const running = friends(['import', '-', ...at], io);
    io.interrupt();
    expect(await running).toBe(130);
    expect(io.stderr.text).toContain('interrupted');
  });
});

describe('watch', () => {
  it('prints a line for each change, harmless whatever others say', async () => {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const io = testIo();
    const running = watch(['42', ...at], io);
    await io.stdout.until(/\t7\toffline\t\n/);
    await hub.request('POST', '/v1/heartbeat', { user: '7', status: 'busy', text: 'a\u001b[2Jb\tc\n' });
    await io.stdout.until(/\t7\tbusy\ta\\u\{1b\}\[2Jb\\u\{9\}c\\u\{a\}\n/);
    await hub.request('PUT', '/v1/users/42/friends/9');
    await io.stdout.until(/\t9\toffline\t\n/);
    await hub.request('DELETE', '/v1/users/42/friends/7');
    await io.stdout.until(/\t7\tremoved\t\n/);
    io.interrupt();
    expect(await running).toBe(0);
    expect(io.stdout.lines).toHaveLength(4);
    expect(io.stderr.text).toBe('');
  });

  it('draws a table on a terminal, and gives the terminal back', async () => {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const io = testIo({ isTTY: true, env: { NO_COLOR: '1' } });
    const running = watch(['42', ...at], io);
    await io.stdout.until(/0 of 1 online.*live.*○ 7 +offline +never seen/s);
    await hub.request('POST', '/v1/heartbeat', { user: '7', text: 'hello' });
    await io.stdout.until(/1 of 1 online.*● 7 +online +for \d+ (s|min) +http +hello/s);
    io.interrupt();
    expect(await running).toBe(0);
    expect(io.stdout.text.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    expect(io.stdout.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    // eslint-disable-next-line no-control-regex -- colours are control sequences
    expect(io.stdout.text).not.toMatch(/\u001b\[\d*m/);
  });

  it('has no presence of its own', async () => {
    const io = testIo();
    const running = watch(['42', ...at], io);
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === 1);
    expect(await entryOf('42')).toMatchObject({ status: 'offline', v: 0 });
    io.interrupt();
    await running;
  });
});

describe('beat', () => {
  it.each([
    ['--ws', ['--status', 'away', '--text', 'hi'], { status: 'away', code: 2, text: 'hi', devices: ['web'] }],
    ['--tcp', ['--code', '12', '--device', 'a<b'], { status: 'online', code: 12, devices: ['a<b'] }],
    ['--tcp', ['--status', 'busy'], { status: 'busy', code: 3, devices: ['legacy'] }],
    ['--http', ['--status', 'busy', '--text', 'hi'], { status: 'busy', code: 3, text: 'hi', devices: ['http'] }],
  ])('%s %j is seen, and goes with a clean goodbye', async (door, says, seen) => {
    const io = testIo();
    const running = beat(['42', door, ...says, '--every', '50', '--tcp-port', String(hub.tcpPort), ...at], io);
    await expect.poll(() => entryOf('42'), POLL).toMatchObject(seen);
    await io.stdout.until(/sent .*\n(.*\n)*.*sent .*\n/);
    io.interrupt();
    expect(await running).toBe(0);
    // The hub's clock stands still in this test: nothing but a goodbye ends a session.
    await expect.poll(() => entryOf('42'), POLL).toMatchObject({ status: 'offline' });
    expect(io.stderr.text).toBe('');
  });

  it.each(['--ws', '--tcp', '--http'])('%s --once beats once and leaves without a goodbye', async (door) => {
    const io = testIo();
    expect(await beat(['42', door, '--once', '--tcp-port', String(hub.tcpPort), ...at], io)).toBe(0);
    await expect.poll(() => entryOf('42'), POLL).toMatchObject({ status: 'online' });
    expect(io.stdout.text.match(/sent/g)).toHaveLength(1);
  });
});

describe('demo', () => {
  const follower = 'grace';
  const shown = async () =>
    ((await hub.request('GET', `/v1/users/${follower}/friends/presence`)).body as { entries: Entry[] }).entries;

  it('brings life over both doors to a hub that runs, and takes it home again', async () => {
    const io = testIo();
    const port = ['--tcp-port', String(hub.tcpPort)];
    const running = demo([follower, '--users', '20', ...port, ...at], io);
    const isHere = (device: RegExp) => async () =>
      (await shown()).some(({ devices }) => devices.some((label) => device.test(label)));
    await expect.poll(isHere(/legacy/), POLL).toBe(true);
    await expect.poll(isHere(/web|phone|tablet/), POLL).toBe(true);
    expect(await shown()).toHaveLength(20);
    expect((await friendsOf('ada.1')).length).toBeGreaterThan(0);
    expect(io.stdout.text).toContain(`${hub.addresses.http}/?user=grace`);
    expect(io.stdout.text).toContain(`npx presence-hub watch grace --url ${hub.addresses.http}`);
    expect(io.stdout.text).toMatch(/\d of 20 connected {2}\w+\.\d+ connects/);
    io.interrupt();
    expect(await running).toBe(0);
    await expect.poll(async () => (await shown()).filter(({ status }) => status !== 'offline'), POLL).toEqual([]);
  });

  it('continues over WebSocket alone if nothing listens on TCP', async () => {
    const io = testIo();
    const port = await freePort();
    const running = demo([follower, '--users', '6', '--tcp-port', String(port), ...at], io);
    await io.stdout.until(/6 connected|[1-6] of 6 connected/);
    expect(io.stdout.text).toContain(`No TCP listener at port ${port}`);
    io.interrupt();
    expect(await running).toBe(0);
  });

  it('starts a hub of its own if none runs and none is named, and stops it', async () => {
    const env = { HUB_PORT: String(await freePort()), HUB_TCP_PORT: String(await freePort()) };
    const url = `http://127.0.0.1:${env.HUB_PORT}`;
    const io = testIo({ env });
    const running = demo(['--users', '4'], io);
    const ended = running.then((code) => `ended with ${code}: ${io.stderr.text}`);
    expect(await Promise.race([io.stdout.until(/connected/).then(() => 'connected'), ended])).toBe('connected');
    expect(io.stdout.text).toContain(`No hub answers at ${url}`);
    const { friends: followed } = (await (await fetch(`${url}/v1/users/demo/friends`)).json()) as { friends: string[] };
    expect(followed).toHaveLength(4);
    io.interrupt();
    expect(await running).toBe(0);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});

/** A hub process and the arguments that lead to it; what it holds is asked with the admin token. */
async function startJwtHub(settings: Readonly<Record<string, string>> = {}) {
  const tcpPort = await freePort();
  const started = startHubProcess({
    HUB_AUTH: 'jwt',
    HUB_JWT_SECRET: TEST_SECRET,
    HUB_ADMIN_TOKEN: ADMIN_TOKEN,
    HUB_TCP_PORT: String(tcpPort),
    HUB_TCP_ACK: '1',
    ...settings,
  });
  const url = startLine(await started.started, 'page').replace(/\/$/, '');
  const ask = async (method: string, path: string) => {
    const answer = await fetch(url + path, { method, headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    return answer.status === 204 ? undefined : ((await answer.json()) as unknown);
  };
  const connections = async () => {
    // An idle connection would count against the limit.
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, connection: 'close' };
    const metrics = await fetch(`${url}/metrics`, { headers });
    return /^presence_hub_connections\{adapter="ws-json"\} (\d+)$/m.exec(await metrics.text())?.[1];
  };
  return { url, args: ['--url', url], tcpArgs: ['--tcp-port', String(tcpPort)], ask, connections };
}

const ADMIN_TOKEN = 'the-admin-token-of-these-tests';
const systemClock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
const tokenOf = (user: string, options: TokenOptions = {}) => tokenFor(user, { clock: systemClock, ...options });

describe('a hub that asks for tokens', () => {
  const commands = [
    ['watch', watch, ['42']],
    ['beat --ws', beat, ['42', '--ws']],
    ['beat --http', beat, ['42', '--http']],
    ['beat --tcp', beat, ['42', '--tcp']],
    ['friends', friends, ['list', '42']],
  ] as const;
  const doors = ['--ws', '--tcp', '--http'];
  let jwtHub: Awaited<ReturnType<typeof startJwtHub>>;
  let folder: string;
  let file: string;

  beforeAll(async () => {
    jwtHub = await startJwtHub();
    folder = mkdtempSync(join(tmpdir(), 'presence-hub-'));
    file = join(folder, 'token');
  });
  afterAll(async () => {
    await endHubProcesses();
    rmSync(folder, { recursive: true });
  });

  const argsFor = (door: readonly string[]) =>
    door.includes('--tcp') ? [...jwtHub.args, ...jwtHub.tcpArgs] : jwtHub.args;

  it.each(commands)('%s without one says how to give it, and ends with 1', async (_name, run, args) => {
    const io = testIo();
    expect(await run([...args, ...argsFor(args)], io)).toBe(1);
    expect(io.stderr.text).toMatch(
      /^presence-hub: the hub requires a token \([^\n]+\): give one with --token-file[^\n]+\n$/,
    );
  });

  it.each(commands)('%s with one that has expired says so, and ends with 1', async (_name, run, args) => {
    const io = testIo();
    const token = await tokenOf('42', { expiresInS: -1 });
    expect(await run([...args, ...argsFor(args), '--token', token], io)).toBe(1);
    expect(io.stderr.text).toMatch(/^presence-hub: the hub rejects the token of --token [^\n]+: give a new one\n$/);
    expect(io.stdout.text + io.stderr.text).not.toContain(token);
  });

  it.each(commands)('%s with another user’s says what is needed, and ends with 1', async (_name, run, args) => {
    const io = testIo({ env: { PRESENCE_HUB_TOKEN: await tokenOf('43') } });
    expect(await run([...args, ...argsFor(args)], io)).toBe(1);
    expect(io.stderr.lines).toHaveLength(1);
    expect(io.stderr.text).toContain('the token of PRESENCE_HUB_TOKEN must be the user’s own');
  });

  it('takes an admin’s for friend lists, and a user’s own to watch and to beat, over every door', async () => {
    const added = testIo();
    expect(await friends(['add', '42', '7', ...jwtHub.args, '--token', ADMIN_TOKEN], added)).toBe(0);
    const watching = testIo();
    const watched = watch(['42', ...jwtHub.args, '--token', await tokenOf('42')], watching);
    await watching.stdout.until(/\t7\toffline\t/);
    writeFileSync(file, await tokenOf('7'));
    for (const door of doors) {
      const io = testIo();
      const from = watching.stdout.text.length;
      const beating = beat(['7', door, ...argsFor([door]), '--token-file', file, '--every', '50'], io);
      await watching.stdout.until(/\t7\tonline\t/, from);
      io.interrupt();
      expect(await beating).toBe(0);
      await watching.stdout.until(/\t7\toffline\t/, from);
      expect(io.stdout.text).not.toContain('eyJ');
      expect(io.stderr.text).toBe('');
    }
    watching.interrupt();
    expect(await watched).toBe(0);
    expect(watching.stderr.text).toBe('');
  });

  it.each(['--ws', '--tcp'])('a beat %s outlives its token where the file gets a fresh one', async (door) => {
    writeFileSync(file, await tokenOf('7', { expiresInS: 3 }));
    const io = testIo();
    const running = beat(['7', door, ...argsFor([door]), '--token-file', file, '--every', '50'], io);
    await expect.poll(() => jwtHub.ask('GET', '/v1/presence/7'), POLL).toMatchObject({ status: 'online' });
    const { v } = (await jwtHub.ask('GET', '/v1/presence/7')) as Entry;
    writeFileSync(file, await tokenOf('7', { expiresInS: 60 }));
    await io.stdout.until(/sent .*…(.*\n)+.*sent .*…/);
    // Past the end of the first one: nothing has changed for anybody.
    await delay(3_500);
    expect(await jwtHub.ask('GET', '/v1/presence/7')).toMatchObject({ status: 'online', v });
    expect(io.stdout.text).not.toContain('lost');
    io.interrupt();
    expect(await running).toBe(0);
  });

  it('a watch ends with a line if its token expires, and with a file goes on once a fresh one is there', async () => {
    const token = await tokenOf('42', { expiresInS: 2 });
    const given = testIo();
    const ended = watch(['42', ...jwtHub.args, '--token', token], given);
    const late = testIo();
    writeFileSync(file, token);
    const running = watch(['42', ...jwtHub.args, '--token-file', file], late);
    expect(await ended).toBe(1);
    expect(given.stderr.text).toMatch(/the hub rejects the token of --token \([^\n]+\): give a new one\n$/);
    await late.stderr.until(/reconnecting/);
    writeFileSync(file, await tokenOf('42'));
    await jwtHub.ask('PUT', '/v1/users/42/friends/7');
    await late.stdout.until(/\t7\toffline\t/);
    late.interrupt();
    expect(await running).toBe(0);
  });

  it('a beat --http goes on once the file has a fresh one', async () => {
    writeFileSync(file, await tokenOf('8', { expiresInS: 1 }));
    const io = testIo();
    const running = beat(['8', '--http', ...jwtHub.args, '--token-file', file, '--every', '50'], io);
    await io.stdout.until(
      /got .*\n(.*\n)*.*lost the hub rejects the token of [^\n]+: put a new one there; reconnecting/,
    );
    writeFileSync(file, await tokenOf('8'));
    await io.stdout.until(/got /, io.stdout.text.length);
    io.interrupt();
    expect(await running).toBe(0);
    expect(await jwtHub.ask('GET', '/v1/presence/8')).toMatchObject({ status: 'offline' });
  });

  it('is no stage for the demo', async () => {
    const io = testIo();
    expect(await demo([...jwtHub.args, '--token', ADMIN_TOKEN], io)).toBe(1);
    expect(io.stderr.text).toContain('requires a token of every user');
  });
});

describe('a hub with limits', () => {
  afterEach(endHubProcesses);

  it('has an admin token: the demo needs it for the friend lists alone', async () => {
    const open = await startJwtHub({ HUB_AUTH: 'open', HUB_JWT_SECRET: '' });
    const refused = testIo();
    expect(await demo([...open.args, '--users', '4'], refused)).toBe(1);
    expect(refused.stderr.text).toMatch(/^presence-hub: the hub [^\n]+ --token-file FILE[^\n]+\n$/);
    const io = testIo();
    const running = demo([...open.args, ...open.tcpArgs, '--users', '4', '--token', ADMIN_TOKEN], io);
    await io.stdout.until(/[1-4] of 4 connected/);
    io.interrupt();
    expect(await running).toBe(0);
  });

  it('names the users if one has too many friends', async () => {
    const small = await startTestHub({ maxFriends: 1 });
    const to = ['--url', small.addresses.http];
    await friends(['add', '42', '7', ...to], testIo());
    const io = testIo();
    expect(await friends(['add', '42', '8', ...to], io)).toBe(1);
    expect(io.stderr.text).toMatch(/^presence-hub: 42 and 8 cannot become friends: [^\n]+\n$/);
    await small.stop();
  });

  it('paces heartbeats over HTTP, which then go on', async () => {
    const slow = await startJwtHub({ HUB_AUTH: 'open', HUB_JWT_SECRET: '', HUB_MESSAGES_PER_S: '1' });
    const io = testIo();
    const running = beat(['42', '--http', '--every', '1', ...slow.args], io);
    await io.stdout.until(/lost [^\n]+; reconnecting\n(.*\n)*.*got /);
    io.interrupt();
    expect(await running).toBe(0);
  });

  it('sends a client away for a while, and admits it again', async () => {
    const full = await startJwtHub({ HUB_AUTH: 'open', HUB_JWT_SECRET: '', HUB_MAX_CONNECTIONS: '1' });
    const first = testIo();
    const holding = watch(['42', ...full.args], first);
    // Each question is a connection too, and may take the only place: so not often.
    await expect.poll(() => full.connections(), { timeout: 20_000, interval: 1_000 }).toBe('1');
    const second = testIo();
    const running = watch(['42', ...full.args], second);
    await second.stderr.until(/the hub asked to come back later; reconnecting/);
    first.interrupt();
    await holding;
    second.interrupt();
    expect(await running).toBe(0);
  });
});

describe('a hub with a certificate', () => {
  const certificates = new URL('../support/certificates/', import.meta.url);
  const pathOf = (name: string) => fileURLToPath(new URL(name, certificates));
  const TLS = { HUB_TLS_CERT: pathOf('first.crt.pem'), HUB_TLS_KEY: pathOf('first.key.pem') };
  afterEach(endHubProcesses);

  /** A command as its users run it: which certificates are trusted is read when the process starts. */
  const runTrusting = (ca: string | undefined, args: readonly string[]) =>
    startHubProcess(ca === undefined ? {} : { NODE_EXTRA_CA_CERTS: ca }, args).exited;

  it('is reached over every port by clients that trust it, and all others get a line with the remedy', async () => {
    const tcpPort = await freePort();
    const secured = startHubProcess({ ...TLS, HUB_TCP_PORT: String(tcpPort), HUB_TCP_TLS: 'require' });
    const url = startLine(await secured.started, 'page').replace(/\/$/, '');
    expect(url).toMatch(/^https:/);
    const beats = ['--ws', '--tcp', '--http'].map((door) => ['beat', '42', door, '--once']);
    for (const args of [['friends', 'add', '42', '7'], ...beats]) {
      const at = ['--url', url, ...(args.includes('--tcp') ? ['--tcp-port', String(tcpPort)] : [])];
      const trusting = await runTrusting(TLS.HUB_TLS_CERT, [...args, ...at]);
      expect(trusting).toMatchObject({ code: 0, stderr: '' });
      const doubting = await runTrusting(undefined, [...args, ...at]);
      expect(doubting.code).toBe(1);
      expect(doubting.stderr).toMatch(
        /^presence-hub: \w+:\/\/127[^\n]+ certificate: [^\n]+ NODE_EXTRA_CA_CERTS [^\n]+\n$/,
      );
    }
  });
});

describe('without a hub', () => {
  it.each([
    ['watch', (args: readonly string[]) => [watch, ['42', ...args]] as const],
    ['beat', (args: readonly string[]) => [beat, ['42', ...args]] as const],
    ['beat --http', (args: readonly string[]) => [beat, ['42', '--http', ...args]] as const],
    ['friends', (args: readonly string[]) => [friends, ['list', '42', ...args]] as const],
    ['demo', (args: readonly string[]) => [demo, args] as const],
  ])('%s says so in one line, and ends with 1', async (_name, order) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const io = testIo();
    const [run, args] = order(['--url', url]);
    expect(await run(args, io)).toBe(1);
    expect(io.stderr.text).toBe(
      `presence-hub: no hub answers at ${url}: start one with \`npm start\`, or name it with --url\n`,
    );
  });

  it('beat --tcp names the TCP port', async () => {
    const port = await freePort();
    const io = testIo();
    expect(await beat(['42', '--tcp', '--tcp-port', String(port)], io)).toBe(1);
    expect(io.stderr.text).toContain(`no hub answers at tcp://127.0.0.1:${port}:`);
  });
});
