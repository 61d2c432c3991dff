/** A page that was rendered on a server, taken over by the browser: the same at first, then live. */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, it } from 'vitest';
import { startBrowserApp } from '../support/browser-app.ts';
import { launchChromium } from '../support/chromium.ts';
import { startTestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { Hydrated } from './apps/hydrated.tsx';

// Cores may be busy: a poll's own second is too short.
const PATIENCE = { timeout: 10_000 };

it('hydrates without a mismatch, then connects once and is live', needing('Chromium'), async () => {
  const [browser, app] = await Promise.all([launchChromium(), startBrowserApp('hydrated.tsx')]);
  const hub = await startTestHub({ origins: app.origin });
  try {
    await hub.request('PUT', '/v1/users/42/friends/7');
    const html = renderToString(createElement(Hydrated, { url: hub.addresses.http }));
    expect(html).toContain('idle not yet');
    app.page('index.html', `<main id="root">${html}</main>`);
    const page = await browser.newPage();
    const faults: string[] = [];
    let sockets = 0;
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    page.on('websocket', () => (sockets += 1));
    await page.goto(`${app.origin}/?hub=${encodeURIComponent(hub.addresses.http)}`);
    await expect.poll(() => page.locator('#friends').textContent(), PATIENCE).toBe('connected 7');
    expect({ faults, sockets }).toEqual({ faults: [], sockets: 1 });
  } finally {
    await browser.close();
    await app.stop();
    await hub.stop();
  }
});
