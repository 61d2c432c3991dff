/** A visit at a hub that asks for tokens, with a socket and a clock that the test holds: which token is tried, and when. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

class Socket {
  static all: Socket[] = [];
  readonly sent: { type: string; token?: string }[] = [];
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  constructor() {
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string; token?: string });
  }

  close(): void {}

  refuse(): void {
    this.onopen?.();
    this.onclose?.({ code: 4401, reason: 'the token has run out' });
  }
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const tried = (): unknown[] => Socket.all.flatMap(({ sent }) => sent.map(({ token }) => token));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  vi.resetModules();
  vi.stubGlobal('WebSocket', Socket);
  vi.stubGlobal('location', { origin: 'http://hub', pathname: '/', search: '', hash: '' });
  vi.stubGlobal('sessionStorage', { getItem: () => 'old', setItem: () => undefined });
  vi.stubGlobal('navigator', {});
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('requestAnimationFrame', () => 1);
  vi.stubGlobal('cancelAnimationFrame', () => undefined);
  Socket.all = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function visit() {
  const { Visit } = await import('../../../../client/page/visit.ts');
  const { giveToken, isTokenWanted } = await import('../../../../client/page/token.ts');
  const session = new Visit({ user: '42', isObserver: false }, { status: 'online', text: '' });
  await vi.waitFor(() => expect(Socket.all).toHaveLength(1));
  return { session, giveToken, isTokenWanted };
}

it('a token that was given while nobody waited for it any more is tried before another question', async () => {
  const { session, giveToken, isTokenWanted } = await visit();
  Socket.all[0]!.refuse();
  await pass(0);
  expect(isTokenWanted()).toBe(true);
  // Whoever asked gives up after ten seconds and asks again a little later: it is typed between the two.
  await pass(10_000);
  expect(Socket.all).toHaveLength(1);
  giveToken('new');
  expect(Socket.all).toHaveLength(1);
  await pass(1_000);
  expect(Socket.all).toHaveLength(2);
  Socket.all[1]!.onopen?.();
  expect(tried()).toEqual(['old', 'new']);
  expect(isTokenWanted()).toBe(false);
  session.end();
});

it('a token that was refused is not tried again: the page asks for another', async () => {
  const { session, isTokenWanted } = await visit();
  Socket.all[0]!.refuse();
  await pass(60_000);
  expect(tried()).toEqual(['old']);
  expect(isTokenWanted()).toBe(true);
  session.end();
});

it('a token that names no user id is not quoted: it could turn the sentence', async () => {
  vi.stubGlobal('sessionStorage', {
    getItem: () => `h.${btoa('{"sub":"7 \\u202e"}')}.s`,
    setItem: () => undefined,
  });
  const { session } = await visit();
  Socket.all[0]!.onclose?.({ code: 4403, reason: 'forbidden' });
  session.search('');
  expect(session.picture.connection).toMatchObject({ why: 'This token is not valid for 42.' });
  session.end();
});
