/**
 * The packed package in an app that is built for production by each common bundler and then opened in two tabs of Chromium.
 * The tabs must share one connection through the SharedWorker. The bundlers need 190 MB, so they are not among the
 * project's own dependencies: the test installs them into a temporary folder.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { packInto, run } from '../support/packed.ts';
import { serveFolders, type StaticServer } from '../support/static-server.ts';

// npm installs 190 MB, and Parcel is slow on busy cores.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 180_000 });

/** `enhanced-resolve` 4 is how webpack 4 finds files. */
const PACKAGES = [
  'vite5@npm:vite@5.4.21',
  'vite7@npm:vite@7.3.8',
  'webpack@5.113.0',
  'parcel@2.16.4',
  'enhanced-resolve@4.5.0',
];
const repository = fileURLToPath(new URL('../..', import.meta.url));

const vite = (folder: string): readonly string[] => [`${folder}/bin/vite.js`, 'build', '--outDir', 'built'];
/** What Node.js runs in the app's folder. Each writes an app into `built`. */
const BUILDS: Readonly<Record<string, readonly string[]>> = {
  'Vite 5': vite('node_modules/vite5'),
  'Vite 7': vite('node_modules/vite7'),
  'Vite 8': vite(join(repository, 'node_modules/vite')),
  'webpack 5': ['webpack.mjs'],
  Parcel: ['node_modules/parcel/lib/bin.js', 'build', 'index.html', '--dist-dir', 'built', '--no-cache'],
};

const HTML = `<!doctype html>
<html lang="en">
  <title>app</title>
  <link rel="icon" href="data:," />
  <p></p>
  <script type="module" src="./main.js"></script>
</html>
`;
const MAIN = `import { createPresenceClient } from 'presence-hub/client';

const client = createPresenceClient({ url: new URLSearchParams(location.search).get('hub'), user: '42' });
const friends = client.watchFriends();
friends.on('change', ({ entries }) => {
  const lines = [...entries.values()].map(({ user, status }) => user + ' is ' + status);
  document.querySelector('p').textContent = lines.join();
});
`;
const WEBPACK_4 = `const { create } = require('enhanced-resolve');

const resolve = create.sync({ aliasFields: ['browser'], mainFields: ['browser', 'module', 'main'] });
for (const entry of process.argv.slice(2)) console.log(resolve(__dirname, entry));
`;
const WEBPACK = `import webpack from 'webpack';

const output = { path: import.meta.dirname + '/built', filename: 'main.js' };
webpack({ mode: 'production', entry: './main.js', output }, (error, stats) => {
  if (!error && !stats.hasErrors() && !stats.hasWarnings()) return;
  console.error(error ?? stats.toString());
  process.exitCode = 1;
});
`;

describe('an app is built by', needing('Chromium'), () => {
  let folder: string;
  let browser: Browser;
  let server: StaticServer | undefined;
  let isInstalled = false;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hub-bundlers-'));
    browser = await launchChromium();
    const tarball = await packInto(folder);
    const files = {
      'package.json': '{"private":true}',
      'index.html': HTML,
      'main.js': MAIN,
      'webpack.mjs': WEBPACK,
      'webpack-4.cjs': WEBPACK_4,
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    // With npm's own delays between retries, a machine without a network would wait for minutes.
    const quick = [
      '--prefer-offline',
      '--fetch-retries=1',
      '--fetch-retry-mintimeout=1000',
      '--fetch-retry-maxtimeout=2000',
    ];
    const install = ['install', ...quick, '--ignore-scripts', '--no-audit', '--no-fund', tarball, ...PACKAGES];
    isInstalled = await run('npm', install, folder).then(
      () => true,
      (error: unknown) => {
        const isOffline = /EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/.test(String(error));
        if (process.env['CI'] === 'true' || !isOffline) throw error;
        return false;
      },
    );
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await server?.stop();
    await endHubProcesses();
    rmSync(join(folder, 'built'), { recursive: true, force: true });
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.for(Object.keys(BUILDS))('%s, and two tabs share one connection', async (bundler, { skip }) => {
    skip(!isInstalled, 'npm registry not reached');
    await run(process.execPath, BUILDS[bundler]!, folder);
    if (bundler === 'webpack 5') copyFileSync(join(folder, 'index.html'), join(folder, 'built/index.html'));
    server = await serveFolders([join(folder, 'built')]);
    const lines = await startHubProcess({ HUB_ORIGINS: server.origin }).started;
    const hub = startLine(lines, 'page').replace(/\/$/, '');
    await fetch(`${hub}/v1/users/42/friends/7`, { method: 'PUT' });

    const context = await browser.newContext();
    const faults: string[] = [];
    const openTab = async (): Promise<Page> => {
      const page = await context.newPage();
      page.on('pageerror', ({ message }) => faults.push(message));
      page.on('console', (message) => faults.push(message.text()));
      await page.goto(`${server!.origin}/?hub=${hub}`);
      await page.getByText('7 is offline').waitFor();
      return page;
    };
    const tabs = [await openTab(), await openTab()];
    await fetch(`${hub}/v1/heartbeat`, { method: 'POST', body: '{"user":"7","status":"busy"}' });
    for (const tab of tabs) await tab.getByText('7 is busy').waitFor();

    const metrics = await (await fetch(`${hub}/metrics`)).text();
    expect(metrics).toMatch(/^presence_hub_connections\{adapter="ws-json"\} 1$/m);
    // A tab that leads, because there is no worker, holds the lock whose name is the key of what is shared.
    const held = await tabs[0]!.evaluate(async () => (await navigator.locks.query()).held?.map(({ name }) => name));
    expect(held?.filter((name) => name?.endsWith(']'))).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('webpack 4, if it is configured to translate the package: it finds each entry', async ({ skip }) => {
    skip(!isInstalled, 'npm registry not reached');
    const entries = {
      'presence-hub/client': 'client/sdk',
      'presence-hub/react': 'client/react',
      'presence-hub/element': 'client/element',
      'presence-hub/shared': 'shared',
    };
    const found = await run(process.execPath, ['webpack-4.cjs', ...Object.keys(entries)], folder);
    const places = Object.values(entries).map((place) =>
      join(folder, `node_modules/presence-hub/dist/${place}/index.js`),
    );
    expect(found.trim().split('\n')).toEqual(places);
  });
});
