/**
 * A newcomer's path: an empty folder, the packed package, and what client/README.md says, pasted as it stands. Only the
 * package's name where it is installed from, and the ports, are other ones here.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../server/lib/time/clock.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { packInto, run, runOn, type RunningCommand } from '../support/packed.ts';
import { readDocument, snippetsBelow, snippetsOf } from '../support/snippets.ts';
import { serveFolders } from '../support/static-server.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

// npm, Vite and Chromium, one after the other, on busy cores.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 180_000 });
const PATIENCE = { timeout: 30_000 };
const README = 'client/README.md';

describe('a newcomer in an empty folder', needing('Chromium'), () => {
  let folder: string;
  let hub: string;
  let hubPort: number;
  let vitePort: number;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let running: RunningCommand[] = [];
  const faults: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hub-newcomer-'));
    const away = mkdtempSync(join(tmpdir(), 'hub-packed-'));
    const tarball = await packInto(away);
    const [install = ''] = lineOf('npm init -y && npm install presence-hub');
    const packages = [tarball, '@types/react', '@types/react-dom', ...namedIn(/`npm install ([\w -]+)/g)].join(' ');
    const quiet = '--prefer-offline --no-audit --no-fund';
    await run('bash', ['-c', install.replace('presence-hub', `${quiet} ${packages}`)], folder);
    rmSync(away, { recursive: true });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    [hubPort, vitePort] = [await freePort(), await freePort()];
    hub = `http://127.0.0.1:${hubPort}`;
    faults.length = 0;
    context = await browser.newContext();
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('favicon')) faults.push(message.text());
    });
  });
  afterEach(async () => {
    await context.close();
    await Promise.all(running.map((command) => command.end()));
    running = [];
    expect(faults.filter((fault) => !fault.includes('404'))).toEqual([]);
  });

  /** The lines of the first steps that begin so. */
  function lineOf(start: string): string[] {
    const lines = snippetsBelow(README, 'Before you begin', 'sh').join('').split('\n');
    return lines.filter((line) => line.startsWith(start)).map((line) => line.replace(/ +#.*$/, ''));
  }
  /** The packages that the page says to install, here or there. */
  function namedIn(pattern: RegExp): string[] {
    return [...readDocument(README).matchAll(pattern)]
      .flatMap(([, names = '']) => names.trim().split(' '))
      .filter((name) => name !== '');
  }
  const here = (text: string) =>
    text.replaceAll('127.0.0.1:8080', `127.0.0.1:${hubPort}`).replaceAll('5173', String(vitePort));

  async function startHub(...more: string[]): Promise<void> {
    const [, command = ''] = /^npx (.*)$/.exec(here(lineOf('npx presence-hub')[0] ?? '')) ?? [];
    const own = ['--port', String(hubPort), '--tcp-port', '0', '--data', ':memory:'];
    const started = runOn('npx', [...command.split(' '), ...own, ...more], folder);
    running.push(started);
    await started.printed(/Ctrl-C stops/);
  }
  /** Makes 7 and 42 friends, as the page does; answers what it says of them. */
  async function befriend(): Promise<unknown> {
    const [, script = ''] = snippetsBelow(README, 'Before you begin', 'sh');
    const answers = await run('bash', ['-c', here(script).replaceAll('curl ', 'curl -sS ')], folder);
    return JSON.parse(answers.slice(answers.indexOf('{"entries"')));
  }
  /** Writes the files of one example into the folder, as they stand. */
  function paste(example: string): void {
    const files = snippetsOf(README).filter(({ file }) => file?.startsWith(`${example}/`) === true);
    expect(files.length).toBeGreaterThan(0);
    for (const { file = '', text } of files) {
      const path = join(folder, file.slice(example.length + 1));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, here(text));
    }
  }
  async function startVite(): Promise<string> {
    const vite = runOn('npx', ['vite', '--port', String(vitePort), '--strictPort'], folder);
    running.push(vite);
    await vite.printed(/ready in/);
    return `http://localhost:${vitePort}/`;
  }
  const beat = (what: object) =>
    fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: JSON.stringify({ user: '7', ttlMs: 600_000, ...what }) });
  const connections = async () =>
    Number(
      /^presence_hub_connections\{adapter="ws-json"\} (\d+)$/m.exec(await (await fetch(`${hub}/metrics`)).text())?.[1],
    );

  it('reads with curl which users are online', async () => {
    await startHub();
    expect(await befriend()).toMatchObject({ entries: [{ user: '7', status: 'online', text: 'hello' }] });
  });

  it('sees friends in a Vite app, with the development server', async () => {
    await startHub();
    await befriend();
    paste('vite');
    await page.goto(await startVite());
    await page.getByText('7: online hello').waitFor();
    await beat({ status: 'busy', text: '' });
    await page.getByText('7: busy').waitFor();
  });

  it('sees friends in a Vite app that is built', async () => {
    await startHub();
    await befriend();
    paste('vite');
    await run('npx', ['vite', 'build'], folder);
    const preview = runOn('npx', ['vite', 'preview', '--port', String(vitePort), '--strictPort'], folder);
    running.push(preview);
    await preview.printed(/localhost:\d+/);
    await page.goto(`http://localhost:${vitePort}/`);
    await page.getByText('7: online hello').waitFor();
    await beat({ status: 'away' });
    await page.getByText('7: away').waitFor();
  });

  it('sees friends in a page without a bundler', async () => {
    const server = await serveFolders([folder]);
    await startHub('--origins', server.origin);
    await befriend();
    paste('plain');
    await page.goto(server.origin);
    await page.getByText('7: online').waitFor();
    await beat({ status: 'busy' });
    await page.getByText('7: busy').waitFor();
    await server.stop();
  });

  it('sees friends with the lines of README', async () => {
    const server = await serveFolders([folder]);
    await startHub('--origins', server.origin);
    await befriend();
    const [lines = ''] = snippetsBelow('README.md', 'For developers', 'js');
    const whole = snippetsOf(README).find(({ file }) => file === 'plain/index.html')?.text ?? '';
    const script = here(lines);
    writeFileSync(
      join(folder, 'index.html'),
      whole.replace(/(<script type="module">)[^]*?(<\/script>)/, (_, open: string, end: string) => open + script + end),
    );
    const reported = page.waitForEvent('console', (message) => message.text() === '7: online hello');
    await page.goto(server.origin);
    await reported;
    await server.stop();
  });

  it('sees friends in Node', async () => {
    await startHub();
    await befriend();
    paste('node');
    const node = runOn(process.execPath, ['main.mjs'], folder);
    running.push(node);
    await node.printed(/^7: online hello$/m);
    await beat({ status: 'busy', text: 'later' });
    await node.printed(/^7: busy later$/m);
    await fetch(`${hub}/v1/users/42/friends/7`, { method: 'DELETE' });
    await node.printed(/^7 is no longer a friend$/m);
  });

  it('sees friends in React, under StrictMode, with one connection', async () => {
    await startHub();
    await befriend();
    paste('react');
    await page.goto(await startVite());
    await page.getByText('7: online hello').waitFor();
    await beat({ status: 'busy', text: '' });
    await page.getByText('7: busy').waitFor();
    await page.getByRole('button', { name: 'I am online' }).click();
    await page.getByRole('button', { name: 'I am busy' }).waitFor();
    expect(await (await fetch(`${hub}/v1/presence/42`)).json()).toMatchObject({ status: 'busy', text: 'in a meeting' });
    expect(await connections()).toBe(1);
  });

  it('sees friends with the web component', async () => {
    await startHub();
    await befriend();
    paste('element');
    await page.goto(await startVite());
    await page.getByRole('listitem').filter({ hasText: 'online · hello' }).waitFor();
    await beat({ status: 'away' });
    await page.getByRole('listitem').filter({ hasText: 'away' }).waitFor();
    await expect.poll(connections, PATIENCE).toBe(1);
  });

  it('gives a token to a hub that asks for one', async () => {
    const server = await serveFolders([folder]);
    const admin = 'the-admin-token-of-these-tests';
    await startHub('--origins', server.origin, '--auth', 'jwt', '--jwt-secret', TEST_SECRET, '--admin-token', admin);
    const headers = { authorization: `Bearer ${admin}` };
    await fetch(`${hub}/v1/users/42/friends/7`, { method: 'PUT', headers });
    await fetch(`${hub}/v1/heartbeat`, { method: 'POST', headers, body: '{"user":"7"}' });
    const clock: Clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    writeFileSync(join(folder, 'my-presence-token'), await tokenFor('42', { clock }));
    paste('plain');
    const [part = ''] = snippetsBelow(README, 'Tokens', 'js');
    const whole = snippetsOf(README).find(({ file }) => file === 'plain/index.html')?.text ?? '';
    writeFileSync(join(folder, 'index.html'), here(whole.replace(/^ *const client = .*$/m, () => part)));
    await page.goto(server.origin);
    await page.getByText('7: online').waitFor();
    await server.stop();
  });

  it('gets completion and errors from the compiler, with its strictest settings', async () => {
    writeFileSync(join(folder, 'strict.tsx'), strict);
    const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc');
    const how = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--jsx', 'react-jsx', '--target', 'es2022'];
    for (const [module, resolution] of [
      ['esnext', 'bundler'],
      ['nodenext', 'nodenext'],
    ] as const)
      await run(
        process.execPath,
        [tsc, ...how, '--module', module, '--moduleResolution', resolution, 'strict.tsx'],
        folder,
      );
  });
});

