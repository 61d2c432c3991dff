/** SIGHUP: what a running hub takes over from a changed HUB_CONFIG and from renewed certificates, and what it says. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { settings } from '../../server/config/settings.ts';
import { defaultConfig, onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { freePort, startHubProcess, startLine } from '../support/hub-process.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';
import { certificateFile } from '../support/certificate-file.ts';
import { useProcessFolder } from '../support/process-folder.ts';
import { transports } from '../support/transports.ts';

vi.setConfig({ testTimeout: 60_000 });

const folder = useProcessFolder('hub-reload-');

const usePair = (name: string): void => {
  copyFileSync(certificateFile(`${name}.crt`), folder.at('crt.pem'));
  copyFileSync(certificateFile(`${name}.key`), folder.at('key.pem'));
};

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly changed?: readonly string[];
  readonly needRestart?: readonly string[];
}

/** Others, such as that of a refused token before it, may be read late. */
const isAboutReload = ({ level, msg, changed, needRestart }: Line): boolean =>
  (changed ?? needRestart) !== undefined || level >= 50 || msg.includes('certificate');

/** A hub with a file of settings, and what its log said after each SIGHUP. */
async function startWithFile(first: object, env: Readonly<Record<string, string>> = {}) {
  const path = folder.at('hub.json');
  writeFileSync(path, JSON.stringify(first));
  const hub = startHubProcess({ HUB_CONFIG: path, ...env });
  const lines: Line[] = [];
  let rest = '';
  hub.child.stderr?.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.filter((part) => part.startsWith('{')).map((part) => JSON.parse(part) as Line));
  });
  const stdout = await hub.started;
  return {
    stdout,
    page: startLine(stdout, 'page'),
    lines,
    /** Writes the file, sends SIGHUP and returns the lines that follow, up to the one that contains `until`. */
    reload: async (next: object | string, until: string) => {
      writeFileSync(path, typeof next === 'string' ? next : JSON.stringify(next));
      const from = lines.length;
      hub.child.kill('SIGHUP');
      await expect
        .poll(() => lines.slice(from).some(({ msg }) => msg.includes(until)), { interval: 10, timeout: 20_000 })
        .toBe(true);
      return lines.slice(from).filter(isAboutReload);
    },
  };
}

test('SIGHUP applies a changed file, and names what changed and what only a restart applies (S19)', async () => {
  const [old, fresh] = ['an-old-admin-token', 'a-fresh-admin-token'];
  const hub = await startWithFile({ HUB_ADMIN_TOKEN: old, HUB_GRACE_MS: 2000, HUB_HEARTBEAT_MS: 10_000 });
  const statusWith = async (token: string) =>
    (await fetch(`${hub.page}metrics`, { headers: { authorization: `Bearer ${token}` } })).status;
  expect([await statusWith(old), await statusWith(fresh)]).toEqual([200, 401]);
  const said = await hub.reload({ HUB_ADMIN_TOKEN: fresh, HUB_GRACE_MS: 3000, HUB_LOG_LEVEL: 'warn' }, 'restart');
  expect([await statusWith(old), await statusWith(fresh)]).toEqual([401, 200]);
  expect(said.map(({ changed, needRestart }) => changed ?? needRestart)).toEqual([
    ['HUB_LOG_LEVEL', 'HUB_ADMIN_TOKEN'],
    ['HUB_GRACE_MS'],
  ]);
  expect(JSON.stringify(said)).not.toContain(fresh);
});

