import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Environment } from '../../shared/environment.ts';
import { describeSettings, readConfig, readFlags } from '../../server/config/config.ts';
import { configOfWorker } from '../../server/config/worker-config.ts';

interface Said {
  readonly args?: readonly string[];
  readonly env?: Environment;
  readonly files?: Readonly<Record<string, string>>;
}

function read({ args = [], env = {}, files = {} }: Said) {
  const line = readFlags(args);
  if (!line.ok) return line;
  const readFile = (path: string) => {
    const text = files[path];
    if (text === undefined) throw new Error('ENOENT');
    return text;
  };
  return readConfig({ flags: line.value.flags, env, readFile });
}

function configOf(said: Said) {
  const result = read(said);
  if (!result.ok) throw new Error(result.problem);
  return result.value.config;
}

function warningsOf(env: Environment) {
  const result = read({ env });
  if (!result.ok) throw new Error(result.problem);
  return result.value.warnings;
}

function problemOf(said: Said): string {
  const result = read(said);
  if (result.ok) throw new Error(`passed: ${JSON.stringify(said)}`);
  expect(result.problem).not.toContain('\n');
  return result.problem;
}

describe('defaults and sources', () => {
  test('without a word the defaults of the contract hold, frozen and without a warning', () => {
    expect(warningsOf({})).toEqual([]);
    expect(configOf({})).toEqual({
      configFile: null,
      databaseUrl: null,
      allowOpen: false,
      host: '127.0.0.1',
      port: 8080,
      tcpHost: '127.0.0.1',
      tcpPort: 60001,
      data: './data',
      transport: 'auto',
      heartbeatMs: 10_000,
      timeoutMs: 25_000,
      tcpTimeoutMs: 5400,
      graceMs: 2000,
      warmMs: 25_000,
      redisUrl: null,
      redisPrefix: 'ph:',
      nodeLeaseMs: 6000,
      nodeUrl: null,
      drainMs: 5000,
      doubtSessions: 100,
      doubtPercent: 20,
      doubtMs: 5000,
      tcpAck: false,
      tcpProbe: false,
      tcpEncoding: 'utf-8',
      tcpNames: null,
      codes: null,
      logLevel: 'info',
      pollFile: null,
      sqliteSync: 'normal',
      auth: 'open',
      jwtSecret: null,
      jwksUrl: null,
      jwtIssuer: null,
      jwtAudience: null,
      adminToken: null,
      metricsToken: null,
      tcpAuth: 'none',
      tcpAllow: '',
      origins: '',
      trustProxy: '',
      tlsCert: null,
      tlsKey: null,
      tcpTls: 'allow',
      lastSeen: 'show',
      maxConnections: 100_000,
      maxPerAddress: 20_000,
      maxSessions: 50,
      maxSessionsTotal: null,
      maxPerConnection: 20_000,
      maxWatches: 10_000,
      maxFriends: 10_000,
      messagesPerS: 200,
      frameMs: 30_000,
      maxQueuedBytes: 4_194_304,
      slowMs: 60_000,
      historyDays: 0,
      historyPerDay: 2000,
      webhookUrl: null,
      webhookSecret: null,
      webhookFile: null,
      webhookKeepMs: 86_400_000,
      webhookAllow: '',
      webhookMax: 1_000_000,
      roster: 'sqlite',
      rosterToken: null,
      rosterTtlMs: 60_000,
      workers: 1,
    });
    expect(Object.isFrozen(configOf({}))).toBe(true);
  });

  test('a flag is stronger than the environment, that than the file, and that than the default (S1)', () => {
    const files = { 'hub.json': '{"port":1,"tcpPort":1,"graceMs":1}' };
    const env = { HUB_CONFIG: 'hub.json', HUB_PORT: '2', HUB_TCP_PORT: '2' };
    expect(configOf({ args: ['--port', '3'], env, files })).toMatchObject({ port: 3, tcpPort: 2, graceMs: 1 });
  });

  test('a wrong value stops the start though a stronger source overrides it', () => {
    const env = { HUB_CONFIG: 'hub.json', HUB_PORT: '1' };
    expect(problemOf({ env, files: { 'hub.json': '{"port":"abc"}' } })).toContain('HUB_PORT');
  });

  test('a flag may be written with a space or an equals sign', () => {
    expect(configOf({ args: ['--port=81', '--tcp-port', '82'] })).toMatchObject({ port: 81, tcpPort: 82 });
  });

  test.each(['HUB_TCP_TIMEOUT_MS', 'tcp-timeout-ms', 'tcpTimeoutMs', 'tcp_timeout_ms'])(
    'the file may say %s (S1)',
    (key) => {
      const files = { f: JSON.stringify({ [key]: 4000 }) };
      expect(configOf({ env: { HUB_CONFIG: 'f' }, files }).tcpTimeoutMs).toBe(4000);
    },
  );

  test('the file takes true and false, tables as JSON, and null as unset', () => {
    const files = { f: '{"tcpAck":true,"tcpProbe":false,"codes":{"away":[2,12]},"host":null}' };
    expect(configOf({ args: ['--config', 'f'], files })).toMatchObject({
      tcpAck: true,
      tcpProbe: false,
      codes: '{"away":[2,12]}',
      host: '127.0.0.1',
    });
  });

  test('empty text counts as unset on every way in (S1)', () => {
    const files = { f: '{"port":""}' };
    const env = { HUB_CONFIG: 'f', HUB_TCP_PORT: '', HUB_ADMIN_TOKEN: ' ' };
    expect(configOf({ args: ['--grace-ms', ''], env, files })).toEqual({ ...configOf({}), configFile: 'f' });
  });

  test('names without HUB_ are none of our business', () => {
    expect(configOf({ env: { PATH: '/bin', HUBERT: 'x', HUB: 'x' } })).toEqual(configOf({}));
  });
});

