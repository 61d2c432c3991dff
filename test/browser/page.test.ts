/** The friend page in a real Chromium, against a real hub that is killed and started, with a real legacy client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../server/lib/time/clock.ts';
import { asSeen, TURNING } from '../support/bidi.ts';
import { connection, FriendPageStage, friendRow } from '../support/friend-page.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

describe('the friend page', needing('Chromium'), () => {
  let stage: FriendPageStage;

  beforeAll(async () => {
    stage = await FriendPageStage.open();
  });
  afterAll(() => stage.close());
  beforeEach(() => stage.prepare());
  afterEach(async () => expect(await stage.clear()).toEqual([]));

  const shownUsers = (page: Page) =>
    page.locator('li.friend').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-user')));
  const entryOf = (user: string) => stage.ask('GET', `/v1/presence/${user}`);

  describe('shows friends', () => {
    it('shows a legacy friend come, fall silent and come back', async () => {
      await stage.befriend('42', ['7']);
      const page = await stage.page('/?user=42');
      await friendRow(page, '7', 'offline').waitFor();
      const legacy = await LegacyClient.open(stage.tcpPort);
      legacy.beat('7');
      await friendRow(page, '7', 'online').waitFor();
      await page.getByText('1 of 1 online').waitFor();
      legacy.beat('7', 3);
      await friendRow(page, '7', 'busy').getByText('legacy').waitFor();
      await friendRow(page, '7', 'offline').getByText('Last seen just now').waitFor();
      legacy.beat('7');
      await friendRow(page, '7', 'online').waitFor();
    });

    it('puts online first, then busy, away and offline, the last seen first, and finds by id and text', async () => {
      await stage.befriend('42', ['a10', 'a2', 'b', 'c', 'd', 'e', 'never']);
      for (const user of ['d', 'e']) {
        await stage.beat(user);
        await stage.beat(user, { status: 'offline' });
      }
      await stage.beat('c', { status: 'away', text: 'out for lunch' });
      await stage.beat('b', { status: 'busy' });
      for (const user of ['a10', 'a2']) await stage.beat(user);
      const page = await stage.page('/?user=42');
      await page.getByText('4 of 7 online').waitFor();
      expect(await shownUsers(page)).toEqual(['a2', 'a10', 'b', 'c', 'e', 'd', 'never']);
      await page.keyboard.press('/');
      await page.keyboard.type('LUNCH');
      await expect.poll(() => shownUsers(page)).toEqual(['c']);
      await page.keyboard.press('Escape');
      await page.getByLabel('Search friends').fill('a');
      await expect.poll(() => shownUsers(page)).toEqual(['a2', 'a10']);
    });

    it('lets "last seen" grow old by itself', async () => {
      await stage.befriend('42', ['7']);
      await stage.beat('7');
      await stage.beat('7', { status: 'offline' });
      const page = await stage.page('/');
      await page.clock.install();
      await page.goto(`${stage.hub}/?user=42`);
      await friendRow(page, '7').getByText('Last seen just now').waitFor();
      await page.clock.fastForward('03:05');
      await friendRow(page, '7').getByText('Last seen 3 minutes ago').waitFor();
    });

    it.each([-60, 60])('shows times by the hub, also on a machine whose clock is %d minutes off', async (minutes) => {
      await stage.befriend('42', ['7']);
      await stage.beat('7');
      await stage.beat('7', { status: 'offline' });
      const page = await stage.page('/');
      // A worker would have the right clock.
      await page.addInitScript(() => Reflect.deleteProperty(globalThis, 'SharedWorker'));
      await page.clock.install({ time: Date.now() + minutes * 60_000 });
      await page.goto(`${stage.hub}/?user=42`);
      await friendRow(page, '7').getByText('Last seen just now').waitFor();
      await page.clock.fastForward('03:05');
      await friendRow(page, '7').getByText('Last seen 3 minutes ago').waitFor();
      await stage.killHub();
      await connection(page, 'behind');
      const asOf = /^As of (\d\d):(\d\d),/.exec((await page.locator('#connection').textContent()) ?? '')!;
      const shown = new Date().setHours(Number(asOf[1]), Number(asOf[2]));
      expect(Math.abs(shown - Date.now()) % 86_400_000).toBeLessThan(10 * 60_000);
    });

    it('keeps its lines in order, whatever a friend and its devices are called', async () => {
      await stage.befriend('42', ['7']);
      const text = TURNING['the end of an isolate, and an override'];
      // Digits take the direction of what they follow.
      for (const device of ['מכשיר', '\u202eend', '１２']) await stage.beat('7', { text, device });
      const page = await stage.page('/?user=42');
      const row = friendRow(page, '7', 'online');
      await row.getByText('words').waitFor();
      const devices = ['מכשיר', 'end', '１２'];
      expect(await asSeen(row.locator('.devices'), devices)).toEqual(devices);
      const [icon, about] = [row.locator('.avatar'), row.locator('.about')];
      expect((await about.boundingBox())!.x).toBeGreaterThan((await icon.boundingBox())!.x);
      expect(await about.textContent()).toBe('words');
      await row.click();
      const details = page.getByRole('dialog');
      await details.getByText('words').waitFor();
      expect(await asSeen(details.locator('dd').filter({ hasText: 'end' }), devices)).toEqual(devices);
    });

    it('shows where a long text begins, even if it runs from right to left', async () => {
      await stage.befriend('42', ['7']);
      await stage.beat('7', { text: `ראשון ${'אמצע '.repeat(20)}אחרון` });
      const page = await stage.page('/?user=42', { viewport: { width: 390, height: 844 } });
      const about = friendRow(page, '7', 'online').locator('.about');
      await about.waitFor();
      const isInSight = (word: string) =>
        about.evaluate((line, wanted) => {
          const [text] = line.childNodes;
          const range = document.createRange();
          const at = text!.nodeValue!.indexOf(wanted);
          range.setStart(text!, at);
          range.setEnd(text!, at + wanted.length);
          const [box, word] = [line.getBoundingClientRect(), range.getBoundingClientRect()];
          return box.left <= word.left && word.right <= box.right;
        }, word);
      expect([await isInSight('ראשון'), await isInSight('אחרון')]).toEqual([true, false]);
    });

    it('scrolls to the first match of a new search', async () => {
      const friends = Array.from({ length: 400 }, (_, i) => `f${String(i).padStart(3, '0')}`);
      await stage.befriend('42', friends);
      const page = await stage.page('/?user=42', { viewport: { width: 390, height: 844 } });
      await page.getByText('0 of 400 online').waitFor();
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2));
      await friendRow(page, 'f200').waitFor();
      /** How far a row is from what sticks to the upper edge. */
      const topOf = (user: string) =>
        friendRow(page, user).evaluate((row) => {
          const toolbar = document.querySelector('.toolbar')!.getBoundingClientRect();
          return Math.abs(row.getBoundingClientRect().top - toolbar.bottom);
        });
      await page.keyboard.press('/');
      await page.keyboard.type('f1');
      await friendRow(page, 'f100').waitFor();
      await expect.poll(() => topOf('f100')).toBeLessThan(2);
      await page.keyboard.press('Escape');
      await expect.poll(() => topOf('f000')).toBeLessThan(2);
    });

    it('announces to a screen reader who came and went in one line, and counts many', async () => {
      const friends = Array.from({ length: 6 }, (_, i) => `f${i}`);
      await stage.befriend('42', friends);
      const page = await stage.page('/?user=42');
      await page.getByText('0 of 6 online').waitFor();
      await page.evaluate(() => {
        const lines: (string | null)[] = [];
        Object.assign(globalThis, { lines });
        const news = document.querySelector('#news')!;
        new MutationObserver(() => {
          if (news.textContent !== '') lines.push(news.textContent);
        }).observe(news, {
          childList: true,
          characterData: true,
          subtree: true,
        });
      });
      const lines = () => page.evaluate(() => (globalThis as unknown as { lines: string[] }).lines);
      await stage.beat('f0');
      await expect.poll(lines, { timeout: 10_000 }).toEqual(['f0 is online']);
      for (const user of friends.slice(1)) await stage.beat(user, { status: 'busy' });
      await expect.poll(lines, { timeout: 10_000 }).toEqual(['f0 is online', '5 friends changed: 5 busy']);
    });

    it('is walked with the keyboard alone, and who has the focus keeps it when the order changes', async () => {
      const friends = Array.from({ length: 400 }, (_, i) => `f${String(i).padStart(3, '0')}`);
      await stage.befriend('42', friends);
      const page = await stage.page('/?user=42');
      await page.getByText('0 of 400 online').waitFor();
      const focused = () =>
        page.evaluate(() => document.activeElement?.closest('li')?.getAttribute('data-user') ?? null);
      await page.getByLabel('Search friends').focus();
      await page.keyboard.press('ArrowDown');
      expect(await focused()).toBe('f000');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      expect(await focused()).toBe('f002');
      await page.keyboard.press('End');
      await expect.poll(focused).toBe('f399');
      expect(await friendRow(page, 'f399').isVisible()).toBe(true);
      await page.keyboard.press('ArrowUp');
      await expect.poll(focused).toBe('f398');
      await stage.beat('f398');
      await friendRow(page, 'f398', 'online').waitFor();
      await expect.poll(focused).toBe('f398');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'f398' }).waitFor();
      await page.keyboard.press('Escape');
      await expect.poll(focused).toBe('f398');
      await page.keyboard.press('Home');
      await expect.poll(focused).toBe('f398'); // it is online now, and so the first
      await page.keyboard.press('ArrowDown');
      await expect.poll(focused).toBe('f000');
    });
  });

  describe('changes', () => {
    it('befriends and unfriends, with a second question', async () => {
      const page = await stage.page('/?user=42');
      await page.getByRole('heading', { name: 'No friends yet' }).waitFor();
      await page.getByLabel('Add a friend').fill('7');
      await page.keyboard.press('Enter');
      await friendRow(page, '7', 'offline').waitFor();
      await page.getByText('7 is now a friend').waitFor();
      await page.getByRole('button', { name: 'Add friend' }).click();
      await page.getByLabel('Add a friend').fill('8');
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      await friendRow(page, '8').waitFor();
      await friendRow(page, '7').getByRole('button').click();
      await page.getByRole('button', { name: 'Unfriend…' }).click();
      await page.getByRole('button', { name: 'Keep' }).click();
      await page.getByRole('button', { name: 'Unfriend…' }).click();
      await page.getByRole('button', { name: 'Unfriend 7' }).click();
      await page.getByText('7 is no longer a friend').waitFor();
      await expect.poll(() => shownUsers(page)).toEqual(['8']);
      expect(await stage.ask('GET', '/v1/users/42/friends')).toMatchObject({ friends: ['8'] });
    });

    it('says what a bad friend lacks, and keeps what was typed', async () => {
      const page = await stage.page('/?user=42');
      await page.getByLabel('Add a friend').fill('a b');
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByText('A user id must be 1 to 128 characters').waitFor();
      expect(await page.getByLabel('Add a friend').inputValue()).toBe('a b');
      await page.getByLabel('Add a friend').fill('42');
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByText('you cannot add yourself').waitFor();
    });

    it('sets my status and text; a reload keeps both, and my watchers do not notice', async () => {
      await stage.befriend('7', ['42']);
      const page = await stage.page('/?user=42');
      await page.getByLabel('Me', { exact: true }).getByText('Online on web').waitFor();
      const watcher = await WsClient.hello(`${stage.hub.replace('http', 'ws')}/ws`, { user: '7', observe: true });
      watcher.send({ type: 'watch', friendsOf: '7' });
      await watcher.next('snapshot');
      await page.getByRole('radio', { name: 'Busy' }).check();
      await page.getByLabel('What I am doing').fill('writing tests');
      await page.getByLabel('What I am doing').press('Enter');
      await watcher.next('presence', ({ entries }) => entries[0]?.text === 'writing tests');
      expect(await entryOf('42')).toMatchObject({ status: 'busy', text: 'writing tests', devices: ['web'] });
      const received = watcher.all.length;
      await page.reload();
      await page.getByLabel('Me', { exact: true }).getByText('Busy on web').waitFor();
      expect(await page.getByLabel('What I am doing').inputValue()).toBe('writing tests');
      await page.getByRole('radio', { name: 'Invisible' }).check();
      await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline');
      await page.getByText('Others see you offline').waitFor();
      expect(watcher.all.slice(received)).toHaveLength(1);
      watcher.close();
    });

    it('cuts a text that is too long between characters as people see them, where it was typed', async () => {
      const family = '👩‍👩‍👧‍👦';
      const page = await stage.page('/?user=42');
      const field = page.getByLabel('What I am doing');
      await field.click();
      await page.keyboard.insertText(`${'a'.repeat(135)}${family}x`);
      expect(await field.inputValue()).toBe('a'.repeat(135));
      await page.keyboard.insertText(`bcde${family}`);
      expect(await field.inputValue()).toBe(`${'a'.repeat(135)}bcde`);
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.type('x😀yz');
      expect(await field.inputValue()).toBe(`${'a'.repeat(135)}bcdxe`);
      // What an input method composes is cut when it is done.
      const cdp = await page.context().newCDPSession(page);
      await cdp.send('Input.imeSetComposition', { text: 'か', selectionStart: 1, selectionEnd: 1 });
      expect(await field.inputValue()).toBe(`${'a'.repeat(135)}bcdxかe`);
      await page.keyboard.insertText('火');
      expect(await field.inputValue()).toBe(`${'a'.repeat(135)}bcdxe`);
      await page.keyboard.press('Enter');
      await expect.poll(() => entryOf('42')).toMatchObject({ text: `${'a'.repeat(135)}bcdxe` });
    });

    it.each([
      ['too long', `${'a'.repeat(139)}😀`, 'a'.repeat(139)],
      ['cut in half', 'ab\ud83d', 'ab'],
    ])('says again as much as may be said of a text that it kept %s', async (_, kept, said) => {
      const page = await stage.page('/healthz');
      await page.evaluate(
        (mine) => localStorage.setItem('presence-hub mine 42', mine),
        JSON.stringify({ status: 'busy', text: kept }),
      );
      await page.goto(`${stage.hub}/?user=42`);
      await page.getByLabel('Me', { exact: true }).getByText('Busy on web').waitFor();
      expect(await page.getByLabel('What I am doing').inputValue()).toBe(said);
      expect(await entryOf('42')).toMatchObject({ status: 'busy', text: said });
    });

    it('keeps my own line in order, whatever one of my devices is called', async () => {
      await stage.beat('42', { device: '\u202eend' });
      const page = await stage.page('/?user=42', { viewport: { width: 640, height: 800 } });
      const me = page.getByLabel('Me', { exact: true });
      await me.getByText('end').waitFor();
      const order = ['web', 'end', 'Switch user'];
      expect(await asSeen(me, order)).toEqual(order);
    });

    it('only watches if it is asked to, and goes online when it is asked to', async () => {
      const page = await stage.page('/?user=42&watch');
      await page.getByRole('heading', { name: 'Friends of 42' }).waitFor();
      await connection(page, 'live');
      expect(await entryOf('42')).toMatchObject({ status: 'offline' });
      await page.getByRole('button', { name: 'Go online as 42' }).click();
      await page.getByLabel('Me', { exact: true }).getByText('Online on web').waitFor();
      expect(await entryOf('42')).toMatchObject({ status: 'online' });
      await page.getByRole('button', { name: 'Switch user' }).click();
      await page.getByLabel('User').waitFor();
      await expect.poll(() => entryOf('42')).toMatchObject({ status: 'offline' });
    });

    it('is light or dark as it was set last, also after a reload', async () => {
      const page = await stage.page('/?user=42', { colorScheme: 'light' });
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await ground();
      await page.getByRole('button', { name: 'Switch to dark' }).click();
      expect(await ground()).not.toBe(light);
      const dark = await ground();
      await page.reload();
      await page.getByRole('button', { name: 'Switch to light' }).waitFor();
      expect(await ground()).toBe(dark);
    });
  });

  describe('when the hub is away', () => {
    /** Every status that a row was seen with from now on. */
    const watchRows = (page: Page) =>
      page.evaluate(() => {
        const seen = new Set<string>();
        Object.assign(globalThis, { seen });
        const look = () => document.querySelectorAll('li.friend').forEach((row) => seen.add(row.className));
        look();
        new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
      });
    const seen = (page: Page) => page.evaluate(() => [...(globalThis as unknown as { seen: Set<string> }).seen]);

    it('keeps what it knew, says as of when, and is right again after a restart, with no wall of offline between', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'hub-page-'));
      try {
        await stage.clear();
        await stage.prepare({ HUB_DATA: folder, HUB_WARM_MS: '1500' });
        const friends = ['a', 'b', 'c'];
        await stage.befriend('42', friends);
        for (const user of friends) await stage.beat(user);
        const page = await stage.page('/?user=42');
        await page.getByText('3 of 3 online').waitFor();
        await watchRows(page);
        await stage.killHub();
        await page.locator('#connection', { hasText: /^As of \d\d:\d\d, reconnecting…$/ }).waitFor();
        await friendRow(page, 'a', 'online').getByText('Was online').waitFor();
        await stage.startHub();
        await page.getByText('3 of 3 online').waitFor();
        await connection(page, 'live');
        expect(await seen(page)).toEqual(['friend online']);
        await stage.beat('b', { status: 'away' });
        await friendRow(page, 'b', 'away').waitFor();
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it('goes on when the browser says that it is offline and the hub is there all the same', async () => {
      await stage.befriend('42', ['7']);
      await stage.beat('7');
      const page = await stage.page('/?user=42');
      await friendRow(page, '7', 'online').waitFor();
      await page.context().setOffline(true);
      await stage.beat('7', { status: 'busy' });
      await friendRow(page, '7', 'busy').getByText('Busy').waitFor();
      await connection(page, 'live');
    });

    it('says so of a change that can not be made, and loses nothing', async () => {
      const page = await stage.page('/?user=42');
      await connection(page, 'live');
      await stage.killHub();
      await page.getByLabel('Add a friend').fill('7');
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByText('The hub did not answer; try again.').waitFor();
      await stage.startHub();
      await page.getByRole('button', { name: 'Add' }).click();
      await friendRow(page, '7').waitFor();
    });
  });

  it.each(['a%20b', '..', 'x'.repeat(129), '%3Cb%3E', '%20'])(
    'asks who one is where the address names what is no user: %s',
    async (user) => {
      const page = await stage.page(`/?user=${user}`);
      await page.getByText('Enter your user id').waitFor();
      await page.getByLabel('User').fill('42');
      await page.keyboard.press('Enter');
      await connection(page, 'live');
      expect(page.url()).toBe(`${stage.hub}/?user=42`);
    },
  );

  describe('at a hub that asks for a token', () => {
    const admin = { authorization: 'Bearer the-admin-token-of-these-tests' };
    const clock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };

    beforeEach(async () => {
      await stage.clear();
      await stage.prepare({
        HUB_AUTH: 'jwt',
        HUB_JWT_SECRET: TEST_SECRET,
        HUB_ADMIN_TOKEN: 'the-admin-token-of-these-tests',
      });
      await stage.befriend('42', ['7'], admin);
    });
    const giveToken = async (page: Page, token: string) => {
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Use token' }).click();
    };

    it('asks for it, shows it to nobody, and keeps it over a reload', async () => {
      const page = await stage.page('/?user=42');
      await page.getByText('This hub requires a token').waitFor();
      expect(await page.getByLabel('Token').getAttribute('type')).toBe('password');
      await giveToken(page, await tokenFor('42', { clock }));
      await page.getByText('0 of 1 online').waitFor();
      expect(await page.getByLabel('Token').count()).toBe(0);
      await page.reload();
      await page.getByText('0 of 1 online').waitFor();
    });

    it('takes it from the fragment, of a page that is open too, and removes it there', async () => {
      const page = await stage.page(`/?user=42#token=${await tokenFor('42', { clock })}`);
      await page.getByText('0 of 1 online').waitFor();
      expect(page.url()).toBe(`${stage.hub}/?user=42`);
      const other = await stage.page('/?user=42');
      await other.getByText('This hub requires a token').waitFor();
      await other.evaluate(`location.hash = 'token=${await tokenFor('42', { clock })}'`);
      await other.getByText('0 of 1 online').waitFor();
      expect(other.url()).toBe(`${stage.hub}/?user=42`);
    });

    it('asks again when it has expired, and keeps what it knew', async () => {
      const page = await stage.page(`/?user=42#token=${await tokenFor('42', { clock, expiresInS: 10 })}`);
      await friendRow(page, '7', 'offline').waitFor();
      await page.getByText('Your token has expired').waitFor();
      expect(await friendRow(page, '7', 'offline').count()).toBe(1);
      await giveToken(page, await tokenFor('42', { clock }));
      await connection(page, 'live');
      await page.getByText('0 of 1 online').waitFor();
    });

    it.each([
      ['that runs out', async () => tokenFor('42', { clock, expiresInS: -10 })],
      ['that another key has signed', async () => tokenFor('42', { clock, secret: 'x'.repeat(64) })],
      ['that is none', () => Promise.resolve('nonsense')],
    ])('says that it does not accept a token %s, as often as it is given, and takes a better one', async (_, bad) => {
      const page = await stage.page(`/?user=42#token=${await bad()}`);
      await page.locator('#connection').getByText('That token is invalid or has expired').waitFor();
      await giveToken(page, await bad());
      await page.locator('#connection').getByText('That token is invalid or has expired').waitFor();
      await giveToken(page, await tokenFor('42', { clock }));
      await page.getByText('0 of 1 online').waitFor();
      expect(await page.getByLabel('Token').count()).toBe(0);
    });

    it('says whose token it is if it is another user’s, and takes a better one', async () => {
      const page = await stage.page(`/?user=42#token=${await tokenFor('43', { clock })}`);
      await page.locator('#connection').getByText('This token belongs to 43, not to 42.').waitFor();
      await connection(page, 'refused');
      await giveToken(page, await tokenFor('42', { clock }));
      await page.getByText('0 of 1 online').waitFor();
      const watcher = await stage.page(`/?user=42&watch#token=${await tokenFor('43', { clock })}`);
      await watcher
        .locator('#connection')
        .getByText('This token belongs to 43, not to 42: it does not allow you to see the friends of 42.')
        .waitFor();
    });

    it('says that an admin has ended the session', async () => {
      const page = await stage.page(`/?user=42#token=${await tokenFor('42', { clock })}`);
      await page.getByText('0 of 1 online').waitFor();
      const { sessions } = (await stage.ask('GET', '/v1/users/42/explain', undefined, admin)) as {
        sessions: { id: string }[];
      };
      await stage.ask('DELETE', `/v1/users/42/sessions/${sessions[0]!.id}`, undefined, admin);
      await page.locator('#connection').getByText('An admin has ended this session.').waitFor();
    });

    it('befriends with the token, or says that it may not', async () => {
      const page = await stage.page(`/?user=42#token=${await tokenFor('42', { clock, scopes: ['admin'] })}`);
      const add = async (in_: Page) => {
        await in_.getByRole('button', { name: 'Add friend' }).click();
        await in_.getByLabel('Add a friend').fill('8');
        await in_.keyboard.press('Enter');
      };
      await add(page);
      await page.getByText('0 of 2 online').waitFor();
      const other = await stage.page(`/?user=42#token=${await tokenFor('42', { clock })}`);
      await add(other);
      await other.getByText('You may not change this list; an admin can.').waitFor();
    });
  });
});
