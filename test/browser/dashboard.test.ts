/** The operator's dashboard in a real Chromium, against a real hub with real clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatTime } from '../../client/ui/ago.ts';
import type { Explanation } from '../../shared/index.ts';
import { asSeen, TURNING } from '../support/bidi.ts';
import { DashboardStage, plotInWords, recordField, tailIsLive, tailRow } from '../support/dashboard-stage.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN_TOKEN = 'an-admin-token-of-the-tests';
/** After that a change is on the disk: the hub writes it 250 ms later at most. */
const WRITTEN_BEHIND_MS = 1000;
const systemClock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };

describe('the dashboard', needing('Chromium'), () => {
  let stage: DashboardStage;
  const legacyClients: LegacyClient[] = [];

  beforeAll(async () => {
    stage = await DashboardStage.open();
  });
  afterAll(() => stage.close());
  beforeEach(() => {
    legacyClients.length = 0;
  });
  afterEach(async () => {
    for (const client of legacyClients) client.reset();
    expect(await stage.clear()).toEqual([]);
  });

  const legacy = async () => {
    const client = await LegacyClient.open(stage.tcpPort);
    legacyClients.push(client);
    return client;
  };
  const giveToken = async (page: Page, token: string) => {
    await page.getByLabel('Admin token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  const figure = (page: Page, id: string) => page.locator(`data[data-figure="${id}"]`);
  const hasFigure = (page: Page, id: string, value: number) =>
    page.locator(`data[data-figure="${id}"][value="${value}"]`).waitFor();

  describe('who may look', () => {
    it('asks for the token, says why one is refused, lets the right one in and keeps it in this tab alone', async () => {
      await stage.prepare({ HUB_ADMIN_TOKEN: ADMIN_TOKEN });
      const page = await stage.dashboard();
      await page.getByText('Sign in with the admin token of this hub').waitFor();
      expect(await page.getByRole('heading', { name: 'Plots' }).count()).toBe(0);
      await giveToken(page, 'some-other-token-of-16');
      await page.getByText('The hub rejected this token').waitFor();
      await giveToken(page, ADMIN_TOKEN);
      await page.getByRole('heading', { name: 'Plots' }).waitFor();
      await tailIsLive(page);

      await page.reload();
      await hasFigure(page, 'sessions', 0);
      expect(await page.getByLabel('Admin token').count()).toBe(0);
      const [elsewhere] = [await page.context().newPage()];
      await elsewhere.goto(`${stage.hub}/admin`);
      await elsewhere.getByText('Sign in with the admin token of this hub').waitFor();

      expect(await page.content()).not.toContain(ADMIN_TOKEN);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('This tab no longer has the token').waitFor();
      expect(await page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain(ADMIN_TOKEN);
    });

    it('takes the token out of the address', async () => {
      await stage.prepare({ HUB_ADMIN_TOKEN: ADMIN_TOKEN });
      const page = await stage.dashboard(`#token=${encodeURIComponent(ADMIN_TOKEN)}`);
      await tailIsLive(page);
      expect(page.url()).toBe(`${stage.hub}/admin`);
    });

    it('distinguishes a valid token without the scope admin from a wrong one', async () => {
      await stage.prepare({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
      const page = await stage.dashboard();
      await giveToken(page, await tokenFor('42', { clock: systemClock }));
      await page.getByText('This token is valid, but does not have the scope admin').waitFor();
      await giveToken(page, await tokenFor('42', { clock: systemClock, scopes: ['admin'] }));
      await tailIsLive(page);
    });

    it('asks again when the token expires, and keeps what it showed', async () => {
      await stage.prepare({ HUB_AUTH: 'jwt', HUB_JWT_SECRET: TEST_SECRET });
      const page = await stage.dashboard();
      await giveToken(page, await tokenFor('42', { clock: systemClock, scopes: ['admin'], expiresInS: 8 }));
      await tailIsLive(page);
      await page.getByText('The hub rejected this token').waitFor();
      expect(await figure(page, 'sessions').textContent()).toBe('0');
    });

    it('asks nobody where the hub is open', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await tailIsLive(page);
      expect(await page.getByLabel('Admin token').count()).toBe(0);
      expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0);
    });
  });

  describe('its plots', () => {
    it('move under load, and say in words what /metrics says', async () => {
      await stage.prepare({ HUB_TCP_TIMEOUT_MS: '60000' });
      const page = await stage.dashboard();
      await tailIsLive(page);
      const client = await legacy();
      for (const user of ['1', '2', '3']) client.beat(user);
      await stage.beat('4');
      await hasFigure(page, 'sessions', 4);
      for (const user of ['1', '2', '3']) client.beat(user, 3);
      client.write('<protocol><user_id>a b</user_id></protocol>');

      await plotInWords(page, 'sessions').getByText('tcp-xml 3 now, between 0 and 3').waitFor();
      await plotInWords(page, 'changes')
        .getByText(/between 0\/s and [1-9.]/)
        .waitFor();
      await plotInWords(page, 'heartbeats')
        .getByText(/tcp-xml \S+ now, between 0\/s and [1-9.]/)
        .waitFor();
      await plotInWords(page, 'bad-frames')
        .getByText(/user_id \S+ now, between 0\/s and/)
        .waitFor();
      expect(await stage.metric('presence_hub_sessions{adapter="tcp-xml"}')).toBe(3);
      expect(await stage.metric('presence_hub_sessions{adapter="http"}')).toBe(1);
      await plotInWords(page, 'sessions').getByText('http 1 now, between 0 and 1').waitFor();
      await expect.poll(() => page.locator('.plot[data-measure="sessions"] canvas').count()).toBe(1);
    });

    it('show how late watchers and lapses are notified, the loop’s lag and the memory', async () => {
      await stage.prepare({ HUB_TCP_TIMEOUT_MS: '400' });
      const page = await stage.dashboard();
      await tailIsLive(page);
      const watcher = await WsClient.hello(`${stage.hub.replace('http', 'ws')}/ws`, { observe: true });
      watcher.send({ type: 'watch', users: ['1'] });
      await watcher.next('snapshot');
      const client = await legacy();
      client.beat('1');
      await tailRow(page, { user: '1', cause: 'lapsed' }).waitFor();
      for (const id of ['delivery-delay', 'lapse-delay']) {
        await plotInWords(page, id)
          .getByText(/p50 .*\d (µs|ms).*; p99 .*\d (µs|ms)/)
          .waitFor();
      }
      await plotInWords(page, 'loop-lag')
        .getByText(/p50 .*; p99 .*(µs|ms)/)
        .waitFor();
      await plotInWords(page, 'memory')
        .getByText(/^resident [\d.]+ MiB/)
        .waitFor();
      const shown = Number(await figure(page, 'memory').getAttribute('value'));
      expect(shown / (await stage.metric('process_resident_memory_bytes'))).toBeCloseTo(1, 0);
    });

    it('stand still while paused, and go on', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await hasFigure(page, 'sessions', 0);
      const plots = page.locator('.plots');
      await plots.getByRole('button', { name: 'Pause' }).click();
      const before = await plotInWords(page, 'sessions').textContent();
      await stage.beat('4');
      await hasFigure(page, 'sessions', 1);
      expect(await plotInWords(page, 'sessions').textContent()).toBe(before);
      await plots.getByRole('button', { name: 'Resume' }).click();
      await plotInWords(page, 'sessions').getByText('http 1 now').waitFor();
    });

    it('show the values of a moment by keyboard, in all at once', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await hasFigure(page, 'sessions', 0);
      await stage.beat('4');
      await hasFigure(page, 'sessions', 1);
      const http = page
        .locator('.plot[data-measure="sessions"] .legend li')
        .filter({ hasText: 'http' })
        .locator('data');
      await page.locator('.plot[data-measure="changes"] .canvas').focus();
      await page.keyboard.press('PageUp');
      await expect.poll(() => http.getAttribute('value')).toBe('0');
      expect(await page.locator('.moment').textContent()).toMatch(/^\d\d:\d\d:\d\d$/);
      await page.keyboard.press('Escape');
      await expect.poll(() => http.getAttribute('value')).toBe('1');
    });
  });

  describe('a user', () => {
    it('of a legacy client is explained by the five fields of its record, and followed', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await tailIsLive(page);
      const client = await legacy();
      const frame = (state: number) =>
        `<protocol><user_id>42</user_id><user_state>${state}</user_state><user_ip>10.0.0.7</user_ip><user_port>5222</user_port></protocol>`;
      client.write(frame(3));
      await tailRow(page, { user: '42', cause: 'came' }).getByRole('link').click();
      await page.getByRole('heading', { name: '42 is shown busy' }).waitFor();

      const { sessions } = JSON.parse((await stage.ask('GET', '/v1/users/42/explain')).text) as Explanation;
      const { connectedAt, lastHeartbeatAt, leaseEndsAt } = sessions[0]!;
      const time = (at: number | null) => formatTime(at!, Date.now());
      expect(await recordField(page, 'Address').textContent()).toMatch(
        /^10\.0\.0\.7:5222 claimed, connected from 127\.0\.0\.1:\d+$/,
      );
      expect(await recordField(page, 'Identifier').textContent()).toContain('42');
      expect(await recordField(page, 'Network state').textContent()).toContain('3 busy');
      expect(await recordField(page, 'Connect time').textContent()).toContain(time(connectedAt));
      expect(await recordField(page, 'Heartbeat time').textContent()).toContain(time(lastHeartbeatAt));
      expect(leaseEndsAt).toBeGreaterThan(lastHeartbeatAt);
      await page
        .locator('.left')
        .filter({ hasText: /[0-5]\.\d s/ })
        .waitFor();
      await page.locator('.transitions li[data-cause="came"]').waitFor();

      client.write(frame(2));
      await page.getByRole('heading', { name: '42 is shown away' }).waitFor();
      expect(page.url()).toBe(`${stage.hub}/admin?user=42`);
      const friendPage = page.getByRole('link', { name: 'Friend page' });
      expect(await friendPage.getAttribute('href')).toBe('/?user=42');
      expect(await page.locator('.find code').textContent()).toBe(`curl -sS '${stage.hub}/v1/users/42/explain'`);
    });

    it.each(Object.entries(TURNING))('keeps its lines in order, whatever a user says: %s', async (_, text) => {
      await stage.prepare();
      const page = await stage.dashboard('?user=42');
      await tailIsLive(page);
      // Digits take the direction of what they follow.
      for (const device of ['\u202eend', '１２']) await stage.beat('42', { text, device });
      await page.getByRole('heading', { name: '42 is shown online' }).waitFor();
      await page.locator('.seen').getByText('１２').waitFor();
      const order = ['since', 'words', 'on ', 'end', '１２'];
      expect(await asSeen(page.locator('.seen'), order)).toEqual(order);
      const change = tailRow(page, { user: '42' }).last().locator('.change');
      expect(await change.getAttribute('title')).toMatch(/^online, \u2068[^\u202a-\u202e\u2066-\u2069\u2029]*\u2069$/);
      await page
        .locator('.session')
        .first()
        .getByRole('button', { name: /^End session/ })
        .click();
      const question = ['end', 'over', 'Takes effect'];
      expect(await asSeen(page.getByRole('dialog'), question)).toEqual(question);
    });

    it('shows markup as text, and ids and texts of the greatest length in their places', async () => {
      await stage.prepare({ HUB_HISTORY_DAYS: '1' });
      const user = 'w'.repeat(128);
      const page = await stage.dashboard(`?user=${user}`, { viewport: { width: 390, height: 800 } });
      await tailIsLive(page);
      const markup = `<img src=x onerror="document.title='run'">&lt;`;
      await stage.beat(user, { device: markup, text: markup + 'w'.repeat(140 - markup.length) });
      await page.getByRole('heading', { name: `${user} is shown online` }).waitFor();
      await page.locator('.seen').getByText(markup).first().waitFor();
      await tailRow(page, { user }).first().waitFor();
      const faults = await page.evaluate(() => ({
        images: document.querySelectorAll('img[src="x"]').length,
        title: document.title === 'run',
        overflow: document.documentElement.scrollWidth > innerWidth,
      }));
      expect(faults).toEqual({ images: 0, title: false, overflow: false });
    });

    it('keeps its labels in order, whatever id the address names', async () => {
      await stage.prepare();
      const page = await stage.dashboard(`?user=${encodeURIComponent('x\u2069\u202ey')}`);
      await page.getByText(/^400: /).waitFor();
      await page.getByRole('button', { name: 'Close \u2068xy\u2069' }).waitFor();
      await page.getByRole('link', { name: /^Friend page of xy, in a new tab/ }).waitFor();
    });

    it('of an id that is none is refused in the hub’s words, and one never seen is said to be so', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      const input = page.getByRole('searchbox', { name: 'Why this status?' });
      await input.fill('a b');
      await page.getByRole('button', { name: 'Explain', exact: true }).click();
      await page.getByText(/^400: .*must be 1 to 128 characters/).waitFor();
      await input.fill('nobody');
      await input.press('Enter');
      await page.getByText('The hub has never seen this user.').waitFor();
      await page.goBack();
      await page.getByText(/^400:/).waitFor();
    });
  });

  describe('ending a session', () => {
    it('asks once more, ends it, and the tail shows it with its cause', async () => {
      await stage.prepare();
      const page = await stage.dashboard('?user=42');
      await tailIsLive(page);
      const client = await WsClient.hello(`${stage.hub.replace('http', 'ws')}/ws`, { user: '42', device: 'phone' });
      await page.getByRole('heading', { name: '42 is shown online' }).waitFor();
      await page.getByRole('button', { name: /^End session/ }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('Its WebSocket is closed with 4403').waitFor();
      const session = await page.locator('.session').getAttribute('data-session');
      expect(await dialog.locator('code').textContent()).toBe(
        `curl -sS -X DELETE '${stage.hub}/v1/users/42/sessions/${session!}'`,
      );
      await page.keyboard.press('Escape');
      expect(await dialog.count()).toBe(0);
      expect(await stage.metric('presence_hub_sessions{adapter="ws-json"}')).toBe(1);

      await page.getByRole('button', { name: /^End session/ }).click();
      await page.getByRole('button', { name: 'End session', exact: true }).click();
      await page.getByText(`204: session ${session!} has ended.`).waitFor();
      expect(await client.closed).toBe(4403);
      await tailRow(page, { user: '42', cause: 'kicked' }).waitFor();
      await page.getByRole('heading', { name: '42 is shown offline' }).waitFor();
      await page.locator('.transitions li[data-cause="kicked"]').waitFor();
    });

    it('says so if the session has ended meanwhile', async () => {
      await stage.prepare();
      await stage.beat('42');
      const page = await stage.dashboard('?user=42');
      await page.getByRole('button', { name: /^End session/ }).click();
      await stage.ask('POST', '/v1/heartbeat', { user: '42', status: 'offline' });
      await page.getByRole('button', { name: 'End session', exact: true }).click();
      await page.getByText(/^404: /).waitFor();
    });
  });

  describe('the tail', () => {
    it('shows only what passes the filter; the hub itself leaves other users out', async () => {
      await stage.prepare({ HUB_TCP_TIMEOUT_MS: '60000' });
      const page = await stage.dashboard();
      await tailIsLive(page);
      const client = await legacy();
      client.beat('ada.1');
      await stage.beat('bob.2', { status: 'busy' });
      await tailRow(page, { user: 'ada.1' }).waitFor();
      await tailRow(page, { user: 'bob.2' }).waitFor();

      await page.getByLabel('adapter', { exact: true }).selectOption('http');
      await expect.poll(() => tailRow(page).count()).toBe(1);
      await page.getByLabel('adapter', { exact: true }).selectOption('');
      await page.getByLabel('status', { exact: true }).selectOption('online');
      await expect.poll(() => tailRow(page, { user: 'bob.2' }).count()).toBe(0);
      await page.getByLabel('status', { exact: true }).selectOption('');

      await page.getByLabel('Part of a user id').fill('.1');
      await expect.poll(() => tailRow(page, { user: 'bob.2' }).count()).toBe(0);
      await page.locator('.tail code').getByText('{"type":"tail","match":".1"}').waitFor();
      client.beat('ada.1', 0);
      await tailRow(page, { user: 'ada.1', cause: 'left' }).waitFor();
      await page.getByLabel('cause', { exact: true }).selectOption('came');
      await expect.poll(() => tailRow(page, { cause: 'left' }).count()).toBe(0);
      expect(await tailRow(page, { user: 'ada.1', cause: 'came' }).count()).toBe(1);
    });

    it('asks the hub for no more than it shows', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await tailIsLive(page);
      const received: string[] = [];
      page.on('websocket', (socket) => {
        socket.on('framereceived', ({ payload }) => received.push(String(payload)));
      });
      await page.reload();
      await tailIsLive(page);
      await page.getByLabel('Part of a user id').fill('b.2');
      await page.locator('.tail code').getByText('b.2').waitFor();
      // Typing has rested once the hub answers for the one and not for the other.
      await expect
        .poll(async () => {
          received.length = 0;
          await stage.beat('ada.1', { text: String(Math.random()) });
          await stage.beat('bob.2', { text: String(Math.random()) });
          await expect.poll(() => received.some((message) => message.includes('bob.2'))).toBe(true);
          return received.some((message) => message.includes('ada.1'));
        })
        .toBe(false);
    });

    it('holds still while paused, and counts what is newer', async () => {
      await stage.prepare();
      const page = await stage.dashboard();
      await tailIsLive(page);
      await stage.beat('1');
      await tailRow(page, { user: '1' }).waitFor();
      const tail = page.locator('.tail');
      await tail.getByRole('button', { name: 'Pause' }).click();
      await stage.beat('2');
      await tail.getByText('paused, 1 newer').waitFor();
      expect(await tailRow(page).count()).toBe(1);
      await tail.getByRole('button', { name: 'Resume' }).click();
      await tailRow(page, { user: '2' }).waitFor();
    });
  });

  it('keeps what it had while the hub is away, says since when, and comes back by itself', async () => {
    await stage.prepare();
    await stage.beat('42');
    const page = await stage.dashboard('?user=42');
    await hasFigure(page, 'sessions', 1);
    await tailIsLive(page);
    await page.getByRole('heading', { name: '42 is shown online' }).waitFor();
    await stage.killHub();
    await page.getByText(/No answer since \d\d:\d\d:\d\d/).waitFor();
    expect(await figure(page, 'sessions').getAttribute('value')).toBe('1');
    await page.getByRole('heading', { name: '42 is shown online' }).waitFor();
    await page.locator('main.behind').waitFor();
    await page.locator('.states').getByText('No answer').waitFor();

    await stage.startHub();
    await page.locator('.unreachable').waitFor({ state: 'detached' });
    await hasFigure(page, 'sessions', 0); // its data was in memory
    await tailIsLive(page);
    await page.getByText('The hub has never seen this user.').waitFor();
    await stage.beat('7');
    await tailRow(page, { user: '7' }).waitFor();
  });

  it('says that the hub is stale after a crash, and that it is fresh again', async () => {
    const data = mkdtempSync(join(tmpdir(), 'presence-hub-dashboard-'));
    try {
      await stage.prepare({ HUB_DATA: data, HUB_WARM_MS: '3000' });
      const page = await stage.dashboard();
      await page.locator('[data-state="fresh"]').getByText('Fresh').waitFor();
      const client = await legacy();
      client.beat('42');
      await tailRow(page, { user: '42' }).waitFor();
      await delay(WRITTEN_BEHIND_MS);
      await stage.killHub();
      await page.locator('.unreachable').waitFor();
      await stage.startHub();
      await page
        .locator('[data-state="fresh"]')
        .getByText(/^Stale since \d\d:\d\d:\d\d$/)
        .waitFor();
      await page.locator('[data-state="fresh"]').getByText('Fresh').waitFor();
    } finally {
      await stage.killHub();
      rmSync(data, { recursive: true, force: true });
    }
  });
});
