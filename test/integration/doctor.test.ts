/** `presence-hub doctor`: each line that it can print, on a machine that is made to look so. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../server/operator/doctor/doctor.ts';
import type { Finding } from '../../server/operator/doctor/finding.ts';
import { createClient } from '@redis/client';
import { testIo } from '../support/cli-io.ts';
import { freePort } from '../support/hub-process.ts';
import { startTestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

let folder: string;
let ports: { HUB_PORT: string; HUB_TCP_PORT: string };
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hub-doctor-'));
  ports = { HUB_PORT: String(await freePort()), HUB_TCP_PORT: String(await freePort()) };
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const fixture = (name: string): string => fileURLToPath(new URL(`../support/certificates/${name}`, import.meta.url));

/** Runs doctor in the folder's data with these settings. */
async function examine(settings: Readonly<Record<string, string>> = {}, ...args: string[]) {
  const env = {
    HUB_DATA: join(folder, 'data'),
    HUB_TRANSPORT: 'ws',
    HUB_MAX_CONNECTIONS: '100',
    ...ports,
    ...settings,
  };
  const io = testIo({ env });
  const code = await run(args, io);
  return { code, out: io.stdout.text, err: io.stderr.text };
}

async function findingsOf(settings: Readonly<Record<string, string>> = {}) {
  const { code, out } = await examine(settings, '--json');
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
  expect(code).toBe(ok ? 0 : 1);
  for (const { level, remedy } of findings) expect(remedy === null).toBe(level === 'ok');
  return findings;
}

async function findingOf(check: string, settings: Readonly<Record<string, string>> = {}) {
  const found = (await findingsOf(settings)).filter((one) => one.check === check);
  const level = (['error', 'warning', 'ok'] as const).find((one) => found.some((finding) => finding.level === one));
  return { level, says: found.map(({ says, remedy }) => `${says}; ${remedy ?? ''}`).join('\n') };
}

test('a sound machine has a line for each check, all of them ok, and exit code 0', async () => {
  const { code, out, err } = await examine();
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = out.trimEnd().split('\n');
  expect(lines.filter((line) => !line.startsWith('ok       '))).toEqual([]);
  expect(lines.map((line) => line.split(/\s+/)[1])).toEqual([
    'settings',
    'http',
    'tcp',
    'engine',
    'files',
    'clock',
    'tls',
    'data',
    'disk',
    'proxy',
    'cluster',
  ]);
});

test('a problem is followed by its remedy, and an error is exit code 1', async () => {
  const { code, out } = await examine({ HUB_TRUST_PROXY: '0.0.0.0/0' });
  expect(code).toBe(1);
  expect(out).toMatch(
    /\nerror {4}proxy {5}HUB_TRUST_PROXY trusts everyone.*\n {19}list the addresses of your proxies only\n/,
  );
});

describe('settings:', () => {
  test.each([
    [{ HUB_PORT: 'eighty' }, 'HUB_PORT'],
    [{ HUB_ORIGINS: 'chat.example' }, 'HUB_ORIGINS'],
    [{ HUB_AUTH: 'jwt' }, 'HUB_JWT_SECRET'],
    [{ HUB_DATABASE_URL: 'postgres://127.0.0.1' }, 'HUB_DATABASE_URL'],
  ])('%j stops a start, so it is an error', async (settings, named) => {
    const { level, says } = await findingOf('settings', settings);
    expect(level).toBe('error');
    expect(says).toContain(named);
  });

  test('what a start warns of is a warning', async () => {
    expect(await findingOf('settings', { HUB_JWT_ISSUER: 'me' })).toMatchObject({ level: 'warning' });
  });

  test('a file with secrets that everyone can read is a warning', async () => {
    const file = join(folder, 'hub.json');
    writeFileSync(file, '{"HUB_ADMIN_TOKEN":"0123456789abcdef"}', { mode: 0o644 });
    expect(await findingOf('secrets', { HUB_CONFIG: file })).toMatchObject({ level: 'warning' });
    chmodSync(file, 0o600);
    expect(await findingOf('secrets', { HUB_CONFIG: file })).toMatchObject({ level: 'ok' });
  });

  test('webhook rules are read', async () => {
    const file = join(folder, 'rules.json');
    writeFileSync(file, '[{"name":"x"}]');
    expect(await findingOf('webhooks', { HUB_WEBHOOKS: file })).toMatchObject({ level: 'error' });
    writeFileSync(file, '[]');
    expect(await findingOf('webhooks', { HUB_WEBHOOKS: file })).toMatchObject({ level: 'ok' });
    expect(await findingOf('webhooks', { HUB_WEBHOOKS: join(folder, 'none') })).toMatchObject({ level: 'error' });
  });

  test('a proxy that must be in front, and is not trusted, is a warning', async () => {
    const jwt = { HUB_AUTH: 'jwt', HUB_JWT_SECRET: 'x'.repeat(32) };
    expect(await findingOf('proxy', jwt)).toMatchObject({ level: 'warning' });
    expect(await findingOf('proxy', { ...jwt, HUB_TRUST_PROXY: '127.0.0.1' })).toMatchObject({ level: 'ok' });
  });
});