/** Each type of the three entries once, with what must not compile marked as such. */
const strict = `
import { createPresenceClient, PresenceError, type Entry, type PresenceView } from 'presence-hub/client';
import { PresenceProvider, useConnectionStatus, useFriend, useFriends, useMyPresence } from 'presence-hub/react';
import type { PresenceFriends } from 'presence-hub/element';

const client = createPresenceClient({ url: new URL('http://127.0.0.1:8080'), user: '42', getToken: async () => '' });
const view: PresenceView = client.watch(new Set(['7']));
const off: () => void = view.on('change', ({ changed }) => changed.map((entry: Entry) => entry.status === 'busy'));
client.on('error', (error) => error instanceof PresenceError && error.isFinal, { signal: AbortSignal.timeout(1) });
// @ts-expect-error: no such status
client.set({ status: 'offline' });
// @ts-expect-error: no such event
view.on('changed', off);

export function Friends() {
  const { friends, staleSince } = useFriends();
  const { friend } = useFriend('7');
  const { self, set } = useMyPresence();
  const { status } = useConnectionStatus();
  set({ status: 'invisible' });
  return <p title={status}>{friends.length + (staleSince ?? 0)} {friend?.text} {self?.status}</p>;
}
export const app = <PresenceProvider client={client}><Friends /></PresenceProvider>;
export const own = <PresenceProvider options={{ user: '42' }}><Friends /></PresenceProvider>;
// @ts-expect-error: one or the other
export const neither = <PresenceProvider><Friends /></PresenceProvider>;

declare const element: PresenceFriends;
element.client = client;
element.nameOf = (user) => user.toUpperCase();
export const found: PresenceFriends | null = document.querySelector('presence-friends');
`;