describe('values', () => {
  test('TCP follows HUB_HOST if it has no address of its own, and port 0 switches it off', () => {
    expect(configOf({ env: { HUB_HOST: '::1' } }).tcpHost).toBe('::1');
    expect(configOf({ env: { HUB_HOST: '::1', HUB_TCP_HOST: '127.0.0.2' } }).tcpHost).toBe('127.0.0.2');
    expect(configOf({ env: { HUB_TCP_PORT: '0' } }).tcpPort).toBeNull();
    expect(configOf({ env: { HUB_PORT: '0' } }).port).toBe(0);
  });

  test.each([
    ['HUB_PORT', 'eighty'],
    ['HUB_PORT', '65536'],
    ['HUB_PORT', '-1'],
    ['HUB_PORT', '80.0'],
    ['HUB_PORT', '0x50'],
    ['HUB_PORT', '1e3'],
    ['HUB_PORT', '080'],
    ['HUB_TCP_PORT', 'off'],
    ['HUB_HEARTBEAT_MS', '0'],
    ['HUB_TIMEOUT_MS', '86400001'],
    ['HUB_TCP_TIMEOUT_MS', '5.4s'],
    ['HUB_GRACE_MS', '-5'],
    ['HUB_TRANSPORT', 'UWS'],
    ['HUB_TCP_ACK', 'yes'],
    ['HUB_TCP_PROBE', '2'],
    ['HUB_LOG_LEVEL', 'verbose'],
    ['HUB_SQLITE_SYNC', 'off'],
    ['HUB_LAST_SEEN', 'maybe'],
    ['HUB_HOST', 'http://localhost'],
    ['HUB_HOST', 'localhost:8080'],
    ['HUB_HOST', '127.1'],
    ['HUB_TCP_HOST', '[::1]'],
    ['HUB_AUTH', 'none'],
    ['HUB_TCP_AUTH', 'password'],
    ['HUB_MAX_FRIENDS', 'many'],
    ['HUB_WARM_MS', '-1'],
    ['HUB_MESSAGES_PER_S', '0'],
  ])('%s=%s stops the start: the line names the setting, the value and what would do (S2)', (name, value) => {
    expect(problemOf({ env: { [name]: value } })).toMatch(
      new RegExp(`^${name} is "${value.replace(/[[\].]/g, '\\$&')}": it must be `),
    );
  });

  test('the line names the source of the value if it is not the environment', () => {
    expect(problemOf({ args: ['--port', 'x'] })).toBe(
      'HUB_PORT is "x" (given as --port): it must be a whole number from 0 to 65535',
    );
    const files = { 'hub.json': '{"tcpPort":true,"port":1.5}' };
    expect(problemOf({ args: ['--config=hub.json'], files })).toBe(
      'HUB_PORT is "1.5" (given as "port" in hub.json): it must be a whole number from 0 to 65535',
    );
  });
});

