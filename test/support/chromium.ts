/** Debian's Chromium for tests: found or loudly missing. Where CI=true it must be there. */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const found = process.env['CHROMIUM'] ?? PLACES.find((path) => existsSync(path));

/** Whether tests in a browser can run here; says so once where they can't. */
export function hasChromium(what: string): boolean {
  if (found !== undefined) return true;
  if (process.env['CI'] === 'true') throw new Error('Chromium is missing: install the package chromium');
  process.stderr.write(`\nSKIPPED: ${what}: no Chromium on this machine (install it, or name it in CHROMIUM)\n\n`);
  return false;
}

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
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
  });
}
