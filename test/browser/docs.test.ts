/**
 * The documentation in a browser: the search, the menu and the theme, and how it looks, light, dark and on a phone, in a
 * temporary folder (PICTURES=folder says where), with what axe finds in each, which is nothing serious.
 */
import axe from 'axe-core';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FriendPageStage } from '../support/friend-page.ts';
import { needing } from '../support/needs.ts';

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const looks: readonly (readonly [string, BrowserContextOptions])[] = [
  ['light', { colorScheme: 'light', viewport: { width: 1280, height: 860 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 860 } }],
  ['phone', { colorScheme: 'light', ...phone }],
  ['phone-dark', { colorScheme: 'dark', ...phone }],
];
const paths = ['', '/quickstart', '/settings', '/protocol/state', '/errors', '/errors/forbidden'];

describe('the documentation', needing('Chromium'), () => {
  const folder = process.env['PICTURES'] ?? mkdtempSync(join(tmpdir(), 'hub-docs-'));
  let stage: FriendPageStage;

  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    stage = await FriendPageStage.open();
    await stage.prepare();
  });
  afterAll(async () => {
    await stage.killHub();
    await stage.close();
  });
  afterEach(async () => expect(await stage.closePages()).toEqual([]));

  const seriousFaults = async (page: Page): Promise<readonly string[]> => {
    // Its policy forbids scripts of others; what the test evaluates comes by the debugger.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join()}`);
  };

  it.each(looks)('%s: no page has a serious fault, and none is wider than the window', async (name, options) => {
    for (const path of paths) {
      const page = await stage.page(`/docs${path}`, options);
      await page.screenshot({ path: join(folder, `docs-${name}${path.replaceAll('/', '-')}.png`) });
      expect(await seriousFaults(page), path).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
    }
  });

  it('finds a section by words, with the keyboard alone, and without asking another server', async () => {
    const page = await stage.page('/docs/errors/forbidden');
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await page.keyboard.press('/');
    await page.keyboard.type('HUB_GRACE_MS');
    await page.locator('#results a').first().waitFor();
    await page.screenshot({ path: join(folder, 'docs-search.png') });
    expect(await seriousFaults(page)).toEqual([]);
    await page.keyboard.press('ArrowDown');
    const name = await page.locator('#results a:focus strong').textContent();
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => !url.pathname.includes('/errors/'));
    expect((await page.locator('main').textContent())?.includes('HUB_GRACE_MS')).toBe(true);
    expect(await page.getByRole('heading', { name: name ?? '' }).count()).toBeGreaterThan(0);
    expect(new Set(asked)).toEqual(new Set([new URL(page.url()).origin]));
  });

  it('says that nothing is found, and closes the results with Escape', async () => {
    const page = await stage.page('/docs');
    await page.getByRole('searchbox').fill('xyzzyplugh');
    await page.getByText('Nothing found.').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#results').waitFor({ state: 'hidden' });
  });

  it('opens the contents on a phone, and a page from there', async () => {
    const page = await stage.page('/docs', { ...phone });
    await page.getByRole('button', { name: 'Contents' }).tap();
    await page.screenshot({ path: join(folder, 'docs-phone-menu.png') });
    await page.locator('#navigation').getByRole('link', { name: 'Webhooks', exact: true }).tap();
    await page.getByRole('heading', { name: 'Webhooks', level: 1 }).waitFor();
    expect(await page.locator('#navigation').isVisible()).toBe(false);
  });

  it('keeps the theme that was chosen, on the friend page too', async () => {
    const page = await stage.page('/docs', { colorScheme: 'light' });
    await page.getByRole('button', { name: 'Switch to dark' }).click();
    await page.getByRole('link', { name: 'Quickstart' }).first().click();
    await page.getByRole('heading', { name: 'Quickstart', level: 1 }).waitFor();
    const theme = () => page.evaluate(() => document.documentElement.dataset['theme']);
    expect(await theme()).toBe('dark');
    await page.getByRole('link', { name: 'Friends', exact: true }).click();
    await page.getByRole('heading', { name: 'Which of your friends are online?' }).waitFor();
    expect(await theme()).toBe('dark');
  });

  it('can be read without scripts', async () => {
    const page = await stage.page('/docs/settings', { javaScriptEnabled: false, ...phone });
    expect(await page.locator('#navigation').isVisible()).toBe(true);
    expect(await page.getByRole('heading', { name: 'Settings', level: 1 }).isVisible()).toBe(true);
  });
});
