/** The link to the hub, with a socket and a clock that the test holds: when it comes back, and when it does not. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HubLink } from '../../../client/sdk/link/hub-link.ts';
import type { LinkStatus } from '../../../client/sdk/link/link.ts';
import { onceAtATime } from '../../../client/sdk/link/tokens.ts';
import type { GetToken, WebSocketLike } from '../../../client/sdk/types.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';

/** A socket whose other end is the test. */
class Socket implements WebSocketLike {
  static all: Socket[] = [];
  readonly readyState = 1;
  readonly sent: Record<string, unknown>[] = [];
  isClosed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.isClosed = true;
  }

  receive(message: HubMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  welcome(): void {
    this.onopen?.();
    this.receive({ type: 'welcome', session: 's', heartbeatMs: 10_000, timeoutMs: 25_000, node: 'n', protocol: 1 });
  }
}

const last = (): Socket => Socket.all.at(-1)!;
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('the link to the hub', () => {
  let statuses: LinkStatus[];
  let link: HubLink;

  const open = async (getToken?: GetToken): Promise<void> => {
    const options = { url: 'ws://hub/ws', user: '42', device: 'web', mine: {}, WebSocket: Socket, getToken };
    link = new HubLink(options, {
      onStatus: (status) => statuses.push(status),
      onMessage: () => undefined,
      onError: () => undefined,
    });
    link.connect();
    await pass(0);
  };
  const status = (): string | undefined => statuses.at(-1)?.status;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    Socket.all = [];
    statuses = [];
  });
  afterEach(() => {
    link.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it('says hello, and then a heartbeat as often as the hub wants', async () => {
    await open();
    last().welcome();
    expect(last().sent).toEqual([
      { type: 'hello', id: 'hello', user: '42', device: 'web', self: true, status: 'online', text: '' },
    ]);
    await pass(10_000);
    expect(last().sent.slice(1)).toEqual([{ type: 'heartbeat', id: 'beat' }]);
    expect(status()).toBe('connected');
  });

  it.each([
    [1000, 250],
    [1006, 250],
    [1012, 250],
    [4408, 250],
    [1013, 3_750],
    [4429, 3_750],
  ])('comes back after %d, at the first failure in %d ms', async (code, ms) => {
    await open();
    last().welcome();
    last().onclose?.({ code, reason: '' });
    expect(statuses.at(-1)).toMatchObject({ status: 'reconnecting', retryInMs: ms });
    await pass(ms - 1);
    expect(Socket.all).toHaveLength(1);
    await pass(1);
    expect(Socket.all).toHaveLength(2);
  });

  it.each([1008, 1009, 4400, 4401, 4403])('never comes back after %d', async (code) => {
    await open();
    last().onclose?.({ code, reason: 'no' });
    expect(statuses.at(-1)).toMatchObject({ status: 'closed', reason: { code, text: 'no' } });
    await pass(1e9);
    expect(Socket.all).toHaveLength(1);
  });

  it('waits longer with each failure, and starts over once a connection has lasted', async () => {
    await open();
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 8; i++) {
      last().onclose?.({ code: 1006, reason: '' });
      waits.push(statuses.at(-1)?.retryInMs);
      await pass(waits.at(-1)!);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    last().welcome();
    await pass(10_000);
    last().receive({ type: 'ok', re: 'beat' });
    last().onclose?.({ code: 1006, reason: '' });
    expect(statuses.at(-1)?.retryInMs).toBe(250);
  });

  it('keeps to what the hub says in `reconnect`, whatever wakes it up and however it is closed', async () => {
    await open();
    last().welcome();
    last().receive({ type: 'reconnect', afterMs: 8_000 });
    await pass(1_000);
    expect(status()).toBe('connected');
    last().onclose?.({ code: 1013, reason: '' });
    expect(statuses.at(-1)?.retryInMs).toBe(7_000);
    link.check();
    await pass(6_999);
    expect(Socket.all).toHaveLength(1);
    await pass(1);
    expect(Socket.all).toHaveLength(2);
  });

  it('leaves a connection that the hub does not close when its time has come', async () => {
    await open();
    last().welcome();
    last().receive({ type: 'reconnect', afterMs: 500 });
    await pass(500);
    expect(Socket.all).toHaveLength(2);
    expect(Socket.all[0]!.isClosed).toBe(true);
  });

  it('finds a connection dead that answers no heartbeat within the timeout, and at once after waking up', async () => {
    await open();
    last().welcome();
    await pass(10_000 + 24_999);
    expect(status()).toBe('connected');
    await pass(1);
    expect(status()).toBe('reconnecting');
    await pass(250);
    last().welcome();
    link.check();
    await pass(5_000);
    expect(status()).toBe('reconnecting');
  });

  it.each([
    ['ahead', 480 * 60_000],
    ['a few seconds ahead', 3_000],
    ['back', -60_000],
  ])('probes with the next heartbeat when the wall clock has jumped %s', async (_, ms) => {
    await open();
    last().welcome();
    await pass(10_000);
    last().receive({ type: 'ok', re: 'beat' });
    await pass(4_000);
    vi.setSystemTime(Date.now() + ms);
    await pass(6_000 + 4_999);
    expect(status()).toBe('connected');
    await pass(1);
    expect(status()).toBe('reconnecting');
  });

  it('takes its time when the clock has not jumped', async () => {
    await open();
    last().welcome();
    await pass(10_000 + 15_000);
    expect(status()).toBe('connected');
  });

  it('gives up an attempt that is not answered', async () => {
    await open();
    await pass(9_999);
    expect(status()).toBe('connecting');
    await pass(1);
    expect(status()).toBe('reconnecting');
    await pass(250);
    last().onopen?.();
    await pass(10_000);
    expect(Socket.all[1]!.isClosed).toBe(true);
  });

  describe('when the browser says that it is offline', () => {
    beforeEach(() => vi.stubGlobal('navigator', { onLine: false }));
    afterEach(() => vi.unstubAllGlobals());

    it('keeps a connection that answers', async () => {
      await open();
      last().welcome();
      link.check();
      expect(last().sent.at(-1)).toMatchObject({ type: 'heartbeat' });
      await pass(4_999);
      last().receive({ type: 'ok', re: 'beat' });
      await pass(4_000);
      expect(statuses.map(({ status }) => status)).toEqual(['connecting', 'connected']);
    });

    it('gives up one that does not within 5 s, and goes on trying by itself', async () => {
      await open();
      last().welcome();
      link.check();
      await pass(5_000);
      expect(statuses.at(-1)).toMatchObject({ status: 'disconnected', retryInMs: 250, reason: { code: 4408 } });
      await pass(250);
      last().welcome();
      expect(status()).toBe('connected');
    });

    it.each([1006, 1013, 4429])('never waits for more than a minute after %d', async (code) => {
      vi.spyOn(Math, 'random').mockReturnValue(0.999);
      await open();
      for (let failures = 1; failures < 20; failures++) {
        last().onclose?.({ code, reason: '' });
        const { status, retryInMs } = statuses.at(-1)!;
        expect(status).toBe('disconnected');
        expect(retryInMs).toBeLessThanOrEqual(60_000);
        await pass(retryInMs!);
        expect(Socket.all).toHaveLength(failures + 1);
      }
      last().welcome();
      expect(status()).toBe('connected');
    });

    it('tries at once when it says something else', async () => {
      await open();
      for (let i = 0; i < 6; i++) {
        last().onclose?.({ code: 1006, reason: '' });
        if (i < 5) await pass(statuses.at(-1)!.retryInMs!);
      }
      link.check();
      await pass(0);
      expect(Socket.all).toHaveLength(7);
    });
  });

  it('asks once for a fresh token, and again only after a welcome', async () => {
    const whys: boolean[] = [];
    await open(({ refresh }) => {
      whys.push(refresh);
      return 'token';
    });
    await vi.dynamicImportSettled();
    await pass(0);
    last().onclose?.({ code: 4401, reason: '' });
    await pass(0);
    last().welcome();
    last().onclose?.({ code: 4401, reason: '' });
    await pass(0);
    last().onclose?.({ code: 4401, reason: '' });
    expect(whys).toEqual([false, true, true]);
    expect(status()).toBe('closed');
  });

  describe.each([4_000, 12_000, 30_000])('when the app takes %d ms to give a token', (takesMs) => {
    let calls: number;
    let inFlight: number;
    let mostInFlight: number;
    const slowly: GetToken = async () => {
      calls += 1;
      mostInFlight = Math.max(mostInFlight, ++inFlight);
      await new Promise((resolve) => setTimeout(resolve, takesMs));
      inFlight -= 1;
      return `token ${calls}`;
    };
    const begin = async (): Promise<void> => {
      calls = inFlight = mostInFlight = 0;
      await open(slowly);
      await vi.dynamicImportSettled();
      await pass(0);
    };

    it('uses it as soon as it is there', async () => {
      await begin();
      await pass(takesMs - 1);
      expect(Socket.all).toHaveLength(0);
      await pass(1);
      last().welcome();
      expect(last().sent[0]).toMatchObject({ type: 'hello', token: 'token 1' });
      expect([calls, status()]).toEqual([1, 'connected']);
    });

    it('asks for no second one meanwhile, whatever happens to the connection', async () => {
      await begin();
      await pass(takesMs);
      last().welcome();
      last().onclose?.({ code: 4401, reason: '' });
      await pass(takesMs / 2);
      link.check();
      link.check();
      await pass(takesMs / 2 + 250);
      last().welcome();
      expect(last().sent[0]).toMatchObject({ type: 'hello', token: 'token 2' });
      expect([calls, mostInFlight, status()]).toEqual([2, 1, 'connected']);
    });
  });

  it('does not take the answer to an earlier question for a fresh token', async () => {
    const whys: boolean[] = [];
    const ask = onceAtATime(async ({ refresh }) => {
      whys.push(refresh);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return refresh ? 'fresh' : 'old';
    });
    const answers = Promise.all([ask({ refresh: false }), ask({ refresh: true }), ask({ refresh: false })]);
    await pass(200);
    expect(await answers).toEqual(['old', 'fresh', 'old']);
    expect(whys).toEqual([false, true]);
    await open();
  });

  it('is away without input, back with it, and never over what was set', async () => {
    await open();
    last().welcome();
    link.input(60_000);
    const said = (): unknown[] =>
      last().sent.flatMap(({ type, status }) => (type === 'heartbeat' && status ? [status] : []));
    const live = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 5_000) {
        await pass(5_000);
        last().receive({ type: 'ok', re: 'beat' });
      }
    };
    await live(55_000);
    link.input(60_000);
    await live(55_000);
    expect(said()).toEqual([]);
    await live(10_000);
    expect(said()).toEqual(['away']);
    link.input(60_000);
    expect(said()).toEqual(['away', 'online']);
    link.set({ status: 'busy' });
    await live(120_000);
    expect(said()).toEqual(['away', 'online', 'busy']);
  });

  it('says after a lost connection what was set meanwhile', async () => {
    await open();
    last().welcome();
    last().onclose?.({ code: 1006, reason: '' });
    link.set({ status: 'busy', text: 'later' });
    await pass(250);
    last().welcome();
    expect(last().sent).toEqual([expect.objectContaining({ type: 'hello', status: 'busy', text: 'later' })]);
  });

  it('says in hello what was set while it connected, so that nobody is shown the earlier status', async () => {
    await open();
    link.set({ status: 'invisible' });
    last().welcome();
    expect(last().sent).toEqual([expect.objectContaining({ type: 'hello', status: 'invisible' })]);
  });

  it('says hello as away if the page was frozen while it connected', async () => {
    await open();
    link.input(0);
    last().onopen?.();
    expect(last().sent).toEqual([expect.objectContaining({ type: 'hello', status: 'away' })]);
  });

  it('says at once what is set between hello and welcome, since a page that is frozen receives no welcome', async () => {
    await open();
    last().onopen?.();
    link.input(0);
    expect(last().sent.slice(1)).toEqual([{ type: 'heartbeat', id: 'beat', status: 'away', text: '' }]);
    last().receive({ type: 'welcome', session: 's', heartbeatMs: 10_000, timeoutMs: 25_000, node: 'n', protocol: 1 });
    expect(last().sent).toHaveLength(2);
  });
});
