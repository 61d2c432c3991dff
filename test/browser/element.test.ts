/** <presence-friends> in a real Chromium, against a real hub, under a strict Content-Security-Policy. */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import type { Browser, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PresenceFriends } from '../../client/element/index.ts';
import type { Config } from '../../server/config/config.ts';
import type { Clock } from '../../server/lib/time/clock.ts';
import { startBrowserApp, type BrowserApp } from '../support/browser-app.ts';
import { asSeen, TURNING } from '../support/bidi.ts';
import { launchChromium } from '../support/chromium.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import type { ElementPage } from './apps/element.ts';

const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; connect-src *">`;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

// Cores may be busy: a poll's own second is too short.
const PATIENCE = { timeout: 10_000 };

describe('<presence-friends>', needing('Chromium'), () => {
  let browser: Browser;
  let app: BrowserApp;
  let hub: TestHub;
  let page: Page;
  let sockets: string[];
  let sent: string[];
  const faults: string[] = [];

  beforeAll(async () => {
    [browser, app] = await Promise.all([launchChromium(), startBrowserApp('element.ts')]);
  });
  afterAll(async () => {
    await browser.close();
    await app.stop();
  });
  beforeEach(async () => {
    faults.length = 0;
    [sockets, sent] = [[], []];
    page = await browser.newPage();
    // The socket is then the page's own, where a test can see it.
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, 'SharedWorker'));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('WebSocket')) faults.push(message.text());
    });
    page.on('websocket', (socket) => {
      sockets.push(socket.url());
      socket.on('framesent', ({ payload }) => sent.push(String(payload)));
    });
  });
  afterEach(async () => {
    await page.close();
    await hub.stop();
    expect(faults).toEqual([]);
  });

  const start = async (settings: Partial<Config> = {}, clockOf?: () => Clock) => {
    hub = await startTestHub(
      { origins: app.origin, adminToken: 'the-admin-token-of-these-tests', ...settings },
      clockOf,
    );
    for (const [user, friend] of [
      ['42', '7'],
      ['42', '8'],
      ['43', '9'],
    ])
      await admin('PUT', `/v1/users/${user}/friends/${friend}`);
    await beat('8', { text: 'hello' });
  };
  const admin = (method: string, path: string, body?: object) =>
    fetch(hub.addresses.http + path, {
      method,
      headers: { authorization: 'Bearer the-admin-token-of-these-tests' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const beat = (user: string, what: object = {}) =>
    admin('POST', '/v1/heartbeat', { user, ttlMs: 86_400_000, ...what });
  const connections = async () =>
    Number(
      /^presence_hub_connections\{adapter="ws-json"\} (\d+)$/m.exec(await (await admin('GET', '/metrics')).text())?.[1],
    );
  const hasConnections = (count: number) => expect.poll(connections, PATIENCE).toBe(count);
  /** Opens a page with this in it; HUB is the hub's address. */
  const open = async (body: string, query = '') => {
    app.page('shown.html', policy + body.replaceAll('HUB', hub.addresses.http));
    await page.goto(`${app.origin}/shown.html${query}`);
  };
  const rows = () => page.getByRole('listitem').allTextContents();
  const shows = (...expected: RegExp[]) =>
    expect.poll(rows, PATIENCE).toEqual(expected.map((one) => expect.stringMatching(one) as string));
  const element = () => page.locator('presence-friends');
  const change = <T>(act: (element: PresenceFriends, given: T) => void, given: T) =>
    element().evaluate(act as never, given);

  it('lists friends with status, text, device and last seen, and follows them', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42" device="page"></presence-friends>');
    await shows(/^8online · hello · http$/, /^7offline$/);
    await page.getByRole('list', { name: 'Friends' }).waitFor();
    await beat('7', { status: 'busy' });
    await shows(/^8online/, /^7busy · http$/);
    await beat('7', { status: 'offline' });
    await shows(/^8online/, /^7offline · last seen .* ago$|^7offline · last seen just now$/);
    await admin('DELETE', '/v1/users/42/friends/8');
    await shows(/^7offline/);
    expect(sockets.length).toBe(1);
    expect(await (await admin('GET', '/v1/presence/42')).json()).toMatchObject({ status: 'online', devices: ['page'] });
  });

  it.each(Object.entries(TURNING))('keeps a line in its order, whatever a friend says: %s', async (_, text) => {
    await start();
    // Digits take the direction of what they follow.
    await beat('7', { text, device: 'מכשיר' });
    await beat('7', { device: '１２' });
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^7online · .*words.* · מכשיר, １２$/s, /^8online/);
    const line = page.getByRole('listitem').first();
    const order = ['online', 'words', 'מכשיר', '１２'];
    expect(await asSeen(line, order)).toEqual(order);
    await beat('7', { text: '', device: '１２', status: 'offline' });
    await beat('7', { text: '', device: 'מכשיר', status: 'offline' });
    await shows(/^8online/, /^7offline · last seen just now$/);
  });

  it('shows a name that runs from right to left where the other names begin', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^8online/, /^7offline$/);
    await change((it) => (it.nameOf = (user: string) => (user === '7' ? 'שרה (7)' : 'Ada')), 0);
    await shows(/^Adaonline/, /^שרה \(7\)offline$/);
    const lefts = await page
      .locator('[part=name]')
      .evaluateAll((names) => names.map((name) => name.getBoundingClientRect().left));
    expect(lefts[0]).toBe(lefts[1]);
  });

  it.each([-60, 60])('shows times by the hub, also on a machine whose clock is %d minutes off', async (minutes) => {
    await start();
    await beat('7');
    await beat('7', { status: 'offline' });
    await page.clock.install({ time: Date.now() + minutes * 60_000 });
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^8online/, /^7offline · last seen just now$/);
    await page.clock.fastForward('03:05');
    await shows(/^8online/, /^7offline · last seen 3 minutes ago$/);
  });

  it('changes rows in place, and moves only those whose place is another', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^8online/, /^7offline/);
    await change(
      (it) => it.shadowRoot?.querySelectorAll('li').forEach((row) => (row.title = row.dataset['user'] ?? '')),
      0,
    );
    await beat('7');
    await shows(/^7online/, /^8online/);
    expect(await page.getByRole('listitem').evaluateAll((all) => all.map((row) => (row as HTMLElement).title))).toEqual(
      ['7', '8'],
    );
  });

  it('shows each status by its shape, and by a color that the page may set', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await beat('7', { status: 'away' });
    await shows(/^8online/, /^7away/);
    const marks = () =>
      page
        .locator('li svg')
        .evaluateAll((all) =>
          all.map((mark) => [mark.querySelector('path')?.getAttribute('d'), getComputedStyle(mark).fill]),
        );
    const [online, away] = await marks();
    expect(online?.[0]).not.toBe(away?.[0]);
    expect(online?.[1]).not.toBe(away?.[1]);
    await change((it) => it.style.setProperty('--presence-online', 'rgb(1, 2, 3)'), 0);
    expect((await marks())[0]?.[1]).toBe('rgb(1, 2, 3)');
    expect(await page.locator('li').first().getAttribute('part')).toBe('friend friend-online');
  });

  it.each(['light', 'dark'] as const)('has no fault that axe finds, %s', async (colorScheme) => {
    await start();
    await page.emulateMedia({ colorScheme });
    await open(
      '<meta name="color-scheme" content="light dark"><main><h1>Page</h1><presence-friends url="HUB" user="42"></presence-friends></main>',
    );
    await shows(/^8online/, /^7offline/);
    const found = await page.evaluate(
      `(() => { ${axe}; return axe.run().then(({ violations }) => violations.map(({ id, impact }) => [id, impact])); })()`,
    );
    expect(found).toEqual([]);
  });

  it('starts again when attributes change, once for all of a turn, and leaves no connection behind', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^8online/, /^7offline/);
    await change((it) => {
      it.setAttribute('user', '1');
      it.setAttribute('device', 'other');
      it.setAttribute('user', '43');
    }, 0);
    await shows(/^9offline$/);
    await hasConnections(1);
    expect(sockets.length).toBe(2);
    expect(await (await admin('GET', '/v1/presence/43')).json()).toMatchObject({ devices: ['other'] });
  });

  it('stays connected when it is moved, and does nothing once it is out of the document', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42"></presence-friends><section></section>');
    await shows(/^8online/, /^7offline/);
    await change((it) => document.querySelector('section')?.append(it), 0);
    await beat('7');
    await shows(/^7online/, /^8online/);
    expect(sockets.length).toBe(1);
    await page.evaluate(() => {
      const gone = document.querySelector('presence-friends');
      gone?.remove();
      Object.assign(globalThis, { gone });
    });
    await hasConnections(0);
    await page.evaluate(() => document.body.append((globalThis as never as { gone: Node }).gone));
    await shows(/^7online/, /^8online/);
    expect(sockets.length).toBe(2);
  });

  it('keeps what it knew and says as of when, while the hub is away', async () => {
    await start();
    let isAway = false;
    let route: WebSocketRoute | undefined;
    await page.routeWebSocket(/\/ws$/, (socket) => {
      if (isAway) return void socket.close();
      route = socket;
      socket.connectToServer();
    });
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await shows(/^8online/, /^7offline/);
    isAway = true;
    await route?.close();
    await page
      .getByRole('status')
      .getByText(/^As of .*, reconnecting…$/)
      .waitFor();
    await shows(/^8online/, /^7offline/);
    isAway = false;
    await expect.poll(() => page.getByRole('status').textContent(), PATIENCE).toBe('');
  });

  it('says why it is refused, and takes another token', async () => {
    const clock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    await start({ auth: 'jwt', jwtSecret: TEST_SECRET }, () => clock);
    await open('<presence-friends url="HUB" user="42"></presence-friends>');
    await page.getByText(/^Not connected: /).waitFor();
    await change((it, token) => it.setAttribute('token', token), await tokenFor('42', { clock }));
    await shows(/^8online/, /^7offline/);
    const opened = sockets.length;
    await change((it, token) => it.setAttribute('token', token), await tokenFor('42', { clock, expiresInS: 9 }));
    await beat('7');
    await shows(/^7online/, /^8online/);
    expect(sockets.length).toBe(opened);
    // Another's token: the hub closes for good, and the next one is tried at once.
    await change((it) => it.setAttribute('user', '43'), 0);
    await page.getByText(/^Not connected: /).waitFor();
    await change((it, token) => it.setAttribute('token', token), await tokenFor('43', { clock }));
    await shows(/^9offline/);
  });

  it('takes a client of the page’s own, also one that was set before it was defined, and closes it not', async () => {
    await start();
    await open('<presence-friends></presence-friends>', '?later');
    await page.evaluate(async (url) => {
      const { createPresenceClient, define } = globalThis as ElementPage;
      const client = createPresenceClient({ url, user: '42', tabs: 'each' });
      const it = document.querySelector('presence-friends');
      if (it === null) throw new Error('the element is not there');
      Object.assign(it, { client, nameOf: (user: string) => `Number ${user}` });
      await define();
    }, hub.addresses.http);
    await shows(/^Number 8online/, /^Number 7offline/);
    await element().evaluate((it) => it.remove());
    await expect.poll(() => sent.some((message) => message.includes('"unwatch"')), PATIENCE).toBe(true);
    expect([await connections(), sockets.length]).toEqual([1, 1]);
  });

  it('only looks, with observe', async () => {
    await start();
    await open('<presence-friends url="HUB" user="42" observe label="Team"></presence-friends>');
    await shows(/^8online/, /^7offline/);
    await page.getByRole('list', { name: 'Team' }).waitFor();
    expect(await (await admin('GET', '/v1/presence/42')).json()).toMatchObject({ status: 'offline', v: 0 });
  });

  it.each([
    ['no user', '<presence-friends url="HUB"></presence-friends>', 'needs the attribute user'],
    ['a bad user', '<presence-friends url="HUB" user="a b"></presence-friends>', 'user'],
    [
      'a bad address',
      '<presence-friends url="ftp://x" user="42"></presence-friends>',
      'url must be http:// or ws://, not ftp://x',
    ],
  ])('says what is wrong with %s, and is right once that is mended', async (_, body, said) => {
    await start();
    await open(body);
    await page.getByRole('status').getByText(said).waitFor();
    await change((it, url) => {
      it.setAttribute('url', url);
      it.setAttribute('user', '42');
    }, hub.addresses.http);
    await shows(/^8online/, /^7offline/);
  });
});
