/** Debian's Chromium for tests: found or loudly missing. Where CI=true it must be there. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContext } from 'playwright-core';
import { freePort } from './hub-process.ts';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const found = process.env['CHROMIUM'] ?? PLACES.find((path) => existsSync(path));

/** Whether tests in a browser can run here; says so once where they can't. */
export function hasChromium(what: string): boolean {
  if (found !== undefined) return true;
  if (process.env['CI'] === 'true') throw new Error('Chromium is missing: install the package chromium');
  process.stderr.write(`\nSKIPPED: ${what}: no Chromium on this machine (install it, or name it in CHROMIUM)\n\n`);
  return false;
}

const options = {
  ...(found === undefined ? {} : { executablePath: found }),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

export function launchChromium(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ ...options, args: [...options.args, ...args] });
}

/**
 * As people have it: of the tabs in its one window only the one in front is visible, the others have slow timers, and pages are
 * kept for the way back. Else the driver makes each page believe that it is in front.
 */
export async function launchPeoplesChromium(): Promise<{ context: BrowserContext; close: () => Promise<void> }> {
  const port = await freePort();
  const browser = await chromium.launch({
    ...options,
    args: [...options.args, `--remote-debugging-port=${port}`],
    ignoreDefaultArgs: [
      '--disable-back-forward-cache',
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ],
  });
  const seen = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  return { context: seen.contexts()[0]!, close: () => browser.close() };
}
