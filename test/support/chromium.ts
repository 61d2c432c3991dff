/** Chromium for tests that are `needing('Chromium')`. */
import { chromium, type Browser, type BrowserContext } from 'playwright-core';
import { freePort } from './hub-process.ts';
import { programPath } from './needs.ts';

const options = () => ({
  executablePath: programPath('Chromium'),
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

export function launchChromium(args: readonly string[] = []): Promise<Browser> {
  const usual = options();
  return chromium.launch({ ...usual, args: [...usual.args, ...args] });
}

/**
 * As people have it: of the tabs in its one window only the one in front is visible, the others have slow timers, and pages are
 * kept for the way back. Else the driver makes each page believe that it is in front.
 */
export async function launchPeoplesChromium(): Promise<{ context: BrowserContext; close: () => Promise<void> }> {
  const port = await freePort();
  const usual = options();
  const browser = await chromium.launch({
    ...usual,
    args: [...usual.args, `--remote-debugging-port=${port}`],
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