test('with a wrong file, everything stays, and the log has one error that names the setting (S19)', async () => {
  const token = 'an-old-admin-token';
  const hub = await startWithFile({ HUB_ADMIN_TOKEN: token });
  const wrong = [
    ['{', 'HUB_CONFIG'],
    [{ HUB_ADMIN_TOKEN: 'a-fresh-admin-token', HUB_MAX_FRIENDS: 'many' }, 'HUB_MAX_FRIENDS'],
    [{ HUB_ADMIN_TOKEN: 'a-fresh-admin-token', HUB_ORIGINS: 'chat.example' }, 'HUB_ORIGINS'],
    [{ HUB_ADMIN_TOKEN: 'short' }, 'HUB_ADMIN_TOKEN'],
    [{ HUB_ADMIN_TOKEN: 'a-fresh-admin-token', HUB_CODES: 'away=two' }, 'HUB_CODES'],
  ] as const;
  for (const [file, named] of wrong) {
    const said = await hub.reload(file, 'nothing was reloaded');
    expect(said.map(({ level }) => level)).toEqual([50]);
    expect(said[0]?.msg).toContain(named);
  }
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`${hub.page}metrics`, { headers })).status).toBe(200);
});

test('a setting that a flag or the environment overrides stays as it is', async () => {
  const hub = await startWithFile({}, { HUB_MAX_FRIENDS: '5' });
  const said = await hub.reload({ HUB_MAX_FRIENDS: 9 }, 'no live setting has changed');
  expect(said.map(({ changed }) => changed)).toEqual([[]]);
});

test.each(transports)('SIGHUP takes a renewed certificate for new connections on both ports (%s)', async (engine) => {
  usePair('first');
  const tcpPort = await freePort();
  const hub = await startWithFile(
    {},
    {
      HUB_TRANSPORT: engine === 'uws' ? 'auto' : engine,
      HUB_TCP_PORT: String(tcpPort),
      HUB_TLS_CERT: folder.at('crt.pem'),
      HUB_TLS_KEY: folder.at('key.pem'),
    },
  );
  const certificateAt = async (port: number) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const print = socket.getPeerX509Certificate()?.fingerprint256;
    socket.destroy();
    return print;
  };
  const ports = [tcpPort, Number(new URL(hub.page).port)];
  const both = () => Promise.all(ports.map(certificateAt));
  const printOf = (name: string) => new X509Certificate(readFileSync(certificateFile(`${name}.crt`))).fingerprint256;
  expect(await both()).toEqual([printOf('first'), printOf('first')]);
  usePair('second');
  await hub.reload({}, 'SIGHUP');
  await expect.poll(both, { interval: 10, timeout: 3000 }).toEqual([printOf('second'), printOf('second')]);
  writeFileSync(folder.at('crt.pem'), 'nonsense');
  for (let times = 0; times < 2; times++) await hub.reload({}, 'HUB_TLS_CERT');
  expect(await both()).toEqual([printOf('second'), printOf('second')]);
});