describe('ports:', () => {
  test('one that another program holds is an error', async () => {
    const other = createServer((_, response) => response.end('no hub'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    for (const [check, name] of [
      ['http', 'HUB_PORT'],
      ['tcp', 'HUB_TCP_PORT'],
    ] as const) {
      const { level, says } = await findingOf(check, { [name]: String(port) });
      expect([level, says]).toEqual(['error', expect.stringContaining(`${name} is ${port}`)]);
    }
    other.closeAllConnections();
    other.close();
  });

  test('an address of another machine is an error', async () => {
    expect(await findingOf('http', { HUB_HOST: '192.0.2.1', HUB_ALLOW_OPEN: '1' })).toMatchObject({ level: 'error' });
  });

  test('a hub that runs with these settings holds its ports and its data rightly', async () => {
    const hub = await startTestHub({ data: join(folder, 'data') });
    const own = { HUB_PORT: new URL(hub.addresses.http).port, HUB_TCP_PORT: String(hub.tcpPort) };
    const levels = (await findingsOf(own)).map(({ level }) => level);
    expect(new Set(levels)).toEqual(new Set(['ok']));
    // Another hub's data, with ports of its own.
    expect(await findingOf('lock')).toMatchObject({ level: 'warning' });
    await hub.stop();
    expect(await findingOf('lock')).toMatchObject({ level: 'ok' });
  });
});

describe('the machine:', () => {
  test('an engine that can’t load is an error if it is asked for', async () => {
    const { level } = await findingOf('engine', { HUB_TRANSPORT: 'auto' });
    expect(['ok', 'warning']).toContain(level); // as this machine has it
  });

  test('too few file descriptors are a warning', async () => {
    expect(await findingOf('files', { HUB_MAX_CONNECTIONS: '1000000000' })).toMatchObject({ level: 'warning' });
  });

  test('a clock behind the stored data is an error', async () => {
    const hub = await startTestHub({ data: join(folder, 'data') }, (clock) => {
      clock.wallMs = Date.now() + 3_600_000;
      return clock;
    });
    await hub.request('POST', '/v1/heartbeat', { user: '42' });
    await hub.stop();
    expect(await findingOf('clock')).toMatchObject({ level: 'error' });
  });

  describe('an issuer of tokens', () => {
    let server: Server | undefined;
    afterEach(() => server?.close());
    const issuer = async (status: number, date: Date): Promise<Record<string, string>> => {
      server = createServer((_, response) => {
        response.writeHead(status, { date: date.toUTCString(), connection: 'close' }).end('{"keys":[]}');
      });
      await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      return { HUB_AUTH: 'jwt', HUB_JWKS_URL: `http://127.0.0.1:${port}/keys` };
    };

    test.each([
      ['answers', 200, 0, 'ok'],
      ['has another time', 200, 3_600_000, 'warning'],
      ['has no such page', 404, 0, 'error'],
    ] as const)('that %s', async (_, status, aheadMs, level) => {
      expect(await findingOf('keys', await issuer(status, new Date(Date.now() + aheadMs)))).toMatchObject({ level });
    });

    test('that can’t be reached', async () => {
      const settings = await issuer(200, new Date());
      server?.close();
      expect(await findingOf('keys', settings)).toMatchObject({ level: 'error' });
    });
  });

  test('a certificate says when it expires, and one that does not fit is an error', async () => {
    const pair = (cert: string, key: string) => ({ HUB_TLS_CERT: fixture(cert), HUB_TLS_KEY: fixture(key) });
    const sound = await findingOf('tls', pair('first.crt.pem', 'first.key.pem'));
    expect(sound).toMatchObject({ level: 'ok' });
    expect(sound.says).toMatch(/CN=.* expires in \d+ days, on /);
    expect(await findingOf('tls', pair('first.crt.pem', 'second.key.pem'))).toMatchObject({ level: 'error' });
    expect(await findingOf('tls', pair('none.pem', 'first.key.pem'))).toMatchObject({ level: 'error' });
  });
});

describe('the Redis of a cluster,', () => {
  test('if nobody listens there or the URL has another form, is an error', async () => {
    const nobody = await findingOf('redis', { HUB_REDIS_URL: `redis://:secret@127.0.0.1:${await freePort()}` });
    expect([nobody.level, nobody.says]).toEqual(['error', expect.stringContaining('start Redis there') as string]);
    expect(nobody.says).not.toContain('secret');
    expect(await findingOf('redis', { HUB_REDIS_URL: '127.0.0.1' })).toMatchObject({ level: 'error' });
  });

  describe('if it runs,', needing('redis-server'), () => {
    let redis: RedisServer | undefined;
    afterEach(() => redis?.close());

    test('is ok and left unchanged, and one that drops keys is an error', async () => {
      redis = await RedisServer.start();
      const { level, says } = await findingOf('redis', { HUB_REDIS_URL: redis.url });
      expect([level, says]).toEqual(['ok', expect.stringMatching(/answers, version \d/) as string]);
      const client = createClient({ url: redis.url });
      await client.connect();
      expect(await client.dbSize()).toBe(0);
      await client.configSet('maxmemory-policy', 'allkeys-lru');
      client.destroy();
      expect(await findingOf('redis', { HUB_REDIS_URL: redis.url })).toMatchObject({ level: 'error' });
    });
  });
});

describe('the data folder:', () => {
  test('one in memory is a warning', async () => {
    expect(await findingOf('data', { HUB_DATA: ':memory:' })).toMatchObject({ level: 'warning' });
  });

  test('is one for each worker', async () => {
    const settings = { HUB_WORKERS: '2', HUB_REDIS_URL: 'redis://127.0.0.1:1', HUB_ROSTER: 'http://127.0.0.1:1' };
    const { out } = await examine(settings);
    for (const number of [1, 2])
      expect(out).toContain(`HUB_DATA=${join(folder, 'data', `worker-${number}`)} does not exist yet`);
  });

  test('one that others can read is a warning', async () => {
    mkdirSync(join(folder, 'data'), { mode: 0o755 });
    expect(await findingOf('data')).toMatchObject({ level: 'warning' });
    chmodSync(join(folder, 'data'), 0o700);
    expect(await findingOf('data')).toMatchObject({ level: 'ok' });
  });

  test('one that is a file, or can’t be created, is an error', async () => {
    writeFileSync(join(folder, 'data'), '');
    expect(await findingOf('data')).toMatchObject({ level: 'error' });
    expect(await findingOf('data', { HUB_DATA: join(folder, 'data', 'below') })).toMatchObject({ level: 'error' });
  });
});

test('a stray word is a fault of the command line', async () => {
  expect(await examine({}, 'more')).toMatchObject({ code: 2, out: '' });
});

describe('PostgreSQL', needing('postgres'), () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());

  test('is asked at each setting that names one, and gets its tables at the first start', async () => {
    const url = server.urlOf(await server.newDatabase());
    const { level, says } = await findingOf('postgres', { HUB_ROSTER: url });
    expect(level).toBe('ok');
    expect(says).toMatch(/^HUB_ROSTER: PostgreSQL \d+.* at .* answers, and gets the tables at the first start; $/);
  });

  test('that cannot be used is an error, and repeats no password', async () => {
    const database = await server.newDatabase();
    await server.query(database, 'CREATE ROLE poor LOGIN');
    const away = await findingOf('postgres', { HUB_ROSTER: `postgres://me:hush@127.0.0.1:${await freePort()}/x` });
    expect(away.level).toBe('error');
    expect(away.says).toMatch(/^HUB_ROSTER: PostgreSQL at .* cannot be reached/);
    expect(away.says).not.toContain('hush');
    const poor = await findingOf('postgres', { HUB_ROSTER: server.urlOf(database, 'poor') });
    expect(poor.level).toBe('error');
    expect(poor.says).toContain('GRANT CREATE ON DATABASE');
    const none = await findingOf('postgres', { HUB_ROSTER: server.urlOf('nowhere') });
    expect(none.says).toContain('has no database "nowhere"');
  });

  test('is missed in a cluster, because blocks are then in Redis alone', async () => {
    const { level, says } = await findingOf('postgres', { HUB_REDIS_URL: 'redis://127.0.0.1:1' });
    expect(level).toBe('warning');
    expect(says).toContain('set HUB_DATABASE_URL');
  });
});