describe('rules across settings', () => {
  test('a timeout holds at least two heartbeats', () => {
    expect(configOf({ env: { HUB_HEARTBEAT_MS: '100', HUB_TIMEOUT_MS: '200' } }).timeoutMs).toBe(200);
    const short = problemOf({ env: { HUB_HEARTBEAT_MS: '100', HUB_TIMEOUT_MS: '199' } });
    expect(short).toMatch(/^HUB_TIMEOUT_MS is 199, .*at least 200, or a smaller HUB_HEARTBEAT_MS$/);
    expect(problemOf({ env: { HUB_HEARTBEAT_MS: '20000' } })).toMatch(/^HUB_TIMEOUT_MS is 25000, .*40000/);
  });

  test('one port can’t be both', () => {
    expect(problemOf({ env: { HUB_TCP_PORT: '8080' } })).toMatch(/^HUB_TCP_PORT is 8080, the port of HUB_PORT/);
    const apart = { HUB_TCP_PORT: '8080', HUB_TCP_HOST: '127.0.0.2' };
    expect(configOf({ env: apart }).tcpPort).toBe(8080);
    expect(configOf({ env: { HUB_PORT: '0', HUB_TCP_PORT: '0' } })).toMatchObject({ port: 0, tcpPort: null });
  });

  test.each(['127.0.0.1', '127.200.0.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost', 'LocalHost'])(
    'open mode listens on %s',
    (host) => {
      expect(configOf({ env: { HUB_HOST: host } }).host).toBe(host);
    },
  );

  test.each(['0.0.0.0', '::', '10.0.0.7', '128.0.0.1', 'hub.example', '::ffff:10.0.0.7', 'localhost.example'])(
    'open mode refuses %s on either port, and the sentence says both ways out (S3)',
    (host) => {
      for (const name of ['HUB_HOST', 'HUB_TCP_HOST']) {
        const problem = problemOf({ env: { [name]: host } });
        expect(problem).toContain(`${name} is "${host}"`);
        expect(problem).toContain(`set ${name} to 127.0.0.1, or HUB_ALLOW_OPEN=1`);
      }
      expect(warningsOf({ HUB_HOST: host, HUB_ALLOW_OPEN: '1' })).toEqual([
        expect.stringContaining('HUB_ALLOW_OPEN=1'),
      ]);
    },
  );

  test('an address of TCP does not matter while TCP is off', () => {
    expect(configOf({ env: { HUB_TCP_HOST: '0.0.0.0', HUB_TCP_PORT: '0' } }).tcpPort).toBeNull();
  });
});

describe('PostgreSQL of a cluster', () => {
  const [redis, roster, history] = [
    { HUB_REDIS_URL: 'redis://127.0.0.1' },
    { HUB_ROSTER: 'postgres://db/lists' },
    { HUB_HISTORY_DAYS: '7' },
  ];

  test('is that of the friend lists, unless HUB_DATABASE_URL names another one (C30)', () => {
    expect(configOf({}).databaseUrl).toBeNull();
    expect(configOf({ env: roster }).databaseUrl).toBe('postgres://db/lists');
    expect(configOf({ env: { ...roster, HUB_DATABASE_URL: 'postgres://db/x' } }).databaseUrl).toBe('postgres://db/x');
  });

  test('is needed for a history (C30)', () => {
    expect(problemOf({ env: { ...redis, ...history } })).toContain('set HUB_DATABASE_URL, or HUB_HISTORY_DAYS=0');
    expect(configOf({ env: { ...redis, ...history, ...roster } }).historyDays).toBe(7);
  });

  test('has no effect on a single hub, which a warning says', () => {
    expect(warningsOf({ HUB_DATABASE_URL: 'postgres://db/x' })).toEqual([
      expect.stringContaining('HUB_DATABASE_URL has no effect without HUB_REDIS_URL'),
    ]);
  });
});

