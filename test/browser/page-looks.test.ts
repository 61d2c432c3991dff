/**
 * How the friend page looks: pictures of it in its states, light, dark and on a phone, in a temporary folder to look at
 * (PICTURES=folder says where), and what axe finds in each, which is nothing serious.
 */
import axe from 'axe-core';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../server/lib/time/clock.ts';
import { connection, FriendPageStage, friendRow } from '../support/friend-page.ts';
import { needing } from '../support/needs.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

const looks: readonly (readonly [string, BrowserContextOptions])[] = [
  ['light', { colorScheme: 'light', viewport: { width: 1120, height: 820 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1120, height: 820 } }],
  ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
  ['phone-dark', { colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
];
const team = [
  ['alan.2', { status: 'online', device: 'tablet', text: 'in the garden' }],
  ['amir.3', { status: 'online', device: 'legacy' }],
  ['aya.6', { status: 'online', device: 'web', text: 'Reviewing the quarterly numbers with Bo, back at three' }],
  ['bo.8', { status: 'busy', device: 'phone', text: 'on a call' }],
  ['ana-maria@chat.example', { status: 'away', device: 'web', text: 'lunch' }],
  ['ben.7', { status: 'away', device: 'legacy' }],
] as const;
const absent = ['ada.1', 'carla.9', '1204'];

describe('the friend page', needing('Chromium'), () => {
  const folder = process.env['PICTURES'] ?? mkdtempSync(join(tmpdir(), 'friend-page-'));
  let stage: FriendPageStage;

  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    stage = await FriendPageStage.open();
    process.stdout.write(`pictures: ${folder}\n`);
  });
  afterAll(() => stage.close());
  beforeEach(() => stage.prepare());
  afterEach(async () => expect(await stage.clear()).toEqual([]));

  const seriousFaults = async (page: Page): Promise<readonly string[]> => {
    // Its policy forbids scripts of others; what the test evaluates comes by the debugger.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join()}`);
  };
  const look = async (page: Page, name: string): Promise<void> => {
    await page.screenshot({ path: join(folder, `${name}.png`) });
    expect(await seriousFaults(page)).toEqual([]);
  };
  const overflowPx = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const gather = async () => {
    for (const user of absent.slice(0, 2)) {
      await stage.beat(user);
      await stage.beat(user, { status: 'offline' });
    }
    for (const [user, said] of team) await stage.beat(user, said);
    await stage.beat('amir.3', { device: 'phone' });
    await stage.befriend('42', [...team.map(([user]) => user), ...absent]);
  };

  it.each(looks)('%s: before anybody is picked, without friends, and refused', async (name, options) => {
    const page = await stage.page('/', { ...options, reducedMotion: 'reduce' });
    await page.getByRole('heading', { name: 'Which of your friends are online?' }).waitFor();
    await look(page, `${name}-welcome`);
    await page.getByLabel('User').fill('42');
    await page.getByRole('button', { name: 'Show friends' }).click();
    await page.getByRole('heading', { name: 'No friends yet' }).waitFor();
    await page.getByLabel('Add a friend').fill('a b');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByText('must be 1 to 128 characters').waitFor();
    await look(page, `${name}-no-friends`);
    expect(await overflowPx(page)).toBe(0);
  });

  it.each(looks)('%s: nine friends, one of them in detail, and then the hub gone', async (name, options) => {
    await gather();
    const page = await stage.page('/?user=42', { ...options, reducedMotion: 'reduce' });
    await page.getByText('6 of 9 online').waitFor();
    await page.getByLabel('What I am doing').fill('writing tests');
    await page.getByLabel('What I am doing').press('Enter');
    await page.getByLabel('Me', { exact: true }).getByText('Online on web').waitFor();
    await page.getByLabel('What I am doing').blur();
    await look(page, `${name}-nine`);
    expect(await overflowPx(page)).toBe(0);
    await friendRow(page, 'aya.6').getByRole('button').click();
    await page.getByRole('button', { name: 'Unfriend…' }).click();
    await look(page, `${name}-details`);
    await page.keyboard.press('Escape');
    await stage.killHub();
    await connection(page, 'behind');
    await look(page, `${name}-behind`);
  });

  it.each(looks)('%s: two thousand friends', async (name, options) => {
    const friends = Array.from({ length: 2000 }, (_, i) => `friend.${i}`);
    await stage.befriend('42', friends);
    for (const user of friends.slice(0, 40))
      await stage.beat(user, { status: ['online', 'busy', 'away'][Number(user.slice(7)) % 3]! });
    const page = await stage.page('/?user=42', { ...options, reducedMotion: 'reduce' });
    await page.getByText('40 of 2000 online').waitFor();
    await page.mouse.wheel(0, 2400);
    await friendRow(page, 'friend.40').waitFor();
    await look(page, `${name}-two-thousand`);
    await page.getByLabel('Search friends').fill('nobody at all');
    await page.getByRole('heading', { name: 'No friends found' }).waitFor();
    await look(page, `${name}-none-found`);
  });

  it.each(looks)('%s: long ids and texts, and another user’s token', async (name, options) => {
    const [user, friend] = ['w'.repeat(128), 'm'.repeat(128)];
    await stage.befriend(user, [friend, 'x'.repeat(34)]);
    await stage.beat(friend, { device: 'd'.repeat(64), text: 't'.repeat(140) });
    const page = await stage.page(`/?user=${user}`, { ...options, reducedMotion: 'reduce' });
    await page.getByText('1 of 2 online').waitFor();
    await look(page, `${name}-long`);
    expect(await overflowPx(page)).toBe(0);
    await friendRow(page, friend).getByRole('button').click();
    await page.getByRole('button', { name: 'Unfriend…' }).click();
    await look(page, `${name}-long-details`);
    expect(await page.getByRole('dialog').evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth)).toBe(0);

    await stage.clear();
    await stage.prepare({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
    const clock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    const refused = await stage.page(`/?user=42#token=${await tokenFor(user, { clock })}`, options);
    await connection(refused, 'refused');
    await look(refused, `${name}-token-refused`);
    expect(await overflowPx(refused)).toBe(0);
  });
});
