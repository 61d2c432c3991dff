/** The dashboard's page "Who is online" in a real Chromium, against a real hub and a real receiver of webhooks. */
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DashboardStage } from '../support/dashboard-stage.ts';
import { needing } from '../support/needs.ts';

describe('the page "Who is online"', needing('Chromium'), () => {
  let stage: DashboardStage;

  beforeAll(async () => {
    stage = await DashboardStage.open();
  });
  afterAll(() => stage.close());
  afterEach(async () => {
    expect(await stage.clear()).toEqual([]);
  });

  it('pages through the present users and filters them by status and by the beginning of the id', async () => {
    await stage.prepare();
    for (let i = 10; i < 40; i++) await stage.beat(`bot-${i}`);
    await stage.beat('carla', { status: 'busy', text: 'in a meeting' });
    const page = await stage.dashboard();
    await page.getByRole('link', { name: 'Online' }).click();
    const rows = page.locator('.present tbody tr');
    await expect.poll(() => rows.count()).toBe(25);
    await page.getByRole('button', { name: 'Next' }).press('Enter');
    await page.getByText('Page 2').waitFor();
    await expect.poll(() => rows.count()).toBe(6);
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Previous' }).press('Enter');
    await expect.poll(() => rows.count()).toBe(25);
    await page.getByLabel('Status', { exact: true }).selectOption('busy');
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringContaining('in a meeting')]);
    expect(await rows.locator('bdi').first().textContent()).toBe('carla');
    await page.getByLabel('Beginning of a user id').fill('bot-');
    await page.getByText('No user matches.').waitFor();
    await page.getByLabel('Status', { exact: true }).selectOption('');
    await page.getByLabel('Beginning of a user id').fill('bot-3');
    await expect.poll(() => rows.count()).toBe(10);
    await page
      .locator('#summary-counts')
      .getByText(/online 30.*busy 1/)
      .waitFor();
  });

  it('works below a path of a proxy, with the slash and without', async () => {
    await stage.prepare();
    await stage.beat('42');
    const { port, hostname } = new URL(stage.hub);
    const proxy = createServer((request, response) => {
      const path = /^\/hub(\/.*)$/.exec(request.url ?? '')?.[1];
      if (path === undefined) return void response.writeHead(404).end();
      // The hub in open mode answers only under its own name.
      const headers = { ...request.headers, host: `${hostname}:${port}` };
      const onward = ask({ port, hostname, path, method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    try {
      const page = await stage.dashboard();
      for (const slash of ['', '/']) {
        await page.goto(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}/hub/admin${slash}?page=online`);
        await page.locator('.present tbody tr[data-user="42"]').waitFor();
        expect(await page.getByRole('link', { name: 'Docs' }).getAttribute('href')).toBe('/hub/docs');
      }
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  it('names the settings that turn on what is off', async () => {
    await stage.prepare();
    const page = await stage.dashboard('?page=online');
    await page.getByLabel('User id', { exact: true }).fill('42');
    await page.getByLabel('User id', { exact: true }).press('Enter');
    await page.getByText('History is off: set HUB_HISTORY_DAYS above 0 to turn it on.').waitFor();
    await page.getByText('set HUB_WEBHOOKS or HUB_WEBHOOK_URL').waitFor();
  });

  it('shows a history with the time before it began as unknown, and sends a test to a webhook', async () => {
    const types: string[] = [];
    const receiver = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        types.push((JSON.parse(body) as { type: string }).type);
        response.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    try {
      await stage.prepare({
        HUB_HISTORY_DAYS: '30',
        HUB_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
        HUB_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
      });
      await stage.beat('42');
      const page = await stage.dashboard('?page=online');
      await page.getByRole('button', { name: /^History of .*42/ }).press('Enter');
      await page.getByRole('img', { name: /^Timeline: .*unknown 23 h/ }).waitFor();
      await page.getByRole('list', { name: 'Changes' }).getByText('offline → online').waitFor();
      await page.getByRole('button', { name: 'Send a test to default' }).press('Enter');
      await page.getByText('default: the test was delivered.').waitFor();
      expect(types).toContain('presence.test');
      expect(await page.getByRole('button', { name: 'Replay dead events of default' }).isDisabled()).toBe(true);
    } finally {
      receiver.close();
    }
  });
});