describe('values that ask for nothing', () => {
  test('pass without a word', () => {
    const env = {
      HUB_AUTH: 'open',
      HUB_TCP_AUTH: 'none',
      HUB_WORKERS: '1',
      HUB_HISTORY_DAYS: '0',
      HUB_ROSTER: 'sqlite',
      HUB_JWT_SECRET: '',
      HUB_LAST_SEEN: 'show',
    };
    expect(read({ env })).toEqual(read({}));
  });
});

describe('workers', () => {
  const REDIS = 'redis://127.0.0.1:1';
  const ROSTER = 'postgres://me@db/roster';

  test('share what they know over Redis, and friend lists that all of them can read (C22)', () => {
    expect(problemOf({ env: { HUB_WORKERS: '2' } })).toMatch(/^HUB_WORKERS is 2, and HUB_REDIS_URL is not set: /);
    expect(problemOf({ env: { HUB_WORKERS: '2', HUB_REDIS_URL: REDIS } })).toMatch(
      /^HUB_WORKERS is 2, and HUB_ROSTER is sqlite, .*: set HUB_ROSTER to /,
    );
    expect(configOf({ env: { HUB_WORKERS: '2', HUB_REDIS_URL: REDIS, HUB_ROSTER: ROSTER } }).workers).toBe(2);
  });

  test.each(['0', '-1', 'four', '1.5', '257'])('are not %s', (value) => {
    expect(problemOf({ env: { HUB_WORKERS: value } })).toMatch(/^HUB_WORKERS is ".*": it must be a whole number/);
  });

  test('have a data folder each (C26)', () => {
    const env = { HUB_DATA: 'data', HUB_WORKERS: '2', HUB_REDIS_URL: REDIS, HUB_ROSTER: ROSTER };
    const folders = [1, 2].map((number) => configOfWorker(configOf({ env }), number).data);
    expect(folders).toEqual([join('data', 'worker-1'), join('data', 'worker-2')]);
    expect(configOfWorker(configOf({ env: { ...env, HUB_DATA: ':memory:' } }), 1).data).toBe(':memory:');
  });
});

describe('where friend lists are', () => {
  test.each([
    'sqlite',
    'postgres://me@db/roster',
    'https://friends.example/v1',
    'http://127.0.0.1:9/x',
    'http://[::1]/',
    'http://localhost:9',
  ])('may be %s', (place) => {
    expect(configOf({ env: { HUB_ROSTER: place } }).roster).toBe(place);
  });

  test.each([
    'mysql://me:hush-hush@db/roster',
    'friends.example',
    'http://friends.example',
    'https://me:hush-hush@friends.example',
    'https://friends.example/?list=1',
  ])('must not be %s, and the answer repeats no secret', (place) => {
    const problem = problemOf({ env: { HUB_ROSTER: place } });
    expect(problem).toMatch(/^HUB_ROSTER is ".*": it must be sqlite, /);
    expect(problem).not.toContain('hush-hush');
  });
});