onBothEngines('each live setting holds for what comes after the reload', (transport) => {
  const secret = TEST_SECRET;
  const jwt = { auth: 'jwt', jwtSecret: secret, tcpAuth: 'none' } as const;
  let hub: TestHub;
  let started: Config;
  const start = async (given: Partial<Config>): Promise<void> => {
    started = { ...defaultConfig, transport, ...given };
    hub = await startTestHub({ transport, ...given });
  };
  afterEach(() => hub.stop());
  const reload = (given: Partial<Config>) => hub.reload({ ...started, ...given });
  const get = async (path: string, headers: Record<string, string>) =>
    (await fetch(hub.addresses.http + path, { headers: { connection: 'close', ...headers } })).status;
  const bearer = async (options?: Parameters<typeof tokenFor>[1]) => ({
    authorization: `Bearer ${await tokenFor('42', { clock: hub.clock, ...options })}`,
  });
  const heartbeat = (user: string) => hub.request('POST', '/v1/heartbeat', { user });
  const statusOf = async (user: string) =>
    ((await hub.request('GET', `/v1/presence/${user}`)).body as { status: string }).status;
  /** Whether each of these actions is allowed before the reload, and after it. */
  const allowedAround = async (given: Partial<Config>, actions: readonly (() => Promise<boolean>)[]) => {
    const allowed = async () => {
      const answers: boolean[] = [];
      for (const action of actions) answers.push(await action());
      return answers;
    };
    const before = await allowed();
    await reload(given);
    return [before, await allowed()];
  };

  test('HUB_JWT_SECRET, HUB_JWT_ISSUER and HUB_JWT_AUDIENCE', async () => {
    await start(jwt);
    const reads = async (options?: Parameters<typeof tokenFor>[1]) =>
      (await get('/v1/presence/42', await bearer(options))) === 200;
    const other = 'another secret for tests, of 32 bytes or more';
    const actions = [
      () => reads(),
      () => reads({ secret: other }),
      () => reads({ secret: other, issuer: 'me', audience: 'hub' }),
    ];
    expect(await allowedAround({ jwtSecret: other }, actions)).toEqual([
      [true, false, false],
      [false, true, true],
    ]);
    await reload({ jwtSecret: other, jwtIssuer: 'me', jwtAudience: 'hub' });
    expect(await Promise.all(actions.map((action) => action()))).toEqual([false, false, true]);
  });

  test('HUB_JWKS_URL instead of a secret', async () => {
    await start(jwt);
    const reads = async () => get('/v1/presence/42', await bearer());
    expect(await reads()).toBe(200);
    await reload({ jwtSecret: null, jwksUrl: 'http://127.0.0.1:1/keys' });
    expect(await reads()).toBe(401); // HS256 is never taken with an issuer's keys
  });

  test('HUB_ADMIN_TOKEN and HUB_METRICS_TOKEN, also the first ones of an open hub', async () => {
    await start({});
    const [admin, metrics] = ['a-token-for-the-admins', 'a-token-for-the-metrics'];
    const reads = (path: string, token?: string) => async () =>
      (await get(path, token === undefined ? {} : { authorization: `Bearer ${token}` })) === 200;
    const actions = [reads('/metrics'), reads('/metrics', metrics), reads('/v1/counts', admin), reads('/v1/counts')];
    expect(await allowedAround({ adminToken: admin, metricsToken: metrics }, actions)).toEqual([
      [true, true, true, true],
      [false, true, true, false],
    ]);
  });

  test('HUB_ORIGINS', async () => {
    await start({});
    const opens = (origin: string) => () =>
      WsClient.open(hub.addresses.ws, { origin }).then(
        (client) => (client.close(), true),
        () => false,
      );
    const actions = [opens('https://a.example'), opens('https://b.example')];
    expect(await allowedAround({ origins: 'https://b.example' }, actions)).toEqual([
      [false, false],
      [false, true],
    ]);
  });

  test('HUB_TRUST_PROXY, over HTTP and TCP', async () => {
    await start({ maxPerAddress: 10_000, messagesPerS: 1 });
    await reload({ trustProxy: '127.0.0.1', messagesPerS: 1 });
    const client = await LegacyClient.open(hub.tcpPort, { before: 'PROXY TCP4 10.0.0.7 10.0.0.1 5222 60001\r\n' });
    client.write(frame('42'));
    await hub.until(async () => (await statusOf('42')) === 'online');
    const { body } = await hub.request('GET', '/v1/users/42/explain');
    expect(JSON.stringify(body)).toContain('10.0.0.7');
    client.end();
    const statuses = await Promise.all(
      Array.from({ length: 30 }, (_, i) => get('/v1/presence/42', { 'x-forwarded-for': `10.0.1.${i}` })),
    );
    expect(new Set(statuses)).toEqual(new Set([200])); // each has a rate of its own
  });

  test('HUB_TCP_ALLOW', async () => {
    await start({});
    await reload({ tcpAllow: '10.0.0.0/8' });
    const client = await LegacyClient.open(hub.tcpPort);
    await client.closed;
    expect(await hub.metric('presence_hub_refused_total{reason="address"}')).toBe(1);
  });

  test('HUB_MAX_CONNECTIONS and HUB_MAX_PER_ADDRESS', async () => {
    await start({});
    const open = await Promise.all([1, 2].map(() => WsClient.hello(hub.addresses.ws, { user: '42' })));
    await reload({ maxConnections: 2 });
    const third = await WsClient.open(hub.addresses.ws);
    expect(await third.closed).toBe(1013);
    await reload({ maxPerAddress: 2 });
    const fourth = await WsClient.open(hub.addresses.ws);
    expect(await fourth.closed).toBe(1013);
    await reload({});
    open.push(await WsClient.hello(hub.addresses.ws, { user: '42' }));
    for (const client of open) client.close();
  });

  test('HUB_MAX_PER_CONNECTION', async () => {
    await start({});
    await reload({ maxPerConnection: 1 });
    const client = await LegacyClient.open(hub.tcpPort);
    client.write(frame('1') + frame('2'));
    await hub.until(async () => (await hub.metric('presence_hub_refused_total{reason="per_connection"}')) === 1);
    expect([await statusOf('1'), await statusOf('2')]).toEqual(['online', 'offline']);
    client.end();
  });

  test('HUB_MAX_SESSIONS and HUB_MAX_SESSIONS_TOTAL', async () => {
    await start({});
    const open = [await WsClient.hello(hub.addresses.ws, { user: '42' })];
    await reload({ maxSessions: 1 });
    const second = await WsClient.open(hub.addresses.ws);
    second.send({ type: 'hello', user: '42' });
    expect((await second.next('error')).code).toBe('too_many');
    await reload({ maxSessionsTotal: 1 });
    expect((await heartbeat('7')).status).toBe(429);
    await reload({});
    expect((await heartbeat('7')).status).toBe(200);
    for (const client of [...open, second]) client.close();
  });

  test('HUB_MAX_WATCHES, for connections that are open too', async () => {
    await start({});
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    await reload({ maxWatches: 1 });
    client.send({ type: 'watch', users: ['1', '2'] });
    expect((await client.next('error')).code).toBe('too_many');
    client.close();
  });

  test('HUB_MAX_FRIENDS, for friends and blocks', async () => {
    await start({});
    const put = async (path: string) => (await hub.request('PUT', `/v1/users/42/${path}`)).status;
    expect([await put('friends/1'), await put('blocks/1')]).toEqual([204, 204]);
    await reload({ maxFriends: 1 });
    expect([await put('friends/2'), await put('blocks/2')]).toEqual([409, 409]);
    await reload({});
    expect([await put('friends/2'), await put('blocks/2')]).toEqual([204, 204]);
  });

  test('HUB_MESSAGES_PER_S', async () => {
    await start(jwt);
    await reload({ messagesPerS: 1 });
    const headers = await bearer();
    const statuses = await Promise.all(Array.from({ length: 30 }, () => get('/v1/presence/42', headers)));
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
  });

  test('HUB_MESSAGES_PER_S for bad tokens, also after a change of a token', async () => {
    await start(jwt);
    const adminToken = 'a-token-for-the-admins';
    await reload({ adminToken });
    await reload({ adminToken, messagesPerS: 1 });
    const codeFor = async (user: string, secret: string) => {
      const client = await WsClient.open(hub.addresses.ws);
      client.send({ type: 'hello', user, token: await tokenFor(user, { clock: hub.clock, secret }) });
      return (await client.next('error')).code;
    };
    for (let i = 0; i < 10; i++) expect(await codeFor(`${i}`, 'x'.repeat(32))).toBe('unauthenticated');
    expect(await codeFor('42', TEST_SECRET)).toBe('unavailable');
  });
});

describe('of the live settings', () => {
  test('those without a test of their own are these, which are read where they are used', () => {
    const tested = readFileSync(fileURLToPath(import.meta.url), 'utf8');
    const untested = Object.values(settings).filter(({ name, isLive }) => isLive && !tested.includes(name));
    expect(untested.map(({ name }) => name)).toEqual([
      'HUB_MAX_QUEUED' + '_BYTES',
      'HUB_SLOW' + '_MS',
      'HUB_DRAIN' + '_MS',
    ]);
  });
});
