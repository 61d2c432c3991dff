/**
 * What the tests of the dashboard share: a hub as a process that can be killed and started again on its ports, the
 * browser, and the page's faults, of which there may be none. Knows where the page shows what.
 */
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from './hub-process.ts';

export class DashboardStage {
  readonly browser: Browser;
  #settings: Readonly<Record<string, string>> = {};
  #contexts: BrowserContext[] = [];
  #faults: string[] = [];
  hub = '';
  tcpPort = 0;

  private constructor(browser: Browser) {
    this.browser = browser;
  }

  static async open(): Promise<DashboardStage> {
    return new DashboardStage(await launchChromium());
  }

  /** A hub on ports that stay over `killHub` and `startHub`. */
  async prepare(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.tcpPort = await freePort();
    this.#settings = { HUB_PORT: String(await freePort()), HUB_TCP_PORT: String(this.tcpPort), ...settings };
    this.#faults = [];
    await this.startHub();
  }

  async startHub(): Promise<void> {
    this.hub = startLine(await startHubProcess(this.#settings).started, 'page').replace(/\/$/, '');
  }

  async killHub(): Promise<void> {
    await endHubProcesses();
  }

  /** The dashboard, in a browser profile of its own. */
  async dashboard(search = '', options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
    this.#contexts.push(context);
    const page = await context.newPage();
    // Below the test's own: what was waited for in vain is named.
    page.setDefaultTimeout(10_000);
    page.on('pageerror', (error) => this.#faults.push(error.message));
    page.on('console', (message) => {
      // The browser itself says so of refused requests and lost sockets; these tests cause both.
      if (message.type() !== 'error' || /WebSocket|Failed to load|ERR_/.test(message.text())) return;
      this.#faults.push(message.text());
    });
    await page.goto(`${this.hub}/admin${search}`);
    return page;
  }

  /** @returns what went wrong in the pages meanwhile. */
  async clear(): Promise<readonly string[]> {
    for (const context of this.#contexts) await context.close();
    this.#contexts = [];
    await endHubProcesses();
    return this.#faults;
  }

  async close(): Promise<void> {
    await this.browser.close();
  }

  async ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`${this.hub}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  /** A user and a device over HTTP. */
  async beat(user: string, said: { status?: string; device?: string; text?: string } = {}): Promise<void> {
    await this.ask('POST', '/v1/heartbeat', { user, ttlMs: 300_000, ...said });
  }

  /** The value of one series of /metrics. */
  async metric(series: string): Promise<number> {
    const { text } = await this.ask('GET', '/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`${series} `));
    if (line === undefined) throw new Error(`no ${series} in ${text}`);
    return Number(line.slice(series.length + 1));
  }
}

/** Rows of the tail, optionally of one user and cause. */
export function tailRow(page: Page, { user, cause }: { user?: string; cause?: string } = {}): Locator {
  const of = (name: string, value?: string): string => (value === undefined ? '' : `[data-${name}="${value}"]`);
  return page.locator(`.tail tbody tr[data-user]${of('user', user)}${of('cause', cause)}`);
}

/** Resolves once the tail is live: changes from then on are sent. */
export function tailIsLive(page: Page): Promise<void> {
  return page.locator('.tail .heading').getByText('live').waitFor();
}

/** What a plot says in words. */
export function plotInWords(page: Page, measure: string): Locator {
  return page.locator(`#summary-${measure}`);
}

/** What one field of a session's record says. */
export function recordField(page: Page, name: string): Locator {
  return page.locator('.session dl > div').filter({ hasText: name }).locator('dd');
}
