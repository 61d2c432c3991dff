/** Real nginx and HAProxy in front of the hub, with the configurations that shared/PROXIES.md gives, on both engines. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import type { ExplainedSession } from '../../shared/messages/explain.ts';
import { ask, type Answer, type Asked } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { freeProxyPorts, startProxy, type Proxy, type ProxyName, type ProxyPorts } from '../support/proxies.ts';
import { closeSdkClients, sdkClient, untilStatus } from '../support/sdk-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'admin-token-of-the-tests';
const HEALTHY = { timeout: 20_000, interval: 100 };

class InsecureWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { rejectUnauthorized: false });
  }
}

let hub: TestHub;
let proxy: Proxy;
let ports: ProxyPorts;

onBothEngines('the hub behind a proxy', (transport) => {
  const startHub = (): Promise<TestHub> =>
    startTestHub({
      transport,
      port: ports.hubHttp,
      tcpPort: ports.hubTcp,
      auth: 'jwt',
      jwtSecret: TEST_SECRET,
      adminToken: ADMIN,
      trustProxy: '127.0.0.1',
      origins: `https://hub.example:${ports.web}`,
    });

  async function startBehind(name: ProxyName, edit?: (configuration: string) => string): Promise<string> {
    ports = await freeProxyPorts();
    hub = await startHub();
    proxy = await startProxy(name, ports, edit);
    return `https://127.0.0.1:${ports.web}`;
  }

  afterEach(async () => {
    closeSdkClients();
    await proxy.stop();
    await hub.stop();
  });

  for (const name of ['nginx', 'haproxy'] as const) {
    describe(name, needing(name), () => {
      it('lets a page of the name of the proxy connect, and no other', async () => {
        const base = await startBehind(name);
        const open = (origin: string): Promise<WsClient> =>
          WsClient.open(`${base.replace('http', 'ws')}/ws`, {
            rejectUnauthorized: false,
            headers: { host: `hub.example:${ports.web}`, origin },
          });
        const page = await open(`https://hub.example:${ports.web}`);
        page.send({ type: 'hello', user: '42', token: await tokenFor('42') });
        await page.next('welcome');
        page.close();
        await expect(open('https://elsewhere.example')).rejects.toThrow('403');
      });

      it('says whose connection it is, and nobody can say so of himself (S8)', async () => {
        const base = await startBehind(name);
        const asked: Asked = { from: '127.0.0.2', headers: { 'x-forwarded-for': '192.0.2.6' } };
        const body = { user: '42' };
        expect(await asAdmin(base, 'POST', '/v1/heartbeat', { ...asked, body })).toMatchObject({ status: 200 });
        const socket = await WsClient.hello(
          `${base.replace('http', 'ws')}/ws`,
          { user: '43', token: await tokenFor('43') },
          { rejectUnauthorized: false, localAddress: '127.0.0.2', headers: { 'x-forwarded-for': '192.0.2.6' } },
        );
        for (const user of ['42', '43']) {
          const [session] = await sessionsOf(base, user);
          expect(session?.address).toBe('127.0.0.2');
        }
        socket.close();
      });

      it('passes a body of any form, and a request that asks for another protocol', async () => {
        const base = await startBehind(name);
        const headers = { 'transfer-encoding': 'chunked' };
        const chunked = await asAdmin(base, 'POST', '/v1/presence', { headers, body: { users: ['42'] } });
        expect(chunked.status).toBe(200);
        const upgrading = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQ' };
        // HAProxy passes it on as it is.
        if (name === 'nginx') {
          expect(await asAdmin(base, 'GET', '/v1/presence/42', { headers: upgrading })).toMatchObject({ status: 200 });
        }
      });
    });
  }

  describe('nginx', needing('nginx'), () => {
    it('shows the API and the WebSocket below a path too', async () => {
      const base = await startBehind('nginx');
      expect((await asAdmin(base, 'GET', '/presence/v1/presence/42')).body).toMatchObject({ user: '42' });
      const getToken = (): Promise<string> => tokenFor('42');
      const client = sdkClient({ url: `${base}/presence`, user: '42', getToken, WebSocket: InsecureWebSocket });
      client.set({ status: 'online' });
      await untilStatus(client, 'connected');
    });

    it('makes the page of a lost port a foreign one, which is why the configuration passes the whole Host', async () => {
      const base = await startBehind('nginx', (configuration) => configuration.replace('$http_host', '$host'));
      await hub.stop();
      // A hub that knows its name by its Host alone.
      hub = await startTestHub({ transport, port: ports.hubHttp });
      const options = { rejectUnauthorized: false, origin: base };
      await expect(WsClient.open(`${base.replace('http', 'ws')}/ws`, options)).rejects.toThrow('403');
    });
  });

  describe('haproxy', needing('haproxy'), () => {
    const CHECKED_OFTEN = (configuration: string): string =>
      configuration.replace('check fall', 'check inter 100ms fall');

    it('finds the hub healthy', async () => {
      const base = await startBehind('haproxy', CHECKED_OFTEN);
      await vi.waitFor(async () => expect(await proxy.checkStatus()).toBe('L7OK'), HEALTHY);
      expect((await asAdmin(base, 'GET', '/v1/presence/42')).status).toBe(200);
    });

    it('brings legacy clients with their own address', async () => {
      const base = await startBehind('haproxy');
      const client = connect({ port: ports.legacy, host: '127.0.0.1', localAddress: '127.0.0.3' });
      const token = await tokenFor('44');
      client.write(`<protocol><user_id>44</user_id><token>${token}</token></protocol>`);
      await vi.waitFor(async () => {
        const [session] = await sessionsOf(base, '44');
        expect(session?.address).toMatch(/^127\.0\.0\.3:/);
      }, HEALTHY);
      client.destroy();
    });

    it('keeps a request waiting while the hub is replaced', async () => {
      // A server that no check has found healthy yet is given up at its first failure.
      const base = await startBehind('haproxy', (configuration) =>
        configuration.replace('check fall', 'check inter 1s fall'),
      );
      await vi.waitFor(async () => expect(await proxy.checkStatus()).toBe('L7OK'), HEALTHY);
      await hub.stop();
      const asked = asAdmin(base, 'POST', '/v1/heartbeat', { body: { user: '45' } });
      await delay(500);
      hub = await startHub();
      expect((await asked).status).toBe(200);
    });
  });
});

function asAdmin(base: string, method: string, path: string, asked: Asked = {}): Promise<Answer> {
  return ask(base, method, path, { token: ADMIN, ...asked });
}

async function sessionsOf(base: string, user: string): Promise<readonly ExplainedSession[]> {
  const { body } = await asAdmin(base, 'GET', `/v1/users/${user}/explain`);
  return (body as { sessions: ExplainedSession[] }).sessions;
}
