/**
 * What the tests of the friend page share: a hub as a process that can be killed and started again on its ports, people who
 * come and go, the browser, and the page's faults, of which there may be none. Knows the page's marks: rows, connection.
 */
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from './hub-process.ts';

export class FriendPageStage {
  readonly browser: Browser;
  readonly #settings: Record<string, string> = {};
  #contexts: BrowserContext[] = [];
  #faults: string[] = [];
  hub = '';
  tcpPort = 0;

  private constructor(browser: Browser) {
    this.browser = browser;
  }

  static async open(): Promise<FriendPageStage> {
    return new FriendPageStage(await launchChromium());
  }

  /** A hub on ports that stay over `killHub` and `startHub`. */
  async prepare(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.tcpPort = await freePort();
    const ports = { HUB_PORT: String(await freePort()), HUB_TCP_PORT: String(this.tcpPort) };
    Object.assign(this.#settings, { HUB_TCP_TIMEOUT_MS: '1500', ...ports, ...settings });
    this.#faults = [];
    await this.startHub();
  }

  async startHub(): Promise<void> {
    const lines = await startHubProcess(this.#settings).started;
    this.hub = startLine(lines, 'page').replace(/\/$/, '');
  }

  async killHub(): Promise<void> {
    await endHubProcesses();
  }

  /** A page in a browser profile of its own, at `path`. */
  async page(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext(options);
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on('pageerror', (error) => this.#faults.push(error.message));
    page.on('console', (message) => {
      // The browser itself says so of refused requests and lost sockets; these tests cause both.
      if (message.type() !== 'error' || /WebSocket|Failed to load|ERR_/.test(message.text())) return;
      this.#faults.push(message.text());
    });
    await page.goto(`${this.hub}${path}`);
    return page;
  }

  /** Leaves the hub running. @returns what went wrong in the pages meanwhile. */
  async closePages(): Promise<readonly string[]> {
    for (const context of this.#contexts) await context.close();
    this.#contexts = [];
    return this.#faults;
  }

  /** @returns what went wrong in the pages meanwhile. */
  async clear(): Promise<readonly string[]> {
    await this.closePages();
    await endHubProcesses();
    for (const name of Object.keys(this.#settings)) Reflect.deleteProperty(this.#settings, name);
    return this.#faults;
  }

  async close(): Promise<void> {
    await this.browser.close();
  }

  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    const answer = await fetch(`${this.hub}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  }

  async befriend(user: string, friends: readonly string[], headers?: Record<string, string>): Promise<void> {
    await this.ask('PUT', `/v1/users/${user}/friends`, { friends }, headers);
  }

  async beat(user: string, said: { status?: string; device?: string; text?: string } = {}): Promise<void> {
    await this.ask('POST', '/v1/heartbeat', { user, ttlMs: 300_000, ...said });
  }
}

/** The row of a friend who is shown with that status. */
export function friendRow(page: Page, user: string, status?: string): Locator {
  return page.locator(`li.friend${status === undefined ? '' : `.${status}`}[data-user="${user}"]`);
}

/** Resolves once the page says that it is so sure of what it shows. */
export function connection(page: Page, state: 'live' | 'behind' | 'refused' | 'connecting'): Promise<void> {
  return page.locator(`#connection[data-state="${state}"]`).waitFor();
}
