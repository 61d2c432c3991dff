/** The SDK in tabs of a real Chromium, at a real hub: one connection for all of them, whichever way they share it. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  createPresenceClient,
  PresenceClient,
  PresenceClientOptions,
  PresenceView,
} from '../../client/sdk/index.ts';
import { launchChromium } from '../support/chromium.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { closeSdkClients, sdkClient, untilView } from '../support/sdk-client.ts';
import { serveSdkPage, type SdkPage } from '../support/sdk-page.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

/** What a page of these tests holds. */
interface InPage {
  createPresenceClient: typeof createPresenceClient;
  client: PresenceClient;
  friends: PresenceView;
  tokensAsked: boolean[];
}

const WITHOUT = {
  'by a SharedWorker': '',
  'by a leader': 'delete globalThis.SharedWorker;',
  'each its own':
    "delete globalThis.SharedWorker; Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });",
  'without a MessageChannel': `delete globalThis.SharedWorker; delete globalThis.MessageChannel;`,
  'without a BroadcastChannel': `delete globalThis.SharedWorker; delete globalThis.BroadcastChannel;`,
  'with locks that are null':
    "delete globalThis.SharedWorker; Object.defineProperty(Navigator.prototype, 'locks', { value: null });",
  // A sandbox, or storage that is forbidden: all is there, and refuses.
  'where all is refused': `
    globalThis.refusals = 0;
    const refuse = () => {
      globalThis.refusals += 1;
      return new DOMException('denied', 'SecurityError');
    };
    globalThis.SharedWorker = function () { throw refuse(); };
    LockManager.prototype.request = () => Promise.reject(refuse());`,
} as const;

