/** The SDK in a real Chromium when something around it is slow, wrong or stands still: what it does about it, and says. */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  createPresenceClient,
  PresenceClient,
  PresenceClientOptions,
  PresenceView,
} from '../../client/sdk/index.ts';
import { launchChromium, launchPeoplesChromium } from '../support/chromium.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { closeSdkClients, sdkClient, untilView } from '../support/sdk-client.ts';
import { serveSdkPage, type SdkPage } from '../support/sdk-page.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

/** What a page of these tests holds. */
interface InPage {
  createPresenceClient: typeof createPresenceClient;
  client: PresenceClient;
  calls: number;
  mostInFlight: number;
  givenAt?: number;
  connectedAt?: number;
  friends: PresenceView;
  statuses: string[];
  ticks: number;
}

const WAYS = {
  'a SharedWorker': '',
  'a leader': 'delete globalThis.SharedWorker;',
  'a tab of its own': '',
} as const;
type Way = keyof typeof WAYS;
const WAY_NAMES = Object.keys(WAYS) as Way[];

describe('the SDK in trouble', needing('Chromium'), () => {
  let app: SdkPage;
  let context: BrowserContext;
  let closeBrowser: () => Promise<void>;
  let hub: string;

  beforeAll(async () => {
    app = await serveSdkPage();
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    ({ context, close: closeBrowser } = await launchPeoplesChromium());
  });
  afterEach(async () => {
    closeSdkClients();
    await closeBrowser();
    await endHubProcesses();
  });

  const startHub = async (settings: Record<string, string> = {}): Promise<void> => {
    const started = await startHubProcess({ HUB_ORIGINS: app.origin, ...settings }).started;
    hub = startLine(started, 'page').replace(/\/$/, '');
  };
  const openPage = async (way: Way): Promise<Page> => {
    const page = await context.newPage();
    if (WAYS[way] !== '') await page.addInitScript(WAYS[way]);
    await page.goto(app.origin);
    await page.waitForFunction(() => 'createPresenceClient' in globalThis);
    return page;
  };
  const optionsFor = (way: Way, user: string): PresenceClientOptions => ({
    url: hub,
    user,
    tabs: way === 'a tab of its own' ? 'each' : 'share',
  });

  it.each(WAY_NAMES)('with %s, a token that takes 4, 12 or 30 s is used when it is there', async (way) => {
    await startHub({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
    const clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    const late = [4_000, 12_000, 30_000].map(async (takesMs) => {
      const user = String(takesMs);
      const token = await tokenFor(user, { clock });
      // One connects; the other is there, and could be asked too.
      const tabs = [await openPage(way), ...(way === 'a tab of its own' ? [] : [await openPage(way)])];
      for (const tab of tabs)
        await tab.evaluate(
          ([options, given, ms]) => {
            const own = globalThis as unknown as InPage;
            own.calls = own.mostInFlight = 0;
            let inFlight = 0;
            const getToken = async (): Promise<string> => {
              own.calls += 1;
              own.mostInFlight = Math.max(own.mostInFlight, ++inFlight);
              await new Promise((resolve) => setTimeout(resolve, ms));
              inFlight -= 1;
              own.givenAt = Date.now();
              return given;
            };
            own.client = own.createPresenceClient({ ...options, getToken });
            own.client.on('status', ({ status }) => {
              if (status === 'connected') own.connectedAt ??= Date.now();
            });
            own.client.connect();
          },
          [optionsFor(way, user), token, takesMs] as const,
        );
      for (const tab of tabs)
        await expect
          .poll(() => tab.evaluate(() => (globalThis as unknown as InPage).client.status), { timeout: 50_000 })
          .toBe('connected');
      const seen = await Promise.all(
        tabs.map((tab) =>
          tab.evaluate(() => {
            const { calls, mostInFlight, givenAt, connectedAt } = globalThis as unknown as InPage;
            return { calls, mostInFlight, givenAt: givenAt ?? 0, connectedAt };
          }),
        ),
      );
      const givenAt = Math.max(...seen.map((one) => one.givenAt));
      // One, unless a busy machine kept the first tab from giving a sign of life.
      expect(seen.reduce((sum, { calls }) => sum + calls, 0)).toBeLessThanOrEqual(tabs.length);
      for (const { mostInFlight, connectedAt } of seen) {
        expect(mostInFlight).toBeLessThanOrEqual(1);
        expect(connectedAt! - givenAt).toBeLessThan(5_000);
      }
    });
    await Promise.all(late);
  });

  describe.each(WAY_NAMES)('with %s, a browser that says it is offline', (way) => {
    /** It says so from now on, in the page and in the worker, whatever the network does. */
    const sayOffline = (page: Page) =>
      page.evaluate(() => {
        Object.defineProperty(Navigator.prototype, 'onLine', { get: () => false });
        dispatchEvent(new Event('offline'));
      });
    const open = async (): Promise<Page> => {
      const page = await openPage(way);
      await page.evaluate(
        (options) => {
          const own = globalThis as unknown as InPage;
          own.client = own.createPresenceClient(options);
          own.friends = own.client.watchFriends();
          own.statuses = [];
          own.client.on('status', ({ status }) => own.statuses.push(status));
        },
        optionsFor(way, '42'),
      );
      await page.waitForFunction(() => (globalThis as unknown as InPage).friends.isSynced);
      return page;
    };
    const shows = (page: Page, user: string, status: string) =>
      page.waitForFunction(
        ([id, wanted]) => (globalThis as unknown as InPage).friends.get(id!)?.status === wanted,
        [user, status],
      );
    const beat = (user: string, status: string) =>
      fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: JSON.stringify({ user, status }) });
    const befriend = (user: string, friend: string) =>
      fetch(`${hub}/v1/users/${user}/friends/${friend}`, { method: 'PUT' });

    it('keeps its connection when the hub can be reached', async () => {
      await startHub();
      await befriend('42', '7');
      const page = await open();
      await sayOffline(page);
      await beat('7', 'busy');
      await shows(page, '7', 'busy');
      await new Promise((resolve) => setTimeout(resolve, 6_000)); // longer than the probe waits for its answer
      await beat('7', 'away');
      await shows(page, '7', 'away');
      expect(await page.evaluate(() => (globalThis as unknown as InPage).statuses)).toEqual(['connected']);
    });

    it('comes back by itself when the hub does', async () => {
      await startHub();
      const port = new URL(hub).port;
      const page = await open();
      await sayOffline(page);
      await endHubProcesses();
      await page.waitForFunction(() => (globalThis as unknown as InPage).client.status !== 'connected');
      await startHub({ HUB_PORT: port });
      await page.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'connected');
    });
  });

  describe('a page that is frozen', () => {
    const AWAY_AFTER_MS = 2_000;
    const HEARTBEAT_MS = 1_000;
    const TICK_MS = 100;
    let seen: string[];
    let watcher: PresenceView;

    beforeEach(async () => {
      await startHub({ HUB_HEARTBEAT_MS: String(HEARTBEAT_MS), HUB_TIMEOUT_MS: '3000' });
      watcher = sdkClient({ url: hub }).watch(['42']);
      await untilView(watcher, ({ isSynced }) => isSynced);
      seen = [];
      watcher.on('change', ({ entries }) => seen.push(entries.get('42')?.status ?? 'nothing'));
    });

    const until = (status: string) => untilView(watcher, () => watcher.get('42')?.status === status);
    const open = async (way: Way, awayAfterMs = AWAY_AFTER_MS): Promise<Page> => {
      const page = await openPage(way);
      await page.evaluate(
        ([options, tickMs]) => {
          const own = globalThis as unknown as InPage;
          own.ticks = 0;
          setInterval(() => (own.ticks += 1), tickMs);
          own.client = own.createPresenceClient(options);
          own.client.connect();
        },
        [{ ...optionsFor(way, '42'), idle: { awayAfterMs } }, TICK_MS] as const,
      );
      await page.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'connected');
      return page;
    };
    /** Hidden behind another page, as a browser freezes none that is seen. */
    const freeze = async (page: Page, shown?: Page): Promise<{ thaw: () => Promise<void> }> => {
      if (shown === undefined) await context.newPage();
      else await shown.bringToFront();
      await expect.poll(() => page.evaluate(() => document.visibilityState)).toBe('hidden');
      const cdp = await context.newCDPSession(page);
      await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
      return { thaw: () => cdp.send('Page.setWebLifecycleState', { state: 'active' }).then(() => undefined) };
    };
    const ticks = (page: Page) => page.evaluate(() => (globalThis as unknown as InPage).ticks);

    it.each(WAY_NAMES)('with %s, is away in time, and online only with input after the thaw', async (way) => {
      const page = await open(way);
      await until('online');
      await page.bringToFront();
      await page.keyboard.press('a');
      const { thaw } = await freeze(page);
      const before = await ticks(page);
      const frozenAt = performance.now();
      await until('away');
      expect(performance.now() - frozenAt).toBeLessThan(AWAY_AFTER_MS + HEARTBEAT_MS + 4_000);
      await new Promise((resolve) => setTimeout(resolve, 6_000)); // twice the timeout: nothing is to happen
      // One that had run when it was frozen; a page that runs has a tick a second, hidden or not.
      expect((await ticks(page)) - before).toBeLessThanOrEqual(1);
      await thaw();
      await expect.poll(() => ticks(page), { timeout: 15_000 }).toBeGreaterThan(before + 2);
      expect(seen.at(-1)).toBe('away');
      await page.bringToFront();
      await page.keyboard.press('a');
      await until('online');
      const lasting = seen.filter((status, i) => status !== seen[i - 1]);
      expect(lasting).not.toContain('offline');
    });

    it('that leads hands over to a tab that somebody uses, and nobody is notified', async () => {
      const leader = await open('a leader');
      const other = await open('a leader');
      await other.bringToFront();
      await other.keyboard.press('a');
      await until('online');
      seen.length = 0;
      const { thaw } = await freeze(leader, other);
      for (let i = 0; i < 8; i++) {
        await other.keyboard.press('a');
        await new Promise((resolve) => setTimeout(resolve, 500)); // somebody types for longer than it takes to be away
      }
      expect(seen).toEqual([]);
      await until('away');
      await thaw();
      await other.keyboard.press('a');
      await until('online');
      expect(seen).not.toContain('offline');
    });

    it('with another one is away when both are', async () => {
      const tabs = [await open('a leader', 30_000), await open('a leader', 30_000)];
      await until('online');
      // A tab that was used just now is taken for one that is not frozen.
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      expect(watcher.get('42')?.status).toBe('online');
      const frozenAt = performance.now();
      const shown = await context.newPage();
      for (const tab of tabs) await freeze(tab, shown);
      await until('away');
      expect(performance.now() - frozenAt).toBeLessThan(AWAY_AFTER_MS + HEARTBEAT_MS + 4_000);
      await new Promise((resolve) => setTimeout(resolve, 6_000)); // twice the timeout: nothing is to happen
      expect(watcher.get('42')?.status).toBe('away');
    });
  });

  describe.each(WAY_NAMES)('with %s, a page that does not reach the hub', (way) => {
    /** What the page prints within three attempts or more. */
    const warningsAt = async (url: string): Promise<string[]> => {
      const page = await openPage(way);
      const warnings: string[] = [];
      page.on('console', (message) => {
        // The browser itself warns too, as of a socket that is closed while it connects.
        if (message.text().startsWith('presence-hub:')) warnings.push(`${message.type()} ${message.text()}`);
      });
      await page.evaluate(
        (options) => {
          const own = globalThis as unknown as InPage;
          own.client = own.createPresenceClient(options);
          own.ticks = 0;
          own.client.on('status', ({ reason }) => {
            if (reason !== undefined) own.ticks += 1;
          });
          own.client.connect();
        },
        { ...optionsFor(way, '42'), url },
      );
      await expect
        .poll(() => page.evaluate(() => (globalThis as unknown as InPage).ticks), { timeout: 30_000 })
        .toBeGreaterThan(2);
      await page.close();
      return warnings;
    };

    it('says once at which address, and what to check', async () => {
      await startHub({ HUB_ORIGINS: 'http://elsewhere.example' });
      const { port } = new URL(hub);
      const urls = {
        'a wrong port': [`http://127.0.0.1:${await freePort()}`, '/ws'],
        'https instead of http': [`https://127.0.0.1:${port}`, '/ws'],
        'a refused origin': [hub, '/ws'],
        'a wrong path': [`${hub}/nowhere`, '/ws'],
      };
      for (const [what, [url, path]] of Object.entries(urls)) {
        const warnings = await warningsAt(url!);
        expect([what, warnings]).toEqual([what, [expect.stringMatching(/^warning /)]]);
        expect(warnings[0]).toContain(`${url!.replace('http', 'ws')}${path}`);
        for (const toCheck of ['port', 'https', 'path', `HUB_ORIGINS=${app.origin}`])
          expect(warnings[0]).toContain(toCheck);
      }
    });

    it.each(['at once', 'after the hub has answered'])('says why when the hub refuses it, loaded %s', async (when) => {
      await startHub({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
      let goOn: () => void = () => undefined;
      const answered = new Promise<void>((resolve) => (goOn = resolve));
      if (when !== 'at once')
        await context.route('**/page-lifecycle*', async (route) => {
          await answered;
          await route.continue();
        });
      const page = await openPage(way);
      const warning = page.waitForEvent('console', (message) => message.text().startsWith('presence-hub:'));
      await page.evaluate(
        (options) => {
          const own = globalThis as unknown as InPage;
          own.client = own.createPresenceClient(options);
          own.client.connect();
        },
        optionsFor(way, '42'),
      );
      await page.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'closed');
      goOn();
      expect((await warning).text()).toContain('4401');
    });
  });

  it('asks for the permission to reach the local network from the page, for its worker', async () => {
    await startHub();
    // What the app's own address is taken for: one of the internet, from where the hub on this machine may not be reached.
    const browser = await launchChromium([
      `--ip-address-space-overrides=127.0.0.1:${new URL(app.origin).port}=public`,
      '--enable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
    ]);
    try {
      const page = await browser.newPage();
      const asked: string[] = [];
      page.on('websocket', (socket) => asked.push(socket.url()));
      await page.goto(app.origin);
      await page.waitForFunction(() => 'createPresenceClient' in globalThis);
      await page.evaluate(
        (options) => {
          const own = globalThis as unknown as InPage;
          own.client = own.createPresenceClient(options);
          own.client.connect();
        },
        optionsFor('a SharedWorker', '42'),
      );
      await expect.poll(() => asked, { timeout: 10_000 }).toEqual([`${hub.replace('http', 'ws')}/ws`]);
      expect(await page.evaluate(() => (globalThis as unknown as InPage).client.status)).not.toBe('connected');
      await page.context().grantPermissions(['local-network-access']);
      await page.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'connected');
      expect(asked).toHaveLength(1);
    } finally {
      await browser.close();
    }
  });
});