describe('who may', () => {
  const secret = { HUB_AUTH: 'jwt', HUB_JWT_SECRET: 'hush-hush-hush-hush-hush-hush-hush-hush' };

  test('jwt mode listens beyond loopback, and its TCP asks for tokens unless configured otherwise', () => {
    expect(configOf({ env: { ...secret, HUB_HOST: '0.0.0.0' } })).toMatchObject({ auth: 'jwt', tcpAuth: 'token' });
    expect(configOf({ env: { ...secret, HUB_TCP_AUTH: 'none' } }).tcpAuth).toBe('none');
    expect(warningsOf({ ...secret, HUB_HOST: '0.0.0.0' })).toEqual([]);
  });

  test('TCP without tokens and without a list of addresses causes a warning if others reach it', () => {
    const env = { ...secret, HUB_TCP_AUTH: 'none', HUB_TCP_HOST: '0.0.0.0' };
    expect(warningsOf(env)).toEqual([expect.stringContaining('HUB_TCP_ALLOW')]);
    expect(warningsOf({ ...env, HUB_TCP_ALLOW: '10.0.0.0/8' })).toEqual([]);
    expect(warningsOf({ ...env, HUB_TCP_PORT: '0' })).toEqual([]);
  });

  test('open mode knows no token that TCP could ask for', () => {
    expect(problemOf({ env: { HUB_TCP_AUTH: 'token' } })).toMatch(/^HUB_TCP_AUTH is token, .*HUB_AUTH=jwt/);
  });

  test('settings of tokens are named in a warning while nothing asks for tokens', () => {
    expect(warningsOf({ HUB_JWT_SECRET: 'hush-hush', HUB_JWT_ISSUER: 'me' })).toEqual([
      'without effect while HUB_AUTH is open: HUB_JWT_SECRET, HUB_JWT_ISSUER',
    ]);
  });

  test('a certificate without its key stops the start, and so does a key alone', () => {
    expect(problemOf({ env: { HUB_TLS_CERT: 'cert.pem' } })).toMatch(/^HUB_TLS_CERT is set and HUB_TLS_KEY is not/);
    expect(problemOf({ env: { HUB_TLS_KEY: 'key.pem' } })).toMatch(/^HUB_TLS_KEY is set and HUB_TLS_CERT is not/);
  });

  test('TLS can’t be required of TCP without a certificate', () => {
    expect(problemOf({ env: { HUB_TCP_TLS: 'require' } })).toMatch(/^HUB_TCP_TLS is require, .*HUB_TLS_CERT/);
    const files = { HUB_TLS_CERT: 'cert.pem', HUB_TLS_KEY: 'key.pem' };
    expect(configOf({ env: { HUB_TCP_TLS: 'require', ...files } }).tcpTls).toBe('require');
  });

  test('HUB_LAST_SEEN=hide causes a warning if everyone is admin, and only then (S3)', () => {
    expect(warningsOf({ HUB_LAST_SEEN: 'hide' })).toEqual([expect.stringContaining('HUB_LAST_SEEN=hide')]);
    expect(warningsOf({ HUB_LAST_SEEN: 'hide', HUB_ADMIN_TOKEN: 'a-long-admin-token' })).toEqual([]);
    expect(warningsOf({ HUB_LAST_SEEN: 'hide', ...secret })).toEqual([]);
  });
});

