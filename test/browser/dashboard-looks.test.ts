/**
 * How the dashboard looks: pictures of it in its states, light, dark and on a phone, in a temporary folder to look at
 * (PICTURES=folder says where), and what axe finds in each, which is nothing serious.
 */
import axe from 'axe-core';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DashboardStage, tailIsLive, tailRow } from '../support/dashboard-stage.ts';
import { freePort } from '../support/hub-process.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';

const looks: readonly (readonly [string, BrowserContextOptions])[] = [
  ['light', { colorScheme: 'light', viewport: { width: 1440, height: 1000 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1440, height: 1000 } }],
  ['phone', { colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
];
const ADMIN_TOKEN = 'an-admin-token-of-the-tests';

describe('how the dashboard looks', needing('Chromium'), () => {
  let stage: DashboardStage;
  let folder: string;
  let client: LegacyClient | undefined;

  beforeAll(async () => {
    folder = process.env['PICTURES'] ?? mkdtempSync(join(tmpdir(), 'presence-hub-dashboard-'));
    mkdirSync(folder, { recursive: true });
    stage = await DashboardStage.open();
  });
  afterAll(() => stage.close());
  afterEach(async () => {
    client?.reset();
    expect(await stage.clear()).toEqual([]);
  });

  const seriousFaults = async (page: Page): Promise<readonly string[]> => {
    // Its policy forbids scripts of others; what the test evaluates comes by the debugger.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join()}`);
  };
  const look = async (page: Page, name: string): Promise<void> => {
    await page.screenshot({ path: join(folder, `dashboard-${name}.png`) });
    expect(await seriousFaults(page)).toEqual([]);
    // What does not fit stands below, never beside.
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  };
  const gather = async () => {
    client = await LegacyClient.open(stage.tcpPort);
    for (const user of ['42', 'carla', 'dmitri']) client.beat(user, user === 'carla' ? 3 : 1);
    client.write('<protocol><user_id>a b</user_id></protocol>');
    await stage.beat('42', { status: 'away', device: 'phone', text: 'on the train, back at three' });
    await stage.beat('bob', { status: 'busy', text: 'in a meeting' });
  };

  it.each(looks)(
    '%s: the token, a user with its sessions, the question before the end, and no answer',
    async (name, options) => {
      await stage.prepare({ HUB_ADMIN_TOKEN: ADMIN_TOKEN, HUB_TCP_TIMEOUT_MS: '60000' });
      const page = await stage.dashboard('?user=42', options);
      await page.getByText('Sign in with the admin token of this hub').waitFor();
      await look(page, `${name}-token`);
      await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await tailIsLive(page);
      await gather();
      await tailRow(page, { user: 'bob' }).waitFor();
      await page.getByText('decides').waitFor();
      await look(page, `${name}-user`);

      await page
        .getByRole('button', { name: /^End session/ })
        .first()
        .click();
      await page.getByRole('dialog').waitFor();
      await look(page, `${name}-end`);
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.locator('#tail').scrollIntoViewIfNeeded();
      await look(page, `${name}-tail`);
      await stage.killHub();
      await page.locator('.unreachable').waitFor();
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(folder, `dashboard-${name}-no-answer.png`) });
    },
  );

  it.each(looks)('%s: who is online, a history with unknown time, and webhooks', async (name, options) => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    await stage.prepare({
      HUB_HISTORY_DAYS: '30',
      HUB_WEBHOOK_URL: `http://127.0.0.1:${await freePort()}/hook`,
      HUB_WEBHOOK_SECRET: secret,
    });
    for (let i = 1; i <= 30; i++) {
      const status = i % 5 === 0 ? 'busy' : i % 3 === 0 ? 'away' : 'online';
      await stage.beat(`user-${i}`, { status, ...(i % 4 === 0 && { text: 'in a meeting until three' }) });
    }
    await stage.beat('w'.repeat(128));
    const page = await stage.dashboard('?page=online', options);
    await page.getByRole('button', { name: /^History of .*user-12/ }).click();
    await page.getByRole('img', { name: /^Timeline: .*unknown/ }).waitFor();
    await page.getByRole('button', { name: 'Send a test to default' }).click();
    await page.getByText('default: the test was not delivered').waitFor();
    await page.locator('.plot[data-measure="counts"] canvas').waitFor({ state: 'attached' });
    await look(page, `${name}-people`);
    await page.screenshot({ path: join(folder, `dashboard-${name}-people-whole.png`), fullPage: true });
    expect(await overflowing(page)).toEqual([]);
  });

  /** What is drawn beyond the edge of the card that it is in, and not cut off there. */
  const overflowing = (page: Page): Promise<string[]> =>
    page.locator('.card').evaluateAll((cards) =>
      cards.flatMap((card) => {
        const edge = card.getBoundingClientRect().right;
        const isCut = (element: Element): boolean =>
          element !== card && (getComputedStyle(element).overflowX !== 'visible' || isCut(element.parentElement!));
        return [...card.querySelectorAll('*')]
          .filter((element) => element.getBoundingClientRect().right > edge + 0.5 && !isCut(element))
          .map((element) => `${element.tagName} ${element.className}: ${element.textContent}`);
      }),
    );

  it.each([390, 1280].flatMap((width) => [34, 128].map((length) => [length, width] as const)))(
    'an id of %i characters stays in its card, %i px wide',
    async (length, width) => {
      await stage.prepare();
      const user = 'w'.repeat(length);
      const page = await stage.dashboard(`?user=${user}`, { viewport: { width, height: 1000 } });
      await tailIsLive(page);
      await page.locator('.sessions').getByText('No session').waitFor();
      await look(page, `${width}-${length}-gone`);
      expect(await overflowing(page)).toEqual([]);
      await stage.beat(user, { status: 'busy', device: 'd'.repeat(64), text: 't'.repeat(140) });
      await stage.ask('PUT', `/v1/users/${user}/blocks/${'b'.repeat(length)}`);
      await page.getByText('decides').waitFor();
      await page.getByText('bbb').waitFor();
      await look(page, `${width}-${length}`);
      expect(await overflowing(page)).toEqual([]);
      await page.getByRole('button', { name: /^End session/ }).click();
      await page.getByRole('dialog').waitFor();
      await page.screenshot({ path: join(folder, `dashboard-${width}-${length}-end.png`) });
      expect(await page.getByRole('dialog').evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth)).toBe(0);
    },
  );
});
