/** The hooks in a real Chromium, under StrictMode, against a real hub. */
import type { Browser, Page, WebSocket, WebSocketRoute } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startBrowserApp, type BrowserApp } from '../support/browser-app.ts';
import { launchChromium } from '../support/chromium.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';

// Cores may be busy: a poll's own second is too short.
const PATIENCE = { timeout: 10_000 };

describe('in StrictMode', needing('Chromium'), () => {
  let browser: Browser;
  let app: BrowserApp;
  let hub: TestHub;
  let page: Page;
  let sockets: WebSocket[];
  let sent: { type: string; friendsOf?: string; users?: string[] }[];
  const faults: string[] = [];

  beforeAll(async () => {
    [browser, app] = await Promise.all([launchChromium(), startBrowserApp('hooks.tsx')]);
  });
  afterAll(async () => {
    await browser.close();
    await app.stop();
  });
  beforeEach(async () => {
    hub = await startTestHub({ origins: app.origin });
    await hub.request('PUT', '/v1/users/42/friends/7');
    await hub.request('PUT', '/v1/users/42/friends/8');
    await hub.request('POST', '/v1/heartbeat', { user: '8', ttlMs: 86_400_000 });
    [sockets, sent] = [[], []];
    faults.length = 0;
    page = await browser.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !message.text().includes('WebSocket'))
        faults.push(message.text());
    });
    page.on('websocket', (socket) => {
      sockets.push(socket);
      socket.on('framesent', ({ payload }) => sent.push(JSON.parse(String(payload)) as (typeof sent)[number]));
    });
  });
  afterEach(async () => {
    await page.close();
    await hub.stop();
    expect(faults).toEqual([]);
  });

  const open = (query = '') => page.goto(`${app.origin}/?hub=${encodeURIComponent(hub.addresses.http)}${query}`);
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
  const lines = (id: string) => page.locator(`#${id} li`).allTextContents();
  const shows = (id: string, ...expected: string[]) => expect.poll(() => lines(id), PATIENCE).toEqual(expected);
  const says = (id: string, text: string) =>
    expect.poll(() => page.locator(`#${id}`).textContent(), PATIENCE).toBe(text);
  const connections = () => hub.metric('presence_hub_connections{adapter="ws-json"}');
  const hasConnections = (count: number) => expect.poll(connections, PATIENCE).toBe(count);
  const count = (type: string) => sent.filter((message) => message.type === type).length;

  it('one connection is made and one watch asked for, and changes are shown in order', async () => {
    await open();
    await shows('mine', '8 online', '7 offline');
    await says('connection', 'connected fresh');
    await hub.request('POST', '/v1/heartbeat', { user: '7', status: 'busy' });
    await shows('mine', '8 online', '7 busy');
    await hub.request('POST', '/v1/heartbeat', { user: '8', status: 'away' });
    await shows('mine', '7 busy', '8 away');
    await hub.request('DELETE', '/v1/users/42/friends/8');
    await shows('mine', '7 busy');
    expect([sockets.length, await connections(), count('hello'), count('watch')]).toEqual([1, 1, 1, 1]);
  });

  it('nothing is asked and nothing breaks until there is a user, nor when there is none any more', async () => {
    await open('&nobody');
    await says('connection', 'idle fresh');
    await press('nobody');
    await page.getByText('undefined unknown').waitFor();
    await press('away');
    expect(sockets.length).toBe(0);
    await press('be 42');
    await shows('mine', '8 online', '7 offline');
    await page.getByText('undefined unknown').waitFor();
    await press('be nobody');
    await hasConnections(0);
    await shows('mine');
    await says('connection', 'idle fresh');
    await press('be 42');
    await shows('mine', '8 online', '7 offline');
  });

  it('a bad id is an error of its hook alone', async () => {
    await open();
    await press('bad id');
    await page.getByText('a b each id must be 1 to 128').waitFor();
    await shows('mine', '8 online', '7 offline');
  });

  it('an observer has no friends of its own, and may say nothing', async () => {
    await open('&own&observe');
    await expect.poll(() => page.locator('#mine').getAttribute('data-error'), PATIENCE).toBe('bad_message');
    await press('friends of 7');
    await shows('theirs', '42 offline');
  });

  it('an unmounted provider leaves no connection, and a mounted one has one again', async () => {
    await open();
    await shows('mine', '8 online', '7 offline');
    await press('provider');
    await hasConnections(0);
    await press('provider');
    await shows('mine', '8 online', '7 offline');
    await hasConnections(1);
    expect(sockets.length).toBe(2);
  });

  it('what is hidden with <Activity> has no connection, and once shown begins with what was set last', async () => {
    await open();
    await shows('mine', '8 online', '7 offline');
    await press('away');
    await says('me', 'away  react');
    await press('hide');
    await hasConnections(0);
    await press('hide');
    await says('me', 'away  react');
    await shows('mine', '8 online', '7 offline');
    expect(sockets.length).toBe(2);
  });

  it('components that watch the same share one watch, which ends a moment after the last of them', async () => {
    await open();
    await shows('mine', '8 online', '7 offline');
    await press('second list');
    await shows('second', '8 online', '7 offline');
    expect(count('watch')).toBe(1);
    await press('friends of 7');
    await shows('theirs', '42 online');
    expect(count('watch')).toBe(2);
    // Unmounts and mounts again: nothing is requested again.
    await press('friends of 7');
    await press('friends of 7');
    await shows('theirs', '42 online');
    expect([count('watch'), count('unwatch')]).toEqual([2, 0]);
    await press('second list');
    await press('friends of 7');
    await expect
      .poll(() => sent.filter(({ type }) => type === 'unwatch'), PATIENCE)
      .toMatchObject([{ friendsOf: '7' }]);
    await shows('mine', '8 online', '7 offline');
  });

  it('hundreds of useFriend are one message, and each shows its own', async () => {
    await open();
    await press('many');
    await says('many-299', 'many-299 offline');
    await hub.request('POST', '/v1/heartbeat', { user: 'many-7' });
    await says('many-7', 'many-7 online');
    const watches = sent.filter(({ users }) => users !== undefined);
    expect(watches.map(({ type, users }) => [type, users?.length])).toEqual([['watch', 300]]);
  });

  it('I am shown as the hub has me, may say what I am, and leave and come back', async () => {
    await open();
    await says('me', 'online  react');
    await press('away');
    await says('me', 'away  react');
    expect((await hub.request('GET', '/v1/presence/42')).body).toMatchObject({ status: 'away', devices: ['react'] });
    await press('leave');
    await says('connection', 'closed stale');
    expect((await hub.request('GET', '/v1/presence/42')).body).toMatchObject({ status: 'offline' });
    expect(await page.locator('#mine').getAttribute('data-status')).toBe('closed');
    // A component that comes while all is closed is notified.
    await press('friends of 7');
    await expect.poll(() => page.locator('#theirs').getAttribute('data-status'), PATIENCE).toBe('closed');
    await press('away');
    await says('me', 'away  react');
    await shows('theirs', '42 away');
    await hasConnections(1);
  });

  it('what a child says in its first effect is not lost', async () => {
    await open('&busy');
    await says('me', 'busy from an effect react');
    expect((await hub.request('GET', '/v1/presence/42')).body).toMatchObject({
      status: 'busy',
      text: 'from an effect',
    });
    expect(sockets.length).toBe(1);
  });

  it('another user is another connection, and the first is gone', async () => {
    await open();
    await shows('mine', '8 online', '7 offline');
    await hub.request('PUT', '/v1/users/43/friends/9');
    await press('be 43');
    await shows('mine', '9 offline');
    await hasConnections(1);
    expect((await hub.request('GET', '/v1/presence/43')).body).toMatchObject({ status: 'online' });
  });

  it('while the hub is away the friends stay, marked stale, and nobody is turned offline', async () => {
    let isAway = false;
    let route: WebSocketRoute | undefined;
    await page.routeWebSocket(/\/ws$/, (socket) => {
      if (isAway) return void socket.close();
      route = socket;
      socket.connectToServer();
    });
    await open();
    await shows('mine', '8 online', '7 offline');
    isAway = true;
    await route?.close();
    await says('connection', 'reconnecting stale');
    expect(await page.locator('#mine').getAttribute('data-stale')).toBe('true');
    expect(await lines('mine')).toEqual(['8 online', '7 offline']);
    await hub.request('POST', '/v1/heartbeat', { user: '7', ttlMs: 86_400_000 });
    isAway = false;
    await shows('mine', '7 online', '8 online');
    await says('connection', 'connected fresh');
  });

  it('a client of the app’s own is neither connected nor closed by the provider', async () => {
    await open('&own');
    await shows('mine', '8 online', '7 offline');
    await press('provider');
    await expect.poll(() => count('unwatch'), PATIENCE).toBe(1);
    await press('provider');
    await shows('mine', '8 online', '7 offline');
    expect([sockets.length, await connections()]).toEqual([1, 1]);
  });
});
