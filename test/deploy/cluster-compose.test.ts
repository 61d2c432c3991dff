/** The cluster of containers: its compose file and HAProxy's configuration fit the image, the settings and each other. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { needing } from '../support/needs.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { configOf, imageEnv, imagePorts, read, repository, secret, STOP_S } from './image-facts.ts';

describe('compose of a cluster', () => {
  interface Service {
    readonly build?: { readonly context: string; readonly dockerfile: string };
    readonly command?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
    readonly depends_on?: Readonly<Record<string, unknown>>;
    readonly volumes?: readonly string[];
    readonly ports?: readonly string[];
    readonly stop_grace_period?: string;
    readonly networks?: { readonly default: { readonly ipv4_address: string } };
  }
  const folder = join(repository, 'deploy/cluster');
  const compose = parse(read('deploy/cluster/compose.yaml'), { merge: true }) as {
    services: Readonly<Record<string, Service>>;
    volumes: Record<string, unknown>;
    networks: { default: { ipam: { config: readonly { readonly subnet: string; readonly gateway: string }[] } } };
  };
  const { services, volumes } = compose;
  const hubs = Object.entries(services).filter(([, { build }]) => build !== undefined);
  const haproxy = read('deploy/cluster/haproxy.cfg');

  it('has two hubs of the image, each with data of its own', () => {
    expect(hubs.map(([name]) => name)).toEqual(['hub-a', 'hub-b']);
    const kept = hubs.map(([, { volumes: [volume = ''] = [] }]) => volume.split(':'));
    expect(new Set(kept.map(([name]) => name)).size).toBe(2);
    for (const [name = '', path] of kept) {
      expect(Object.keys(volumes)).toContain(name);
      expect(path).toBe(imageEnv['HUB_DATA']);
    }
    for (const [, { build, stop_grace_period: grace = '' }] of hubs) {
      expect(existsSync(join(folder, build!.context, build!.dockerfile))).toBe(true);
      expect(parseInt(grace)).toBeGreaterThan(STOP_S);
    }
  });

  it('has settings with which the hubs start, and which lead to its own services', () => {
    for (const [name, { environment = {} }] of hubs) {
      const env = Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [
          key,
          value.replace(/\$\{POSTGRES_PASSWORD:\?[^}]+\}/, 'a1b2'),
        ]),
      );
      const config = configOf({ ...imageEnv, ...env, ...secret, HUB_AUTH: 'jwt' });
      expect(config).toMatchObject({ port: 8080, host: '0.0.0.0', nodeUrl: `http://${name}:8080` });
      expect(config.redisUrl).toBe('redis://redis:6379');
      expect(config.roster).toBe('postgres://presence:a1b2@postgres/presence');
      const { gateway } = compose.networks.default.ipam.config[0]!;
      expect(config.trustProxy).toBe(`${gateway},${services['haproxy']?.networks?.default.ipv4_address}`);
    }
    expect(services['postgres']?.environment).toMatchObject({ POSTGRES_USER: 'presence', POSTGRES_DB: 'presence' });
    expect(Object.keys(hubs[0]![1].depends_on ?? {})).toEqual(['redis', 'postgres']);
  });

  it('has HAProxy in front, which knows the hubs by their names', () => {
    const servers = [...haproxy.matchAll(/^ {2}server \w+ ([\w-]+):(\d+)/gm)].map(
      ([, host, port]) => `${host}:${port}`,
    );
    const expected = hubs.flatMap(([name]) => imagePorts.map((port) => `${name}:${port}`));
    expect(new Set(servers)).toEqual(new Set(expected));
    const binds = [...haproxy.matchAll(/^ {2}bind :(\d+)$/gm)].map(([, port]) => Number(port));
    expect(services['haproxy']?.ports?.map((port) => Number(port.split(':').at(-1)))).toEqual(binds);
    expect(services['haproxy']?.ports?.[0]).toMatch(/^127\.0\.0\.1:/);
    const [mounted = ''] = services['haproxy']?.volumes ?? [];
    expect(existsSync(join(folder, mounted.split(':')[0]!))).toBe(true);
  });

  it('gives Redis settings with which it keeps what a hub needs', needing('redis-server'), async () => {
    const [, ...args] = services['redis']?.command ?? [];
    const redis = await RedisServer.start(...args);
    const read = await redis.send(['CONFIG', 'GET', 'appendonly'], ['CONFIG', 'GET', 'maxmemory-policy']);
    await redis.close();
    expect(JSON.stringify(read)).toMatch(/"yes".*"noeviction"/);
  });
});
