/** The SDK while a browser hides pages, keeps them for the Back button, or loses their worker. */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  createPresenceClient,
  PresenceClient,
  PresenceClientOptions,
  PresenceView,
} from '../../client/sdk/index.ts';
import { launchPeoplesChromium } from '../support/chromium.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { closeSdkClients, sdkClient, untilView } from '../support/sdk-client.ts';
import { serveSdkPage, type SdkPage } from '../support/sdk-page.ts';

/** What a page of these tests holds. */
interface InPage {
  createPresenceClient: typeof createPresenceClient;
  client: PresenceClient;
  friends: PresenceView;
  isBack: boolean;
}

const WAYS = {
  'a SharedWorker': '',
  'a leader': 'delete globalThis.SharedWorker;',
  'nothing shared':
    "delete globalThis.SharedWorker; Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });",
} as const;
type Way = keyof typeof WAYS;
const WAY_NAMES = Object.keys(WAYS) as Way[];

describe('the SDK in a page’s life', needing('Chromium'), () => {
  let app: SdkPage;
  let context: BrowserContext;
  let closeBrowser: () => Promise<void>;
  let hub: string;
  const faults: string[] = [];

  beforeAll(async () => {
    app = await serveSdkPage();
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    ({ context, close: closeBrowser } = await launchPeoplesChromium());
    faults.length = 0;
  });
  afterEach(async () => {
    closeSdkClients();
    await closeBrowser();
    await endHubProcesses();
    expect(faults).toEqual([]);
  });

  const startHub = async (settings: Record<string, string> = {}): Promise<void> => {
    const started = await startHubProcess({ HUB_ORIGINS: app.origin, ...settings }).started;
    hub = startLine(started, 'page').replace(/\/$/, '');
  };
  const befriend = (user: string, friend: string) =>
    fetch(`${hub}/v1/users/${user}/friends/${friend}`, { method: 'PUT' });
  const beat = (user: string, status: string) =>
    fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: JSON.stringify({ user, status }) });
  const connections = async (): Promise<number> => {
    const metrics = await (await fetch(`${hub}/metrics`)).text();
    return Number(/^presence_hub_connections\{adapter="ws-json"\} (\d+)$/m.exec(metrics)?.[1]);
  };

  /** A tab in front, with a client that watches its friends. */
  const openTab = async (way: Way, options: PresenceClientOptions): Promise<Page> => {
    const page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    if (WAYS[way] !== '') await page.addInitScript(WAYS[way]);
    await page.goto(app.origin);
    await page.waitForFunction(() => 'createPresenceClient' in globalThis);
    await page.evaluate(
      (given) => {
        const own = globalThis as unknown as InPage;
        own.client = own.createPresenceClient(given);
        own.friends = own.client.watchFriends();
        addEventListener('pageshow', ({ persisted }) => (own.isBack = persisted));
      },
      { url: hub, ...options },
    );
    await page.waitForFunction(() => (globalThis as unknown as InPage).friends.isSynced);
    return page;
  };
  /** A page that nobody sees draws no frames, by which the driver would wait. */
  const shows = (page: Page, user: string, status: string) =>
    expect
      .poll(() => page.evaluate((id) => (globalThis as unknown as InPage).friends.get(id)?.status, user), {
        timeout: 15_000,
      })
      .toBe(status);
  const visibility = (page: Page) => page.evaluate(() => document.visibilityState);
  const leaveFor = (page: Page) => page.goto(`${hub}/healthz`);
  const goBack = async (page: Page): Promise<void> => {
    await page.evaluate(() => history.back());
    await expect.poll(() => page.evaluate(() => (globalThis as unknown as InPage).isBack)).toBe(true);
  };
  /** The statuses that another user is sent, in order. */
  const watch = async (...users: string[]) => {
    const view = sdkClient({ url: hub }).watch(users);
    const seen: string[] = [];
    await untilView(view, ({ isSynced }) => isSynced);
    view.on('change', ({ changed }) => seen.push(...changed.map(({ user, status }) => `${user} ${status}`)));
    const until = (user: string, status: string) => untilView(view, () => view.get(user)?.status === status);
    return { seen, until };
  };

  it('tabs stay online while hidden for longer than the timeout, and receive changes of friends', async () => {
    await startHub({ HUB_HEARTBEAT_MS: '500', HUB_TIMEOUT_MS: '1500', HUB_GRACE_MS: '500' });
    const users = { 'a SharedWorker': '42', 'a leader': '43', 'nothing shared': '44' } satisfies Record<Way, string>;
    const { seen, until } = await watch(...Object.values(users));
    const tabs: Page[] = [];
    for (const way of WAY_NAMES) {
      await befriend(users[way], '7');
      tabs.push(await openTab(way, { user: users[way] }));
      await until(users[way], 'online');
    }
    await context.newPage();
    for (const tab of tabs) expect(await visibility(tab)).toBe('hidden');
    await new Promise((resolve) => setTimeout(resolve, 5_000)); // nothing is to happen: there is no event for that
    await beat('7', 'busy');
    for (const tab of tabs) {
      await shows(tab, '7', 'busy');
      expect(await visibility(tab)).toBe('hidden');
    }
    expect(seen).toEqual(['42 online', '43 online', '44 online']);
  });

  it.each(['ends', 'crashes with a tab'])(
    'tabs go on when their worker %s, and nobody is notified that they were gone',
    async (how) => {
      // Shorter than it takes to notice that nobody answers.
      await startHub({ HUB_GRACE_MS: '2900' });
      await befriend('42', '7');
      const { seen, until } = await watch('42');
      const tabs = [await openTab('a SharedWorker', { user: '42' }), await openTab('a SharedWorker', { user: '42' })];
      await until('42', 'online');
      expect(await connections()).toBe(2); // the worker's, and the watcher's
      if (how === 'ends') {
        const root = await context.browser()!.newBrowserCDPSession();
        const { targetInfos } = await root.send('Target.getTargets');
        const { targetId } = targetInfos.find(({ type }) => type === 'shared_worker')!;
        await root.send('Target.closeTarget', { targetId });
      } else {
        // It runs in the process of the tab that was there first.
        const first = tabs.shift()!;
        const crashed = new Promise((resolve) => first.on('crash', resolve));
        void (await context.newCDPSession(first)).send('Page.crash').catch(() => undefined);
        await crashed;
      }
      await beat('7', 'busy');
      for (const tab of tabs) await shows(tab, '7', 'busy');
      await tabs.at(-1)!.evaluate(() => (globalThis as unknown as InPage).client.set({ status: 'busy' }));
      await until('42', 'busy');
      expect(seen).toEqual(['42 online', '42 busy']);
      expect(await connections()).toBe(2);
    },
  );

  describe.each(WAY_NAMES)('with %s, a page that is kept for the way back', (way) => {
    it('holds nobody online meanwhile, and follows again', async () => {
      await startHub({ HUB_GRACE_MS: '300' });
      await befriend('42', '7');
      const { seen, until } = await watch('42');
      const tab = await openTab(way, { user: '42', text: 'here' });
      await until('42', 'online');
      await leaveFor(tab);
      await until('42', 'offline');
      await beat('7', 'busy');
      await goBack(tab);
      await until('42', 'online');
      await shows(tab, '7', 'busy');
      await beat('7', 'away');
      await shows(tab, '7', 'away');
      expect(seen).toEqual(['42 online', '42 offline', '42 online']);
      expect(await connections()).toBe(2); // the page's, and the watcher's
    });

    it('stays online if it is back within the grace', async () => {
      await startHub({ HUB_GRACE_MS: '10000' });
      await befriend('42', '7');
      const { seen, until } = await watch('42');
      const tab = await openTab(way, { user: '42' });
      await until('42', 'online');
      await leaveFor(tab);
      await goBack(tab);
      await beat('7', 'busy');
      await shows(tab, '7', 'busy');
      await tab.evaluate(() => (globalThis as unknown as InPage).client.set({ status: 'busy' }));
      await until('42', 'busy');
      expect(seen).toEqual(['42 online', '42 busy']);
    });
  });
});
