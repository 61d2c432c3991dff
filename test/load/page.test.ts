/**
 * The friend page under load: two thousand friends scrolled through, and ten thousand changes a second.
 */
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { connection, FriendPageStage, friendRow } from '../support/friend-page.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { LONG_TASK_MS, longestTaskMs } from '../support/page-tasks.ts';

const FRIENDS = 2_000;
const CHANGES_PER_S = 10_000;
const LOAD_S = 4;

describe('the friend page', needing('Chromium'), () => {
  let stage: FriendPageStage;
  const friends = Array.from({ length: FRIENDS }, (_, i) => `f${i}`);

  beforeAll(async () => {
    stage = await FriendPageStage.open();
  });
  afterAll(() => stage.close());
  beforeEach(() => stage.prepare({ HUB_TCP_TIMEOUT_MS: '120000', HUB_MESSAGES_PER_S: '1000000' }));
  afterEach(async () => expect(await stage.clear()).toEqual([]));

  const nextFrame = (page: Page) =>
    page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

  /** Every row from the first to the last, as it is shown while the page is scrolled through. */
  const shownRows = async (page: Page): Promise<readonly string[]> => {
    const rows = new Map<number, string>();
    await page.evaluate(() => scrollTo(0, 0));
    for (;;) {
      await nextFrame(page);
      const seen = await page
        .locator('li.friend')
        .evaluateAll((items) =>
          items.map(
            (item) =>
              [
                Number(item.getAttribute('aria-posinset')),
                `${item.getAttribute('data-user')} ${item.classList.value}`,
              ] as const,
          ),
        );
      for (const [place, row] of seen) rows.set(place, row);
      const isEnd = await page.evaluate(() => {
        const before = scrollY;
        scrollBy(0, innerHeight * 0.9);
        return scrollY === before;
      });
      if (isEnd) return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
    }
  };

  it(
    'opens two thousand friends at once, and scrolls through them without a long task',
    { timeout: 60_000 },
    async () => {
      await stage.befriend('42', friends);
      for (const user of friends.slice(0, 50)) await stage.beat(user);
      const page = await stage.page('/');
      const opening = await longestTaskMs('opened', stage.browser, page, async () => {
        await page.goto(`${stage.hub}/?user=42`);
        await page.getByText(`50 of ${FRIENDS} online`).waitFor();
        await friendRow(page, 'f0', 'online').waitFor();
        await nextFrame(page);
      });
      // The page's code is read and compiled in it.
      expect(opening).toBeLessThan(2 * LONG_TASK_MS);
      const scrolling = await longestTaskMs('scrolled', stage.browser, page, async () => {
        await page.mouse.move(600, 500);
        for (let turn = 0; turn < 100; turn += 1) {
          await page.mouse.wheel(0, turn < 70 ? 1_200 : -900);
          await nextFrame(page);
          // However far it was flung, rows are in sight.
          if (turn % 10 === 0)
            expect(await page.evaluate(() => document.elementFromPoint(600, 500)?.closest('li')?.className)).toContain(
              'friend',
            );
        }
      });
      expect(scrolling).toBeLessThan(LONG_TASK_MS);
      expect(await page.locator('li.friend').count()).toBeLessThan(100);
    },
  );

  it(
    'follows ten thousand changes a second without a long task, and is right at the end',
    { timeout: 90_000 },
    async () => {
      await stage.befriend('42', friends);
      const gateway = await LegacyClient.open(stage.tcpPort);
      const page = await stage.page('/?user=42');
      await page.getByText(`0 of ${FRIENDS} online`).waitFor();
      const before = await changesSoFar();
      let sent = 0;
      let tookMs = 0;
      const longest = await longestTaskMs('followed', stage.browser, page, async () => {
        const startedAt = performance.now();
        const total = CHANGES_PER_S * LOAD_S;
        while (sent < total) {
          const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1000) * CHANGES_PER_S));
          let frames = '';
          // Each frame gives its user another state than it had: online, away, busy, and for each third user offline.
          for (; sent < due; sent += 1) {
            const [user, turn] = [sent % FRIENDS, Math.floor(sent / FRIENDS)];
            frames += `<protocol><user_id>f${user}</user_id><user_state>${stateOf(user, turn)}</user_state></protocol>`;
          }
          gateway.write(frames);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        await expect
          .poll(async () => (await changesSoFar()) - before, { timeout: 30_000 })
          .toBeGreaterThanOrEqual(total);
        tookMs = performance.now() - startedAt;
        const wanted = await hubRows();
        await expect
          .poll(async () => (await page.locator('.count').textContent()) ?? '')
          .toContain(`${wanted.here} of`);
      });
      process.stdout.write(`${sent} changes in ${(tookMs / 1000).toFixed(1)} s\n`);
      expect(longest).toBeLessThan(LONG_TASK_MS);
      await connection(page, 'live');
      expect(await shownRows(page)).toEqual((await hubRows()).rows);
    },
  );

  const stateOf = (user: number, turn: number): number =>
    (user % 3 === 0 ? [1, -1] : [1, 2, 3])[turn % (user % 3 === 0 ? 2 : 3)]!;
  const changesSoFar = async (): Promise<number> => {
    const text = await (await fetch(`${stage.hub}/metrics`)).text();
    return Number(/^presence_hub_changes_total (\d+)/m.exec(text)?.[1]);
  };
  /** What the hub says of the friends, in the page's order. */
  const hubRows = async (): Promise<{ readonly rows: readonly string[]; readonly here: number }> => {
    const { entries } = (await stage.ask('GET', '/v1/users/42/friends/presence')) as { entries: readonly Entry[] };
    const ranks = ['online', 'busy', 'away', 'offline'];
    const seen = ({ status, lastSeen }: Entry): number => (status === 'offline' ? (lastSeen ?? 0) : 0);
    const inOrder = [...entries].sort(
      (a, b) =>
        ranks.indexOf(a.status) - ranks.indexOf(b.status) ||
        seen(b) - seen(a) ||
        Number(a.user.slice(1)) - Number(b.user.slice(1)),
    );
    return {
      rows: inOrder.map(({ user, status }) => `${user} friend ${status}`),
      here: entries.filter(({ status }) => status !== 'offline').length,
    };
  };
});