describe('unknown names', () => {
  test.each([
    ['HUB_PROT', 'HUB_PORT'],
    ['HUB_TCPPORT', 'HUB_TCP_PORT'],
    ['HUB_LOGLEVEL', 'HUB_LOG_LEVEL'],
    ['HUB_port', 'HUB_PORT'],
  ])('%s stops the start and suggests %s (S2)', (name, meant) => {
    expect(problemOf({ env: { [name]: '1' } })).toBe(
      `${name} is not a setting: did you mean ${meant}? If another program needs it, start the hub with \`env -u ${name}\``,
    );
  });

  test('an empty unknown name is a mistake too, and one that resembles nothing points to the list', () => {
    expect(problemOf({ env: { HUB_ZZZZZZZZZ: '' } })).toMatch(
      /^HUB_ZZZZZZZZZ is not a setting: see --help for the list/,
    );
  });

  test('an unknown flag, one without a value and a stray word stop the start', () => {
    expect(problemOf({ args: ['--prot', '1'] })).toBe('--prot is not a flag: did you mean --port?');
    expect(problemOf({ args: ['--port'] })).toBe('--port lacks a value: write --port VALUE');
    expect(problemOf({ args: ['-p', '1'] })).toMatch(/^-p is not a flag: /);
    expect(problemOf({ args: ['8080'] })).toMatch(/^"8080" is neither a command nor a flag/);
    expect(problemOf({ args: ['--port', '-1'] })).toMatch(/^HUB_PORT is "-1"|^--port lacks a value/);
  });

  test('the file’s mistakes are named with the file', () => {
    const file = (text: string) => problemOf({ env: { HUB_CONFIG: 'f.json' }, files: { 'f.json': text } });
    expect(problemOf({ env: { HUB_CONFIG: 'no.json' } })).toMatch(/^HUB_CONFIG is "no.json": /);
    expect(file('port: 1')).toMatch(/^HUB_CONFIG is "f.json": the file must hold one JSON object$/);
    expect(file('[]')).toMatch(/one JSON object$/);
    expect(file('{"tcpPrt":1}')).toBe('"tcpPrt" in f.json is not a setting: did you mean HUB_TCP_PORT?');
    expect(file('{"tcp-port":1,"tcpPort":1}')).toMatch(/^HUB_TCP_PORT is set twice in f.json/);
    expect(file('{"config":"g.json"}')).toMatch(/^HUB_CONFIG cannot be set in the file/);
    expect(file('{"host":["127.0.0.1"]}')).toMatch(/^HUB_HOST \("host" in f.json\) must be text/);
  });

  /** As Kubernetes makes them of a Service's name and ports, in all their forms. */
  const injectedFor = (service: string, ports: Readonly<Record<string, number>>, address: string): Environment => {
    const prefix = service.toUpperCase().replaceAll('-', '_');
    const [first = 0] = Object.values(ports);
    const url = (port: number) => `tcp://${address.includes(':') ? `[${address}]` : address}:${port}`;
    const env: Record<string, string> = {
      [`${prefix}_SERVICE_HOST`]: address,
      [`${prefix}_SERVICE_PORT`]: String(first),
      [`${prefix}_PORT`]: url(first),
    };
    for (const [name, port] of Object.entries(ports)) {
      env[`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll('-', '_')}`] = String(port);
      env[`${prefix}_PORT_${port}_TCP`] = url(port);
      env[`${prefix}_PORT_${port}_TCP_PROTO`] = 'tcp';
      env[`${prefix}_PORT_${port}_TCP_PORT`] = String(port);
      env[`${prefix}_PORT_${port}_TCP_ADDR`] = address;
    }
    return env;
  };

  test('what Kubernetes injects for Services whose names begin with hub- is named in one warning and ignored (S2)', () => {
    const env = {
      ...injectedFor('hub', { http: 8080 }, '10.0.0.1'),
      ...injectedFor('hub-tcp', { 'tcp-xml': 60001, admin: 9 }, '10.0.0.2'),
      ...injectedFor('hub-web', { http: 80 }, 'fd00::1'),
      ...injectedFor('hub-ws-2', { ws: 80 }, '10.0.0.3'),
    };
    expect(configOf({ env })).toMatchObject({ port: 8080, tcpPort: 60001 });
    const warnings = warningsOf(env);
    expect(warnings).toHaveLength(1);
    for (const name of Object.keys(env)) expect(warnings[0]).toContain(name);
  });

  test.each([
    ['HUB_TCP_SERVICE_HOTS', '10.0.0.1'],
    ['HUB_SERVICE_HOST', 'hub.example'],
    ['HUB_WEB_SERVICE_PORT', 'http'],
    ['HUB_WEB_PORT', '8080'],
    ['HUB_PROT', 'tcp://10.0.0.1:80'],
    ['HUB_WEB_PORT_80_TCP', '80'],
    ['HUB_WEB_PORT_80_TCP_PROTO', 'http'],
  ])('%s=%s is not what Kubernetes injects', (name, value) => {
    expect(problemOf({ env: { [name]: value } })).toMatch(new RegExp(`^${name} is not a setting: `));
  });

  test('a variable of another program is reported with how to keep it from the hub', () => {
    expect(problemOf({ env: { HUB_PROTOCOL: 'v2' } })).toBe(
      'HUB_PROTOCOL is not a setting: see --help for the list. If another program needs it, start the hub with `env -u HUB_PROTOCOL`',
    );
  });

  test('what Kubernetes injects for a Service called hub is named in one warning and ignored', () => {
    const env = {
      HUB_SERVICE_HOST: '10.0.0.1',
      HUB_SERVICE_PORT: '8080',
      HUB_SERVICE_PORT_TCP_XML: '60001',
      HUB_PORT: 'tcp://10.0.0.1:8080',
      HUB_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      HUB_PORT_8080_TCP_PROTO: 'tcp',
      HUB_PORT_8080_TCP_PORT: '8080',
      HUB_PORT_8080_TCP_ADDR: '10.0.0.1',
    };
    expect(configOf({ env }).port).toBe(8080);
    expect(configOf({ env, args: ['--port', '81'] }).port).toBe(81);
    const warnings = warningsOf(env);
    expect(warnings).toHaveLength(1);
    for (const name of Object.keys(env)) expect(warnings[0]).toContain(name);
  });
});

