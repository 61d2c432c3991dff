/** The tail on a network that is gone without a word, with a socket and a clock that the test holds. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSignal } from '../../../../../client/dashboard/signal.ts';
import { Access } from '../../../../../client/dashboard/hub/access.ts';
import { TailSocket } from '../../../../../client/dashboard/hub/tail-socket.ts';
import type { HubMessage } from '../../../../../shared/index.ts';

const HEARTBEAT_MS = 10_000;
const TIMEOUT_MS = 25_000;

class Socket extends EventTarget {
  static readonly OPEN = 1;
  static all: Socket[] = [];
  readonly readyState = 1;
  readonly sent: string[] = [];
  isClosed = false;

  constructor() {
    super();
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push((JSON.parse(text) as { type: string }).type);
  }

  /** On such a network the end is told minutes later. */
  close(): void {
    this.isClosed = true;
  }

  hear(message: HubMessage): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));
  }

  welcome(): void {
    this.dispatchEvent(new Event('open'));
    const times = { heartbeatMs: HEARTBEAT_MS, timeoutMs: TIMEOUT_MS };
    this.hear({ type: 'welcome', session: 's', ...times, node: 'n', protocol: 1 });
  }
}

describe('the tail', () => {
  let tail: TailSocket;
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
    vi.stubGlobal('WebSocket', Socket);
    vi.stubGlobal('location', { origin: 'http://hub', hash: '' });
    vi.stubGlobal('sessionStorage', { getItem: () => null, setItem: () => undefined, removeItem: () => undefined });
    Socket.all = [];
    const access = new Access();
    tail = new TailSocket({ access, link: createSignal<number | null>(null), onChanges: () => undefined });
    tail.start();
    access.letIn();
    Socket.all[0]!.welcome();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('asks for a sign of life, and stays while there is one', async () => {
    for (let beat = 0; beat < 10; beat += 1) {
      await pass(HEARTBEAT_MS);
      Socket.all[0]!.hear({ type: 'ok', re: 'beat' });
    }
    expect(Socket.all).toHaveLength(1);
    expect(Socket.all[0]!.sent).toEqual(['hello', 'tail', ...Array<string>(10).fill('heartbeat')]);
    expect(tail.state.get().kind).toBe('live');
  });

  it('gives up on a connection that gives none, and comes back on another', async () => {
    await pass(TIMEOUT_MS + HEARTBEAT_MS);
    expect(Socket.all[0]!.isClosed).toBe(true);
    expect(tail.state.get().kind).toBe('lost');
    await pass(1_000);
    expect(Socket.all).toHaveLength(2);
    Socket.all[1]!.welcome();
    expect(tail.state.get().kind).toBe('live');
    expect(Socket.all[1]!.sent).toEqual(['hello', 'tail']);
    // What the browser says at last of the first one is old.
    Socket.all[0]!.dispatchEvent(Object.assign(new Event('close'), { code: 1006 }));
    expect(tail.state.get().kind).toBe('live');
    await pass(HEARTBEAT_MS);
    expect(Socket.all.map(({ sent }) => sent.filter((type) => type === 'heartbeat').length)).toEqual([3, 1]);
  });
});