describe('the SDK in tabs', needing('Chromium'), () => {
  let browser: Browser;
  let app: SdkPage;
  let context: BrowserContext;
  let hub: string;
  const faults: string[] = [];

  beforeAll(async () => {
    [browser, app] = await Promise.all([launchChromium(), serveSdkPage()]);
  });
  afterAll(async () => {
    await browser.close();
    app.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    faults.length = 0;
  });
  afterEach(async () => {
    closeSdkClients();
    await context.close();
    await endHubProcesses();
    expect(faults).toEqual([]);
  });

  const startHub = async (settings: Record<string, string> = {}): Promise<void> => {
    const started = await startHubProcess({ HUB_ORIGINS: app.origin, ...settings }).started;
    hub = startLine(started, 'page').replace(/\/$/, '');
  };
  const connections = async (): Promise<number> => {
    const metrics = await (await fetch(`${hub}/metrics`)).text();
    return Number(/^presence_hub_connections\{adapter="ws-json"\} (\d+)$/m.exec(metrics)?.[1]);
  };
  const befriend = (user: string, friend: string) =>
    fetch(`${hub}/v1/users/${user}/friends/${friend}`, { method: 'PUT' });
  const beat = (user: string, status: string) =>
    fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: JSON.stringify({ user, status }) });

  /** A tab with a client that watches its friends. */
  const openTab = async (options: PresenceClientOptions, without = ''): Promise<Page> => {
    const page = await openPage(without);
    await page.evaluate(
      (given) => {
        const own = globalThis as unknown as InPage;
        own.client = own.createPresenceClient(given);
        own.friends = own.client.watchFriends('42');
      },
      { url: hub, ...options },
    );
    return page;
  };
  /** One with the SDK, and no client yet. */
  const openPage = async (without = ''): Promise<Page> => {
    const page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/WebSocket|favicon|404/.test(message.text())) faults.push(message.text());
    });
    if (without !== '') await page.addInitScript(without);
    await page.goto(app.origin);
    await page.waitForFunction('globalThis.createPresenceClient !== undefined');
    return page;
  };
  const shows = (page: Page, user: string, status: string) =>
    page.waitForFunction(
      ([id, wanted]) => (globalThis as unknown as InPage).friends.get(id!)?.status === wanted,
      [user, status],
    );

  describe.each(['by a SharedWorker', 'by a leader'] as const)('%s', (way) => {
    it('have one connection, and each is shown what it watches', async () => {
      await startHub();
      await befriend('42', '7');
      const one = await openTab({ user: '42' }, WITHOUT[way]);
      await shows(one, '7', 'offline');
      const two = await openTab({ user: '42' }, WITHOUT[way]);
      await shows(two, '7', 'offline');
      await beat('7', 'busy');
      await Promise.all([shows(one, '7', 'busy'), shows(two, '7', 'busy')]);
      expect(await connections()).toBe(1);
      const held = await two.evaluate(async () => (await navigator.locks.query()).held?.map(({ name }) => name) ?? []);
      expect(held.filter((name) => name?.endsWith(']'))).toHaveLength(way === 'by a leader' ? 1 : 0);
      await befriend('42', '8');
      await Promise.all([shows(one, '8', 'offline'), shows(two, '8', 'offline')]);
      expect(await one.evaluate(() => (globalThis as unknown as InPage).client.self?.devices)).toEqual(['web']);
    });

    it('keep different users apart', async () => {
      await startHub();
      const one = await openTab({ user: '42' }, WITHOUT[way]);
      const two = await openTab({ user: '43' }, WITHOUT[way]);
      for (const page of [one, two])
        await page.waitForFunction(() => (globalThis as unknown as InPage).friends.isSynced);
      expect(await connections()).toBe(2);
      expect(await two.evaluate(() => (globalThis as unknown as InPage).client.self?.status)).toBe('online');
    });

    it('keep apart observers with tokens, which may be different people’s', async () => {
      await startHub({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
      const clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
      for (const user of ['42', '43']) {
        const page = await openPage(WITHOUT[way]);
        await page.evaluate(
          ([url, id, token]) => {
            const own = globalThis as unknown as InPage;
            own.client = own.createPresenceClient({ url: url!, getToken: () => token! });
            own.friends = own.client.watchFriends(id);
          },
          [hub, user, await tokenFor(user, { clock })],
        );
        await page.waitForFunction(() => {
          const { isSynced, error } = (globalThis as unknown as InPage).friends;
          return isSynced || error !== null;
        });
        expect(await page.evaluate(() => (globalThis as unknown as InPage).friends.error?.code)).toBeUndefined();
      }
    });

    it('go on when one is closed, with nobody notified that the user was gone', async () => {
      await startHub();
      await befriend('42', '7');
      const seen: string[] = [];
      const watcher = sdkClient({ url: hub }).watch(['42']);
      watcher.on('change', ({ entries }) => seen.push(entries.get('42')?.status ?? 'nothing'));
      const one = await openTab({ user: '42' }, WITHOUT[way]);
      await shows(one, '7', 'offline');
      const two = await openTab({ user: '42' }, WITHOUT[way]);
      await shows(two, '7', 'offline');
      await untilView(watcher, () => watcher.get('42')?.status === 'online');
      await one.close();
      await beat('7', 'busy');
      await shows(two, '7', 'busy');
      expect(await connections()).toBe(2); // the tab's, and the watcher's
      await two.evaluate(() => (globalThis as unknown as InPage).client.set({ status: 'busy' }));
      await untilView(watcher, () => watcher.get('42')?.status === 'busy');
      expect(seen.slice(seen.indexOf('online'))).toEqual(['online', 'busy']);
      await two.evaluate(() => (globalThis as unknown as InPage).client.leave());
      await untilView(watcher, () => watcher.get('42')?.status === 'offline');
    });

    it('report away when none of them had input, and back with the first', async () => {
      await startHub();
      const watcher = sdkClient({ url: hub }).watch(['42']);
      const options = { user: '42', idle: { awayAfterMs: 700 } };
      const [one, two] = [await openTab(options, WITHOUT[way]), await openTab(options, WITHOUT[way])];
      await untilView(watcher, () => watcher.get('42')?.status === 'away');
      await one.keyboard.press('a');
      await untilView(watcher, () => watcher.get('42')?.status === 'online');
      await untilView(watcher, () => watcher.get('42')?.status === 'away');
      await two.mouse.move(9, 9);
      await untilView(watcher, () => watcher.get('42')?.status === 'online');
      await two.evaluate(() => (globalThis as unknown as InPage).client.set({ status: 'busy' }));
      await untilView(watcher, () => watcher.get('42')?.status === 'busy');
      await new Promise((resolve) => setTimeout(resolve, 1_500)); // nothing is to happen: there is no event for that
      expect(watcher.get('42')?.status).toBe('busy');
    });

    it('are away still when one is closed that nobody used', async () => {
      await startHub();
      const watcher = sdkClient({ url: hub }).watch(['42']);
      const options = { user: '42', idle: { awayAfterMs: 700 } };
      const [one, two] = [await openTab(options, WITHOUT[way]), await openTab(options, WITHOUT[way])];
      // On a slow machine the first is away before the second is there.
      await two.evaluate(() => (globalThis as unknown as InPage).client.set({ text: 'both' }));
      await untilView(watcher, () => watcher.get('42')?.status === 'away' && watcher.get('42')?.text === 'both');
      const seen: string[] = [];
      watcher.on('change', ({ entries }) => seen.push(entries.get('42')?.status ?? 'nothing'));
      await befriend('42', '7');
      await one.close();
      await beat('7', 'busy');
      await shows(two, '7', 'busy');
      await two.keyboard.press('a');
      await untilView(watcher, () => watcher.get('42')?.status === 'online');
      expect(seen).toEqual(['online']);
    });

    it('ask any tab for a fresh token', async () => {
      await startHub({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
      const clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
      const openWithToken = async (): Promise<Page> => {
        const page = await context.newPage();
        if (WITHOUT[way] !== '') await page.addInitScript(WITHOUT[way]);
        await page.exposeFunction('mint', () => tokenFor('42', { clock, expiresInS: 3 }));
        await page.goto(app.origin);
        await page.waitForFunction('globalThis.createPresenceClient !== undefined');
        await page.evaluate((url) => {
          const own = globalThis as unknown as InPage & { mint(): Promise<string> };
          own.tokensAsked = [];
          own.client = own.createPresenceClient({
            url,
            user: '42',
            getToken: ({ refresh }) => {
              own.tokensAsked.push(refresh);
              return own.mint();
            },
          });
          own.friends = own.client.watchFriends();
        }, hub);
        await page.waitForFunction(() => (globalThis as unknown as InPage).friends.isSynced);
        return page;
      };
      const one = await openWithToken();
      const two = await openWithToken();
      const statuses = await two.evaluateHandle(() => {
        const seen: string[] = [];
        (globalThis as unknown as InPage).client.on('status', ({ status }) => seen.push(status));
        return seen;
      });
      await one.close();
      await two.waitForFunction(() => (globalThis as unknown as InPage).tokensAsked.length >= 2);
      await two.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'connected');
      if (way === 'by a SharedWorker') expect(await statuses.jsonValue()).toEqual([]);
    });

    it('come back after the hub was away, and say meanwhile since when', async () => {
      await startHub();
      await befriend('42', '7');
      const port = new URL(hub).port;
      const tabs = [await openTab({ user: '42' }, WITHOUT[way]), await openTab({ user: '42' }, WITHOUT[way])];
      for (const tab of tabs) await shows(tab, '7', 'offline');
      await endHubProcesses();
      for (const tab of tabs)
        await tab.waitForFunction(() => (globalThis as unknown as InPage).friends.staleSince !== null);
      await startHub({ HUB_PORT: port });
      await befriend('42', '9');
      for (const tab of tabs) {
        await tab.waitForFunction(() => (globalThis as unknown as InPage).friends.staleSince === null);
        await shows(tab, '9', 'offline');
      }
      expect(await connections()).toBe(1);
    });
  });

  it('take over from a leader that is frozen', async () => {
    await startHub();
    await befriend('42', '7');
    const one = await openTab({ user: '42' }, WITHOUT['by a leader']);
    await shows(one, '7', 'offline');
    const two = await openTab({ user: '42' }, WITHOUT['by a leader']);
    await shows(two, '7', 'offline');
    // A page whose script stands still, as in a browser that freezes it: it holds its lock, and answers nobody.
    const cdp = await context.newCDPSession(one);
    await cdp.send('Debugger.enable');
    await cdp.send('Debugger.pause');
    await beat('7', 'busy');
    await shows(two, '7', 'busy');
    expect(await connections()).toBe(2);
    await cdp.send('Debugger.resume');
    await cdp.send('Debugger.disable');
    await shows(one, '7', 'busy');
    await expect.poll(connections).toBe(1);
  });

  // As in the test environments jsdom and happy-dom.
  it.each(['without a MessageChannel', 'without a BroadcastChannel', 'with locks that are null'] as const)(
    'have a connection each %s',
    async (what) => {
      await startHub();
      await befriend('42', '7');
      const tabs = [await openTab({ user: '42' }, WITHOUT[what]), await openTab({ user: '42' }, WITHOUT[what])];
      for (const tab of tabs) await shows(tab, '7', 'offline');
      expect(await connections()).toBe(2);
    },
  );

  it('have a connection each if nothing can be shared, or if sharing is off', async () => {
    await startHub();
    await openTab({ user: '42' }, WITHOUT['each its own']);
    await openTab({ user: '42' }, WITHOUT['each its own']);
    await expect.poll(connections).toBe(2);
    await openTab({ user: '42', tabs: 'each' });
    await expect.poll(connections).toBe(3);
  });

  it('have a connection each if locks and workers are refused, and come back on it', async () => {
    await startHub();
    await befriend('42', '7');
    const port = new URL(hub).port;
    const tabs = [
      await openTab({ user: '42' }, WITHOUT['where all is refused']),
      await openTab({ user: '42' }, WITHOUT['where all is refused']),
    ];
    for (const tab of tabs) await shows(tab, '7', 'offline');
    expect(await connections()).toBe(2);
    // The worker; the tab's own lock, the lead, and the lock by which it would be missed.
    expect(await tabs[0]!.evaluate('globalThis.refusals')).toBe(4);
    await endHubProcesses();
    await startHub({ HUB_PORT: port });
    await befriend('42', '9');
    for (const tab of tabs) await shows(tab, '9', 'offline');
    await tabs[0]!.evaluate(() => (globalThis as unknown as InPage).client.leave());
    await expect.poll(connections).toBe(1);
  });

  it('are seen as the same after a reload', async () => {
    await startHub();
    const watcher = sdkClient({ url: hub }).watch(['42']);
    const seen: string[] = [];
    await untilView(watcher, ({ isSynced }) => isSynced);
    watcher.on('change', ({ entries }) => seen.push(entries.get('42')?.status ?? 'nothing'));
    const tab = await openTab({ user: '42' });
    await untilView(watcher, () => watcher.get('42')?.status === 'online');
    await tab.reload();
    await tab.waitForFunction('globalThis.createPresenceClient !== undefined');
    await tab.evaluate((url) => {
      const own = globalThis as unknown as InPage;
      own.client = own.createPresenceClient({ url, user: '42', text: 'back' });
      own.client.connect();
    }, hub);
    await untilView(watcher, () => watcher.get('42')?.text === 'back');
    expect(seen).toEqual(['online', 'online']);
  });
});
