/** `markActive()` without a page to take input from, with a socket and a clock that the test holds. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPresenceClient, type PresenceClient, type PresenceClientOptions } from '../../../client/sdk/index.ts';
import type { WebSocketLike } from '../../../client/sdk/types.ts';

let sent: { type: string; status?: string }[];

/** Welcomes at once, and answers nothing more. */
class Socket implements WebSocketLike {
  readonly readyState = 1;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose = null;
  onerror = null;

  constructor() {
    queueMicrotask(() => {
      this.onopen?.();
      const welcome = { type: 'welcome', session: 's', heartbeatMs: 1e9, timeoutMs: 1e9, node: 'n', protocol: 1 };
      this.onmessage?.({ data: JSON.stringify(welcome) });
    });
  }

  send(text: string): void {
    sent.push(JSON.parse(text) as (typeof sent)[number]);
  }

  close(): void {}
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('without a page', () => {
  let client: PresenceClient;

  const open = async (idle?: PresenceClientOptions['idle']): Promise<void> => {
    client = createPresenceClient({ url: 'ws://hub', user: '42', WebSocket: Socket, idle });
    client.connect();
    await pass(0);
  };
  const statuses = () => sent.flatMap(({ status }) => status ?? []);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    sent = [];
  });
  afterEach(() => {
    client.close();
    vi.useRealTimers();
  });

  it('nobody is away before the first call; from then on who does not call again', async () => {
    await open({ awayAfterMs: 60_000 });
    await pass(600_000);
    expect(statuses()).toEqual(['online']);
    client.markActive();
    await pass(50_000);
    client.markActive();
    await pass(59_999);
    expect(statuses()).toEqual(['online']);
    await pass(1);
    expect(statuses()).toEqual(['online', 'away']);
    client.markActive();
    await pass(0);
    expect(statuses()).toEqual(['online', 'away', 'online']);
  });

  it('of calls by the hundred the last one counts, to within a second', async () => {
    await open({ awayAfterMs: 60_000 });
    for (let i = 0; i < 300; i += 1) {
      client.markActive();
      await pass(10);
    }
    await pass(58_000);
    expect(statuses()).toEqual(['online']);
    await pass(2_000);
    expect(statuses()).toEqual(['online', 'away']);
  });

  it('it says nothing with idle: false, before the client connects, and after its end', async () => {
    await open(false);
    client.markActive();
    await pass(1e9);
    expect(statuses()).toEqual(['online']);
    client.close();
    client = createPresenceClient({ url: 'ws://hub', user: '42', WebSocket: Socket });
    client.markActive();
    client.connect();
    await pass(0);
    client.close();
    client.markActive();
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
