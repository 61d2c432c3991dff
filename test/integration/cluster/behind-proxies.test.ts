/** HAProxy and nginx in front of two hubs, with the configurations that users copy: heartbeats of a user reach one hub. */
import { connect } from 'node:net';
import { afterEach, beforeAll, afterAll, describe, expect, it, vi } from 'vitest';
import type { ExplainedSession } from '../../../shared/messages/explain.ts';
import { ask as request } from '../../support/ask.ts';
import { ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { runProxy, type Proxy, type ProxyName } from '../../support/proxies.ts';
import { readDocument, snippetsBelow } from '../../support/snippets.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const PATIENT = { timeout: 30_000, interval: 50 };
const USERS = Array.from({ length: 24 }, (_, i) => `user-${i}`);
const ofPage = (language: ProxyName): string => snippetsBelow('shared/CLUSTER.md', 'The load balancer', language)[0]!;

/** Each configuration, the addresses in it of the first hub and the second, and how a client reaches it. */
const setups = [
  {
    title: 'HAProxy on its page',
    name: 'haproxy',
    text: ofPage('haproxy'),
    hosts: ['10.0.0.2', '10.0.0.3'],
    scheme: 'https',
  },
  {
    title: 'nginx on its page',
    name: 'nginx',
    text: ofPage('nginx'),
    hosts: ['10.0.0.2', '10.0.0.3'],
    scheme: 'https',
  },
  {
    title: 'HAProxy in compose',
    name: 'haproxy',
    text: readDocument('deploy/cluster/haproxy.cfg'),
    hosts: ['hub-a', 'hub-b'],
    scheme: 'http',
  },
] as const;

describe.each(transports)('two hubs on %s', needing('redis-server'), (engine) => {
  let stage: ClusterStage;
  const hubs: ClusterHub[] = [];
  let proxy: Proxy | undefined;
  let base: string;
  let legacy: number;

  beforeAll(async () => {
    stage = await ClusterStage.start({
      ...{ HUB_TRANSPORT: engine, HUB_TRUST_PROXY: '127.0.0.1', HUB_ALLOW_OPEN: '1' },
      ...{ HUB_ORIGINS: 'https://hub.example' },
    });
  });
  afterEach(async () => {
    await proxy?.stop();
    proxy = undefined;
  });
  afterAll(async () => {
    await endHubProcesses();
    await stage.stop();
  });

  async function startBehind({ name, text, hosts, scheme }: (typeof setups)[number]): Promise<void> {
    while (hubs.length < 2) hubs.push(await stage.hub({ HUB_TCP_PORT: String(await freePort()) }));
    const web = await freePort();
    legacy = await freePort();
    const replaced: Record<string, string> = {
      'listen 443': `listen 127.0.0.1:${web}`,
      'bind :443': `bind 127.0.0.1:${web}`,
      'bind :8080': `bind 127.0.0.1:${web}`,
      'bind :60001': `bind 127.0.0.1:${legacy}`,
    };
    for (const [i, host] of hosts.entries()) {
      replaced[`${host}:8080`] = new URL(hubs[i]!.http).host;
      replaced[`${host}:60001`] = `127.0.0.1:${hubs[i]!.tcpPort}`;
    }
    proxy = await runProxy(name, text, web, replaced);
    base = `${scheme}://127.0.0.1:${web}`;
    if (name === 'haproxy') {
      for (const server of ['hubs/a', 'hubs/b'])
        await vi.waitFor(async () => expect(await proxy!.checkStatus(server)).toBe('L7OK'), PATIENT);
    }
  }

  const beat = (user: string) => request(base, 'POST', '/v1/heartbeat', { body: { device: 'phone', user } });
  const sessionsOf = async (user: string): Promise<readonly ExplainedSession[]> => {
    const { body } = await request(hubs[0]!.http, 'GET', `/v1/users/${user}/explain`);
    return (body as { sessions: ExplainedSession[] }).sessions;
  };
  /** The session of each user, which is named after the hub that has it. */
  const sessions = async (): Promise<string[]> => {
    const all = await Promise.all(USERS.map(sessionsOf));
    expect(all.map(({ length }) => length)).toEqual(USERS.map(() => 1));
    return all.map(([session]) => session!.id);
  };
  const nodeOf = (session: string): string => session.split('.')[0]!;

  describe.each(setups)('behind $title', (setup) => {
    const needs = needing(setup.name);

    it('heartbeats of a user over HTTP all reach one hub, and both hubs have users (C17)', needs, async () => {
      await startBehind(setup);
      await Promise.all(USERS.map(beat));
      const first = await sessions();
      expect(new Set(first.map(nodeOf)).size).toBe(2);
      for (let round = 0; round < 3; round++)
        for (const { status } of await Promise.all(USERS.map(beat))) expect(status).toBe(200);
      // On another hub a heartbeat would begin another session.
      expect(await sessions()).toEqual(first);
    });

    it('carries WebSocket and, if it listens for it, TCP, with the address of the client (S8)', needs, async () => {
      await startBehind(setup);
      const wire = { rejectUnauthorized: false, localAddress: '127.0.0.2' };
      const client = await WsClient.hello(`${base.replace('http', 'ws')}/ws`, { user: 'walker' }, wire);
      expect((await sessionsOf('walker'))[0]?.address).toBe('127.0.0.2');
      client.close();
      if (setup.name === 'nginx') return;
      const old = connect({ port: legacy, host: '127.0.0.1', localAddress: '127.0.0.3' });
      old.write('<protocol><user_id>rider</user_id></protocol>');
      await vi.waitFor(async () => expect((await sessionsOf('rider'))[0]?.address).toMatch(/^127\.0\.0\.3:/), PATIENT);
      old.destroy();
    });

    // What the proxy does then does not depend on the engine.
    if (engine === 'uws') return;

    it('heartbeats go to the other hub if theirs is down, and nobody goes offline (C10)', needs, async () => {
      await startBehind(setup);
      await Promise.all(USERS.map(beat));
      const gone = hubs.shift()!;
      gone.process.child.kill('SIGKILL');
      await gone.process.exited;
      await vi.waitFor(async () => {
        for (const { status } of await Promise.all(USERS.map(beat))) expect(status).toBe(200);
      }, PATIENT);
      const { body } = await request(hubs[0]!.http, 'POST', '/v1/presence', { body: { users: USERS } });
      const { entries } = body as { entries: { status: string }[] };
      expect(entries.map(({ status }) => status)).toEqual(USERS.map(() => 'online'));
      const now = new Set((await sessions()).map(nodeOf));
      expect(now.size).toBe(1);
    });
  });
});
