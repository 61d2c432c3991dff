/**
 * The dashboard while very much changes: it stays quick, keeps some hundred rows and says how many it was not sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DashboardStage, tailIsLive, tailRow } from '../support/dashboard-stage.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { LONG_TASK_MS, longestTaskMs } from '../support/page-tasks.ts';

const USERS = Array.from({ length: 500 }, (_, index) => `busy.${index}`);
const CHANGE_ALL_EVERY_MS = 250;
const WATCHED_FOR_MS = 6000;

describe('a busy dashboard', needing('Chromium'), () => {
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

  it('has no long task while two thousand entries change a second, and says what it was not sent', async () => {
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

    const longest = await longestTaskMs('tailed', stage.browser, page, () => delay(WATCHED_FOR_MS));
    expect(longest).toBeLessThan(LONG_TASK_MS);
    expect(await tailRow(page).count()).toBeLessThan(60);
    clearInterval(changing);
    // The head is a row, too.
    await page.locator('.tail table[aria-rowcount="301"]').waitFor();
    client.reset();
  });
});
