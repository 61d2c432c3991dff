/** What the SDK in a real Chromium takes for a sign that somebody is there, and what it does not. */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { createPresenceClient, PresenceClient, PresenceView } from '../../client/sdk/index.ts';
import { launchPeoplesChromium } from '../support/chromium.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { closeSdkClients, sdkClient, untilView } from '../support/sdk-client.ts';
import { serveSdkPage, type SdkPage } from '../support/sdk-page.ts';

/** What a page of these tests holds. */
interface InPage {
  createPresenceClient: typeof createPresenceClient;
  client: PresenceClient;
}

const WAYS = {
  'a SharedWorker': { script: '', tabs: 'share' },
  'a leader': { script: 'delete globalThis.SharedWorker;', tabs: 'share' },
  'a tab of its own': { script: '', tabs: 'each' },
} as const;
type Way = keyof typeof WAYS;

const AWAY_AFTER_MS = 3_000;
/** Long enough that a user without input is away. */
const LONG_MS = 1.5 * AWAY_AFTER_MS;

describe('what the SDK takes for input', needing('Chromium'), () => {
  let app: SdkPage;
  let context: BrowserContext;
  let closeBrowser: () => Promise<void>;
  let hub: string;
  let watcher: PresenceView;
  let seen: string[];

  beforeAll(async () => {
    app = await serveSdkPage();
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    ({ context, close: closeBrowser } = await launchPeoplesChromium());
    const started = await startHubProcess({ HUB_ORIGINS: app.origin }).started;
    hub = startLine(started, 'page').replace(/\/$/, '');
    watcher = sdkClient({ url: hub }).watch(['42']);
    await untilView(watcher, ({ isSynced }) => isSynced);
    seen = [];
    watcher.on('change', ({ entries }) => seen.push(entries.get('42')?.status ?? 'nothing'));
  });
  afterEach(async () => {
    closeSdkClients();
    await closeBrowser();
    await endHubProcesses();
  });

  const until = (status: string) => untilView(watcher, () => watcher.get('42')?.status === status);
  /** A tab in front whose user has just come. */
  const open = async (way: Way): Promise<Page> => {
    const page = await context.newPage();
    const { script, tabs } = WAYS[way];
    if (script !== '') await page.addInitScript(script);
    await page.goto(app.origin);
    await page.waitForFunction(() => 'createPresenceClient' in globalThis);
    await page.evaluate(
      (options) => {
        const own = globalThis as unknown as InPage;
        own.client = own.createPresenceClient(options);
        own.client.connect();
      },
      { url: hub, user: '42', tabs, idle: { awayAfterMs: AWAY_AFTER_MS } },
    );
    await page.waitForFunction(() => (globalThis as unknown as InPage).client.status === 'connected');
    await page.bringToFront();
    await until('online');
    return page;
  };
  /** Does this several times a second for that long. */
  const keepDoing = async (act: () => Promise<unknown>, forMs = LONG_MS): Promise<void> => {
    const endsAt = performance.now() + forMs;
    while (performance.now() < endsAt) {
      await act();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  it('a page that scrolls and events that scripts dispatch keep nobody online', async () => {
    const page = await open('a tab of its own');
    // What lies below the pointer changes as the page scrolls.
    await page.mouse.move(200, 200);
    await page.evaluate(() => {
      for (let i = 0; i < 2_000; i += 1) document.body.append(`line ${i}`, document.createElement('hr'));
      setInterval(() => {
        scrollBy(0, 30);
        for (const type of ['keydown', 'wheel', 'pointerdown', 'pointermove', 'touchstart', 'pageshow'])
          document.body.dispatchEvent(new Event(type, { bubbles: true }));
      }, 50);
    });
    await until('away');
    // Moving a pointer to where it is does not count as a move.
    await keepDoing(() => page.mouse.move(200, 200), 1_000);
    expect(seen.at(-1)).toBe('away');
    await page.mouse.move(210, 200);
    await until('online');
    await until('away');
    await page.keyboard.press('a');
    await until('online');
    await until('away');
    await page.mouse.wheel(0, 30);
    await until('online');
  });

  it('who has the focus in a frame of another site is online until the page has the focus no more', async () => {
    const page = await open('a SharedWorker');
    await page.evaluate((src) => {
      // In a shadow tree, as components have it.
      const shadow = document.body.appendChild(document.createElement('div')).attachShadow({ mode: 'open' });
      shadow.append(Object.assign(document.createElement('iframe'), { src }));
    }, app.frame);
    const field = page.frameLocator('iframe').getByLabel('Message');
    await field.click();
    seen.length = 0;
    await keepDoing(() => page.keyboard.press('a'));
    expect(await field.inputValue()).toMatch(/^a{5,}$/);
    expect(seen).toEqual([]);
    await (await context.newPage()).bringToFront();
    await until('away');
    await page.bringToFront();
    await until('online');
    await page.evaluate(() => (document.activeElement as HTMLElement).shadowRoot?.querySelector('iframe')?.blur());
    await until('away');
    expect(seen).toEqual(['away', 'online', 'away']);
  });

  it.each(Object.keys(WAYS) as Way[])('with %s, what an app marks as input counts as such', async (way) => {
    const first = await open(way);
    const page = way === 'a tab of its own' ? first : await open(way);
    seen.length = 0;
    await keepDoing(() => page.evaluate(() => (globalThis as unknown as InPage).client.markActive()));
    expect(seen).toEqual([]);
    await until('away');
    await page.evaluate(() => (globalThis as unknown as InPage).client.markActive());
    await until('online');
  });
});
