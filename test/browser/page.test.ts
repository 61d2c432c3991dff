/** The friend page in a real Chromium, against a real hub with a real legacy client. */
import type { Browser, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { comeBackAfter } from '../../client/page/come-back.ts';
import type { Clock } from '../../server/lib/clock.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../support/hub-process.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

describe.skipIf(!hasChromium('the friend page'))('the friend page', () => {
  let browser: Browser;
  let page: Page;
  let tcpPort: number;
  let port: number;
  const faults: string[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    [tcpPort, port] = [await freePort(), await freePort()];
    await startHub();
    faults.length = 0;
    page = await browser.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // The browser itself says so of refused requests and lost sockets; these tests cause both.
      if (message.type() === 'error' && !/WebSocket|Failed to load/.test(message.text())) faults.push(message.text());
    });
  });
  afterEach(async () => {
    await page.close();
    await endHubProcesses();
    expect(faults).toEqual([]);
  });

  const startHub = async () => {
    const hub = startHubProcess({ HUB_PORT: String(port), HUB_TCP_PORT: String(tcpPort), HUB_TCP_TIMEOUT_MS: '1500' });
    return startLine(await hub.started, 'page');
  };
  const friend = (user: string, status: string) => page.locator(`li.${status}[data-user="${user}"]`);

  it('shows a legacy friend come, fall silent and come back, and befriends and unfriends', async () => {
    await page.goto(`http://127.0.0.1:${port}/?user=42`);
    await page.getByText('Live: 0 friends of 42').waitFor();
    await page.getByLabel('Befriend').fill('7');
    await page.getByRole('button', { name: 'Add' }).click();
    await friend('7', 'offline').waitFor();

    const legacy = await LegacyClient.open(tcpPort);
    legacy.beat('7');
    await friend('7', 'online').waitFor();
    legacy.beat('7', 3);
    await friend('7', 'busy').waitFor();
    await friend('7', 'offline').waitFor();
    legacy.beat('7');
    await friend('7', 'online').waitFor();

    await page.getByRole('button', { name: 'Unfriend 7' }).click();
    await page.getByText('Live: 0 friends of 42').waitFor();
    expect(await page.locator('#friends li').count()).toBe(0);
  });

  it('says what a bad friend lacks, and lets a user be online from the page', async () => {
    await page.goto(`http://127.0.0.1:${port}/?user=42`);
    await page.getByLabel('Befriend').fill('a b');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByText('must be 1 to 128 characters').waitFor();
    await page.getByLabel('and I am').selectOption('busy');
    await page.getByRole('button', { name: 'Show friends' }).click();
    await page.getByText('Live: 0 friends of 42').waitFor();
    const answer = await fetch(`http://127.0.0.1:${port}/v1/presence/42`);
    expect(await answer.json()).toMatchObject({ status: 'busy', devices: ['page'] });
  });

  it('keeps what it knew and says since when, while the hub is away, and is right again after', async () => {
    await page.goto(`http://127.0.0.1:${port}/?user=42`);
    await fetch(`http://127.0.0.1:${port}/v1/users/42/friends/7`, { method: 'PUT' });
    await friend('7', 'offline').waitFor();
    await fetch(`http://127.0.0.1:${port}/v1/heartbeat`, { method: 'POST', body: '{"user":"7"}' });
    await friend('7', 'online').waitFor();
    await endHubProcesses();
    await page.getByText('reconnecting').waitFor();
    expect(await friend('7', 'online').count()).toBe(1);
    await startHub();
    await page.getByText('Live: 0 friends of 42').waitFor(); // its data was in memory
  });

  it('resumes after a lost connection: it is told what is newer, and who is no friend any more', async () => {
    const hub = `http://127.0.0.1:${port}`;
    for (const id of ['7', '8']) await fetch(`${hub}/v1/users/42/friends/${id}`, { method: 'PUT' });
    const snapshots: unknown[] = [];
    let isAway = false;
    let current: WebSocketRoute | undefined;
    await page.routeWebSocket(/\/ws$/, (socket) => {
      if (isAway) return void socket.close();
      current = socket;
      socket.connectToServer().onMessage((json) => {
        if (String(json).includes('"snapshot"')) snapshots.push(JSON.parse(String(json)));
        socket.send(json);
      });
    });
    await page.goto(`${hub}/?user=42`);
    await page.getByText('Live: 2 friends of 42').waitFor();
    isAway = true;
    await current?.close();
    await page.getByText('reconnecting').waitFor();
    await fetch(`${hub}/v1/users/42/friends/8`, { method: 'DELETE' });
    await fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: '{"user":"7","status":"busy"}' });
    isAway = false;
    await friend('7', 'busy').waitFor();
    await page.getByText('Live: 1 friend of 42').waitFor();
    expect(snapshots.at(-1)).toMatchObject({ since: expect.any(Number) as number, removed: ['8'] });
    expect(await page.locator('#friends li').count()).toBe(1);
  });

  describe('at a hub that asks for a token', () => {
    const ADMIN_TOKEN = 'the-admin-token-of-these-tests';
    const clock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    let hub: string;

    beforeEach(async () => {
      const jwt = { HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET, HUB_ADMIN_TOKEN: ADMIN_TOKEN };
      hub = startLine(await startHubProcess(jwt).started, 'page').replace(/\/$/, '');
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      await fetch(`${hub}/v1/users/42/friends/7`, { method: 'PUT', headers });
    });

    it('asks for it, shows it to nobody, and keeps it over a reload', async () => {
      await page.goto(`${hub}/?user=42`);
      await page.getByText('This hub asks for a token').waitFor();
      expect(await page.getByLabel('Token').getAttribute('type')).toBe('password');
      await page.getByLabel('Token').fill(await tokenFor('42', { clock }));
      await page.getByRole('button', { name: 'Use token' }).click();
      await page.getByText('Live: 1 friend of 42').waitFor();
      expect(await page.getByLabel('Token').isHidden()).toBe(true);
      await page.reload();
      await page.getByText('Live: 1 friend of 42').waitFor();
    });

    it('takes it from the fragment, and removes it there', async () => {
      await page.goto(`${hub}/?user=42#token=${await tokenFor('42', { clock })}`);
      await page.getByText('Live: 1 friend of 42').waitFor();
      expect(page.url()).toBe(`${hub}/?user=42`);
    });

    it('takes one from the fragment of a page that is open', async () => {
      await page.goto(`${hub}/?user=42`);
      await page.getByText('This hub asks for a token').waitFor();
      await page.evaluate(`location.hash = 'token=${await tokenFor('42', { clock })}'`);
      await page.getByText('Live: 1 friend of 42').waitFor();
      expect(page.url()).toBe(`${hub}/?user=42`);
    });

    it('asks again when it has run out, and keeps what it knew', async () => {
      await page.goto(`${hub}/?user=42#token=${await tokenFor('42', { clock, expiresInS: 2 })}`);
      await friend('7', 'offline').waitFor();
      await page.getByText('it has run out: give a fresh one').waitFor();
      expect(await friend('7', 'offline').count()).toBe(1);
      await page.getByLabel('Token').fill(await tokenFor('42', { clock }));
      await page.getByRole('button', { name: 'Use token' }).click();
      await page.getByText('Live: 1 friend of 42').waitFor();
    });

    it('says what another user’s may not, be it watching or being there', async () => {
      await page.goto(`${hub}/?user=42#token=${await tokenFor('43', { clock })}`);
      await page.getByText('The hub does not show the friends of 42').waitFor();
      await page.getByLabel('and I am').selectOption('online');
      await page.getByRole('button', { name: 'Show friends' }).click();
      await page.getByText('The hub does not allow this').waitFor();
      expect(await page.getByLabel('Token').isVisible()).toBe(true);
    });

    it('befriends with the token, or says that it may not', async () => {
      await page.goto(`${hub}/?user=42#token=${await tokenFor('42', { clock, scopes: ['admin'] })}`);
      await page.getByText('Live: 1 friend of 42').waitFor();
      await page.getByLabel('Befriend').fill('8');
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByText('Live: 2 friends of 42').waitFor();
    });
  });

  it('comes back when the hub says, and not before', async () => {
    const opened: number[] = [];
    await page.routeWebSocket(/\/ws$/, (socket) => {
      opened.push(performance.now());
      if (opened.length > 1) return void socket.connectToServer();
      socket.send('{"type":"reconnect","afterMs":800}');
      void socket.close({ code: 1013 });
    });
    await page.goto(`http://127.0.0.1:${port}/?user=42`);
    await page.getByText('Live: 0 friends of 42').waitFor();
    expect(opened[1]! - opened[0]!).toBeGreaterThan(780);
  });

  it.each([4400, 4403])('does not come back by itself after %d', async (code) => {
    let opened = 0;
    await page.routeWebSocket(/\/ws$/, (socket) => {
      opened += 1;
      void socket.close({ code });
    });
    await page.goto(`http://127.0.0.1:${port}/?user=42`);
    await page.locator('#connection[data-state="refused"]').waitFor();
    await page.getByRole('button', { name: 'Show friends' }).click();
    await expect.poll(() => opened).toBe(2);
  });
});

describe('when the page comes back', () => {
  it.each([
    [4401, 0, { kind: 'with a token' }],
    [1006, 0, { kind: 'after', ms: 250 }],
    [1012, 9, { kind: 'after', ms: 5_000 }],
    [1013, 0, { kind: 'after', ms: 3_750 }],
    [4429, 9, { kind: 'after', ms: 90_000 }],
  ])('after %d at try %d', (code, attempt, expected) => {
    expect(comeBackAfter(code, attempt, 0.5)).toEqual(expected);
  });

  it.each([1008, 4400, 4403])('never after %d', (code) => {
    expect(comeBackAfter(code, 0, 0.5).kind).toBe('never');
  });
});
