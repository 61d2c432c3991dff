/**
 * The dashboard while very much changes: it stays quick, keeps some hundred rows and says how many it was not told. What is
 * measured is the page's own work, by the processor's time of each of its tasks: a busy machine makes them last, not work.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../support/chromium.ts';
import { DashboardStage, tailIsLive, tailRow } from '../support/dashboard-stage.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { longestTaskMs } from '../support/page-tasks.ts';

const USERS = Array.from({ length: 500 }, (_, index) => `busy.${index}`);
const CHANGE_ALL_EVERY_MS = 250;
const WATCHED_FOR_MS = 6000;
const MAX_TASK_MS = 50;

describe.skipIf(!hasChromium('a busy dashboard'))('a busy dashboard', () => {
  let stage: DashboardStage;
  let changing: NodeJS.Timeout | undefined;

  beforeAll(async () => {
    stage = await DashboardStage.open();
  });
  afterAll(() => stage.close());
  afterEach(async () => {
    clearInterval(changing);
    expect(await stage.clear()).toEqual([]);
  });

  it('has no long task while two thousand entries change a second, and says what it was not told', async () => {
    await stage.prepare();
    const page = await stage.dashboard();
    await tailIsLive(page);
    const client = await LegacyClient.open(stage.tcpPort);
    let state = 1;
    changing = setInterval(() => {
      state = state === 1 ? 2 : 1;
      client.write(USERS.map((user) => frame(user, state)).join(''));
    }, CHANGE_ALL_EVERY_MS);
    await page
      .locator('.tail')
      .getByText(/live, [\d,]+ skipped by the hub/)
      .waitFor();

    const longest = await longestTaskMs(stage.browser, page, () => delay(WATCHED_FOR_MS));
    expect(longest).toBeGreaterThan(0);
    expect(longest).toBeLessThan(MAX_TASK_MS);
    // The head is a row, too.
    expect(await page.locator('.tail table').getAttribute('aria-rowcount')).toBe('301');
    expect(await tailRow(page).count()).toBeLessThan(60);
    clearInterval(changing);
    client.reset();
  });
});