test('--help and --version are seen among other flags', () => {
  expect(readFlags(['--port', '1', '--help'])).toMatchObject({ value: { wants: 'help' } });
  expect(readFlags(['--version'])).toMatchObject({ value: { wants: 'version' } });
  expect(readFlags([])).toMatchObject({ value: { wants: 'start' } });
});

test('the help lists every setting that the contract names, with its flag', () => {
  const help = describeSettings();
  const names =
    'HUB_HOST HUB_PORT HUB_TCP_HOST HUB_TCP_PORT HUB_DATA HUB_TRANSPORT HUB_HEARTBEAT_MS HUB_TIMEOUT_MS HUB_TCP_TIMEOUT_MS HUB_GRACE_MS HUB_WARM_MS HUB_DRAIN_MS HUB_REDIS_URL HUB_ROSTER HUB_WORKERS HUB_AUTH HUB_ALLOW_OPEN HUB_JWT_SECRET HUB_JWKS_URL HUB_JWT_ISSUER HUB_JWT_AUDIENCE HUB_ADMIN_TOKEN HUB_TCP_AUTH HUB_TCP_ALLOW HUB_TCP_ACK HUB_TCP_PROBE HUB_TCP_ENCODING HUB_TCP_NAMES HUB_CODES HUB_ORIGINS HUB_TRUST_PROXY HUB_TLS_CERT HUB_TLS_KEY HUB_LAST_SEEN HUB_MAX_CONNECTIONS HUB_MAX_PER_ADDRESS HUB_MAX_SESSIONS HUB_MAX_WATCHES HUB_MAX_FRIENDS HUB_MESSAGES_PER_S HUB_LOG_LEVEL HUB_POLL HUB_WEBHOOK_URL HUB_WEBHOOK_SECRET HUB_HISTORY_DAYS HUB_CONFIG';
  for (const name of names.split(' ')) {
    expect(help).toMatch(new RegExp(`^[ *] ${name} `, 'm'));
    expect(help).toContain(`--${name.slice(4).toLowerCase().replaceAll('_', '-')} `);
  }
});

describe('a secret in a flag', () => {
  const warningsOfFlags = (...args: string[]): readonly string[] => {
    const result = read({ args });
    if (!result.ok) throw new Error(result.problem);
    return result.value.warnings;
  };

  test.each([
    ['--admin-token', 'a-long-admin-token'],
    ['--metrics-token', 'a-long-metrics-token'],
    ['--webhook-secret', 'whsec_c2VjcmV0'],
    ['--webhook-url', 'https://me:hush@shop.example/'],
  ])('%s gives a warning that does not repeat it', (flag, value) => {
    const [warning, ...others] = warningsOfFlags(`${flag}=${value}`);
    expect(others).toEqual([]);
    expect(warning).toContain(`${flag} holds a secret`);
    expect(warning).not.toContain(value);
  });

  test('gives none in the environment, and a URL without user info is no secret', () => {
    expect(warningsOf({ HUB_ADMIN_TOKEN: 'a-long-admin-token' })).toEqual([]);
    expect(warningsOfFlags('--webhook-url=https://shop.example/a@b')).toEqual([]);
  });
});
