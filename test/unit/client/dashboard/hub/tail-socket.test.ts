/** The tail on a network that is gone without a word, and on a hub that refuses it: the test holds socket and clock. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSignal } from '../../../../../client/dashboard/signal.ts';
import { Access } from '../../../../../client/dashboard/hub/access.ts';
import { TailSocket } from '../../../../../client/dashboard/hub/tail-socket.ts';
import type { WebSocketLike } from '../../../../../client/sdk/index.ts';
import type { HubMessage } from '../../../../../shared/index.ts';

const HEARTBEAT_MS = 10_000;
const TIMEOUT_MS = 25_000;

class Socket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  static readonly OPEN = 1;
  static all: Socket[] = [];
  readonly readyState = 1;
  readonly sent: string[] = [];
  isClosed = false;

  constructor() {
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push((JSON.parse(text) as { type: string }).type);
  }

  /** On such a network the end is reported minutes later. */
  close(): void {
    this.isClosed = true;
  }

  receive(message: HubMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) } as never);
  }

  welcome(): void {
    this.onopen?.({} as never);
    const times = { heartbeatMs: HEARTBEAT_MS, timeoutMs: TIMEOUT_MS };
    this.receive({ type: 'welcome', session: 's', ...times, node: 'n', protocol: 1 });
    this.receive({ type: 'ok', re: 'tail' });
  }
}

describe('the tail', () => {
  let tail: TailSocket;
  let access: Access;
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
    vi.stubGlobal('WebSocket', Socket);
    vi.stubGlobal('location', { origin: 'http://hub', pathname: '/admin', hash: '' });
    vi.stubGlobal('sessionStorage', { getItem: () => null, setItem: () => undefined, removeItem: () => undefined });
    Socket.all = [];
    access = new Access();
    tail = new TailSocket({ access, unreachableSince: createSignal<number | null>(null), onChanges: () => undefined });
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
      Socket.all[0]!.receive({ type: 'ok', re: 'beat' });
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
    Socket.all[0]!.onclose?.({ code: 1006, reason: '' } as never);
    expect(tail.state.get().kind).toBe('live');
    await pass(HEARTBEAT_MS);
    expect(Socket.all.map(({ sent }) => sent.filter((type) => type === 'heartbeat').length)).toEqual([3, 1]);
  });

  it('says why the hub refuses it, and asks again while it stays connected', async () => {
    Socket.all[0]!.receive({ type: 'error', re: 'tail', code: 'too_many', message: '20 connections have one already' });
    expect(tail.state.get()).toEqual({ kind: 'refused', why: '20 connections have one already' });
    await pass(5_000);
    expect(Socket.all[0]!.sent).toEqual(['hello', 'tail', 'tail']);
    Socket.all[0]!.receive({ type: 'ok', re: 'tail' });
    expect(tail.state.get()).toEqual({ kind: 'live', node: 'n' });
  });

  it('asks for another token if the hub no longer accepts this one', async () => {
    Socket.all[0]!.onclose?.({ code: 4401, reason: 'run out' } as never);
    expect(access.state.get().kind).toBe('asking');
    expect(tail.state.get().kind).toBe('connecting');
    await pass(60_000);
    expect(Socket.all).toHaveLength(1);
  });
});
