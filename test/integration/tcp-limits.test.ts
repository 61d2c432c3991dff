/** What a TCP connection may do, and how it bends before it breaks: rates, slow senders, peers that do not read. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TcpConnection } from '../../server/adapters/tcp-xml/connection.ts';
import { ReadControl } from '../../server/adapters/tcp-xml/pacing/read-control.ts';
import type { TcpXmlOptions } from '../../server/adapters/tcp-xml/options.ts';
import { TestClock } from '../support/clock.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { LEASE_MS } from '../support/presence-stage.ts';
import { cidrs, TcpStage } from '../support/tcp-stage.ts';

const POLL = { interval: 5, timeout: 10_000 };
const MANY = { perS: 1_000_000, burst: 1_000_000 };
let stage: TcpStage;
afterEach(() => stage.close());
const start = async (options: Partial<TcpXmlOptions> = {}): Promise<void> => {
  stage = await TcpStage.open({ timeoutMs: LEASE_MS, ...options });
};
const hasReceived = (frames: number): Promise<void> => expect.poll(() => stage.frames, POLL).toBe(frames);
const hasConnections = (count: number): Promise<void> => expect.poll(() => stage.tcp.connectionCount, POLL).toBe(count);
const isOpen = async (client: LegacyClient): Promise<boolean> =>
  Promise.race([client.closed.then(() => false), new Promise<boolean>((resolve) => setTimeout(resolve, 30, true))]);
const states = ({ received }: LegacyClient): number[] =>
  [...received.matchAll(/<ack user_id="[^"]*" state="(\d+)"/g)].map(([, state]) => Number(state));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('HUB_MESSAGES_PER_S', () => {
  const messages = { perS: 100, burst: 200 };

  it('over it the connection is read later: nothing is lost, all comes in its order (T24)', async () => {
    await start({ messages });
    const client = await stage.connect();
    client.write(
      upTo(1_000)
        .map((state) => frame('42', state))
        .join('\n'),
    );
    await hasReceived(201);
    for (let second = 1; second <= 9; second++) {
      const before = stage.frames;
      for (let step = 0; step < 20 && stage.frames < 1_000; step++) {
        stage.pass(50);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(stage.frames - before).toBeLessThanOrEqual(120);
    }
    await hasReceived(1_000);
    expect(states(client)).toEqual(upTo(1_000));
    expect(new Set(stage.refused)).toEqual(new Set(['messages']));
    expect(await isOpen(client)).toBe(true);
  });

  it('is counted once a pause, and others do not feel it', async () => {
    await start({ messages });
    const [flood, calm] = [await stage.connect(), await stage.connect()];
    flood.write(frame('42').repeat(5_000));
    await hasReceived(201);
    calm.beat('7', 2);
    await calm.waitFor('<ack user_id="7" state="2"/>');
    expect(stage.refused).toEqual(['messages']);
    expect(stage.frames).toBe(202);
  });

  it('counts a large frame as several, so that the dear ones are not the cheap way to keep the hub busy (T25)', async () => {
    await start({ messages });
    const client = await stage.connect();
    const large = frame('42').replace('<protocol>', `<protocol><note>${'x'.repeat(4_900)}</note>`);
    client.write(large.repeat(100));
    // Ten pieces of 512 bytes each: twenty of them use the burst up.
    await hasReceived(21);
    expect(stage.refused).toEqual(['messages']);
  });

  it('is of each user on the connection', async () => {
    await start({ messages });
    const gateway = await stage.connect();
    const users = upTo(10).map((user) => frame(`${user}`));
    // The first ten raise what a moment may hold; a rest fills it.
    gateway.write(users.join(''));
    await hasReceived(10);
    stage.pass(2_000);
    gateway.write(users.join('').repeat(200));
    await hasReceived(2_010);
    expect(stage.refused).toEqual([]);
    gateway.write(frame('1').repeat(10));
    await hasReceived(2_011);
    expect(stage.refused).toEqual(['messages']);
  });

  it('leaves those alone who send as much as it allows', async () => {
    await start({ messages });
    const client = await stage.connect();
    for (let sent = 0; sent < 1_000; sent += 5) {
      client.write(frame('42').repeat(5));
      await hasReceived(sent + 5);
      stage.pass(50);
    }
    expect(stage.refused).toEqual([]);
  });

  it('puts nobody offline whose frames wait behind a flood, and all of them once the flood is over', async () => {
    await start({ messages });
    const gateway = await stage.connect();
    gateway.write(frame('good'));
    await hasReceived(1);
    const good = stage.session('good');
    // Twice as long as a lease: with two users, 200 a second.
    gateway.write(frame('flood').repeat(2_400) + frame('good', 2));
    await hasReceived(201);
    for (let passed = 0; passed < 4 * LEASE_MS && stage.frames < 2_402; passed += 50) {
      stage.pass(50);
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(good?.phase).toBe('live');
    }
    await hasReceived(2_402);
    expect(good).toMatchObject({ phase: 'live', status: 'away' });
    for (let passed = 0; passed <= LEASE_MS; passed += 50) stage.pass(50);
    expect(good?.phase).toBe('ended');
  });

  /** Beats of a busy user in one go at these times, while another is silent. @returns how long the silent one lived. */
  async function livesWhile(floodAt: (passed: number) => boolean): Promise<number> {
    await start({ messages });
    const gateway = await stage.connect();
    gateway.write(frame('silent') + frame('busy'));
    await hasReceived(2);
    const silent = stage.session('silent');
    let passed = 0;
    let floods = 0;
    for (let sent = 2; silent?.phase === 'live' && passed < 10 * LEASE_MS; passed += 50) {
      if (floodAt(passed)) {
        gateway.write(frame('busy').repeat(500));
        sent += 500;
        floods++;
        await expect.poll(() => stage.refused.length, POLL).toBeGreaterThanOrEqual(floods);
      }
      stage.pass(50);
      if (stage.frames < sent) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(silent?.phase).toBe('ended');
    expect(floods).toBeGreaterThan(0);
    return passed;
  }

  it('lets a silent user live on while its connection is behind, and no longer than it was (T26)', async () => {
    // A second of pauses, within which the lease would have run out.
    const lived = await livesWhile((passed) => passed === LEASE_MS - 500);
    expect(lived).toBeGreaterThan(LEASE_MS + 400);
    expect(lived).toBeLessThan(LEASE_MS + 1_500);
  });

  it('lets a silent user live no longer for pauses that its connection has made up for', async () => {
    // A second and a half of pauses at the beginning.
    const lived = await livesWhile((passed) => passed === 0);
    expect(lived).toBeGreaterThanOrEqual(LEASE_MS);
    expect(lived).toBeLessThanOrEqual(LEASE_MS + 150);
  });

  it('pauses for no longer than a part of the lease, however low it is', async () => {
    await start({ messages: { perS: 1, burst: 1 }, timeoutMs: 1_000 });
    const client = await stage.connect();
    client.write(frame('42', 1) + frame('42', 2) + frame('42', 3));
    await hasReceived(2);
    stage.pass(300);
    await hasReceived(3);
  });

  it('finds the end of a paused connection when it reads on, and gives its users the grace', async () => {
    await start({ messages });
    const client = await stage.connect();
    client.write(frame('42').repeat(1_000));
    await hasReceived(201);
    const session = stage.session('42');
    client.reset();
    await expect
      .poll(() => {
        stage.pass(50);
        return stage.tcp.connectionCount;
      }, POLL)
      .toBe(0);
    expect(session?.phase).toBe('grace');
  });

  it('reads on to the end of stream, and the goodbye before it', async () => {
    await start({ messages });
    const client = await stage.connect();
    client.write(frame('42').repeat(250) + frame('42', -1));
    client.end();
    await hasReceived(201);
    const session = stage.session('42');
    await expect
      .poll(() => {
        stage.pass(50);
        return session?.phase;
      }, POLL)
      .toBe('ended');
    stage.pass(50); // the goodbye may have been over the rate, too
    await hasConnections(0);
    expect(stage.frames).toBe(250);
  });
});

describe('a connection whose token lasts a day', () => {
  it('is not looked at for it until the clock is stepped, and then at once', async () => {
    const expiresAtMs = new TestClock().now().wallMs + 86_400_000;
    const identity = { user: '42', scopes: new Set<never>(), expiresAtMs, isOpen: false };
    const authenticator = { withoutToken: null, verify: () => Promise.resolve({ ok: true as const, identity }) };
    await start({ asksForToken: true, authenticator });
    const client = await stage.connect();
    client.write(frame('42', 1, 'token'));
    await hasReceived(1);
    const session = stage.session('42');
    stage.pass(50);
    const look = vi.spyOn(TcpConnection.prototype, 'tick');
    try {
      for (let passed = 0; passed < 4_000; passed += 50) stage.pass(50);
      expect(look).not.toHaveBeenCalled();
    } finally {
      look.mockRestore();
    }
    expect(session?.phase).toBe('live');
    stage.core.clock.stepWall(86_400_000);
    stage.pass(0);
    expect(session?.phase).toBe('grace');
  });
});

describe('a web page that posts to the port', () => {
  it('is closed at its request line, before the frames in its body (T15)', async () => {
    await start();
    const page = await stage.connect();
    const body = `<x></protocol>${frame('42')}`;
    page.write(`POST / HTTP/1.1\r\nHost: 127.0.0.1:60001\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await page.closed;
    expect(stage.frames).toBe(0);
  });
});

describe('slow senders', () => {
  it('are closed that send nothing, or nothing good, within the time of a first frame (T23)', async () => {
    await start();
    const [silent, bad, begun] = [await stage.connect(), await stage.connect(), await stage.connect()];
    bad.write(frame('no user'));
    begun.write('<protocol><user_id>42');
    await expect.poll(() => stage.bad.length, POLL).toBe(1);
    stage.pass(29_900);
    expect(await isOpen(silent)).toBe(true);
    stage.pass(200);
    await Promise.all([silent.closed, bad.closed, begun.closed]);
    expect(stage.refused).toEqual(['slow_sender', 'slow_sender', 'slow_sender']);
    await hasConnections(0);
  });

  it('are closed that drip a frame, though bytes keep coming; their users get the grace (T23)', async () => {
    await start({ timeoutMs: 100_000 });
    const client = await stage.connect();
    client.write(`${frame('42')}<protocol>`);
    await hasReceived(1);
    const session = stage.session('42');
    for (let drops = 0; drops < 5; drops++) {
      client.write('x');
      await new Promise((resolve) => setTimeout(resolve, 5));
      stage.pass(5_000);
    }
    expect(await isOpen(client)).toBe(true);
    client.write('x');
    stage.pass(5_200);
    await client.closed;
    expect(stage.refused).toEqual(['slow_sender']);
    expect(session?.phase).toBe('grace');
  });

  it('are not those who take long between frames, or leave white space behind them (T23)', async () => {
    await start();
    const [narrow, wide] = [await stage.connect(), await stage.connect()];
    narrow.write(`${frame('42')}\r\n`);
    wide.write(Buffer.concat([Buffer.from(frame('7'), 'utf16le'), Buffer.from('\n')]));
    await hasReceived(2);
    for (let minutes = 0; minutes < 60; minutes++) stage.pass(60_000);
    for (const client of [narrow, wide]) expect(await isOpen(client)).toBe(true);
    narrow.beat('42');
    await hasReceived(3);
    expect(stage.refused).toEqual([]);
  });

  it('gets its full time for each frame', async () => {
    await start({ timeoutMs: 100_000 });
    const client = await stage.connect();
    const [head, tail] = ['<protocol><user_id>42</user_id>', '</protocol>'];
    client.write(head);
    for (let frames = 1; frames <= 4; frames++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      stage.pass(20_000);
      client.write(tail + head);
      await hasReceived(frames);
    }
    expect(stage.refused).toEqual([]);
    stage.pass(31_000);
    await client.closed;
  });
});

describe('peers that do not read', () => {
  /** Answers enough for the system's buffers to be full, and some left with us. */
  const fill = async (client: LegacyClient): Promise<void> => {
    client.stopReading();
    client.write(frame('x'.repeat(128)).repeat(40_000));
    await hasReceived(40_000);
  };

  it('are gone 5 s after they ended their side', async () => {
    await start({ messages: MANY });
    const client = await stage.connect({ allowHalfOpen: true });
    await fill(client);
    const session = stage.session('x'.repeat(128));
    client.end();
    await expect.poll(() => session?.phase, POLL).toBe('grace');
    expect(stage.tcp.connectionCount).toBe(1);
    stage.pass(5_100);
    await hasConnections(0);
  });

  it('are gone 5 s after the hub ended the connection', async () => {
    await start({ messages: MANY });
    const client = await stage.connect({ allowHalfOpen: true });
    await fill(client);
    client.write(frame('no user').repeat(10));
    await expect.poll(() => stage.bad.length, POLL).toBe(10);
    expect(stage.tcp.connectionCount).toBe(1);
    stage.pass(5_100);
    await hasConnections(0);
  });

  it('are not read either once the hub ended the connection', async () => {
    await start({ messages: MANY });
    const client = await stage.connect({ allowHalfOpen: true });
    await fill(client);
    client.write(frame('no user').repeat(10));
    await expect.poll(() => stage.bad.length, POLL).toBe(10);
    const piece = ' '.repeat(1024 * 1024);
    let sentMiB = 0;
    let isRead = true;
    for (; isRead && sentMiB < 100; sentMiB++) {
      const written = new Promise<boolean>((resolve) => client.socket.write(piece, () => resolve(true)));
      isRead = await Promise.race([written, new Promise<boolean>((resolve) => setTimeout(resolve, 500, false))]);
    }
    // What the kernels of both ends take in is not read by the hub.
    expect(sentMiB).toBeLessThan(32);
  });

  it('and keep a side open are gone, too, once the hub ended its own', async () => {
    await start();
    const client = await stage.connect({ allowHalfOpen: true });
    client.write(frame('no user').repeat(10));
    await hasConnections(0);
  });
});

describe('the address of a session', () => {
  it.each([
    ['the peer’s, where the frame says nothing', '127.0.0.2', '', /^127\.0\.0\.2:\d+$/],
    ['the proxy’s word', '127.0.0.9', 'PROXY TCP4 10.0.0.7 10.0.0.1 5222 60001\r\n', /^10\.0\.0\.7:5222$/],
    ['a trusted proxy’s own without a header', '127.0.0.9', '', /^127\.0\.0\.9:\d+$/],
    ['a trusted proxy’s own where it says UNKNOWN', '127.0.0.9', 'PROXY UNKNOWN\r\n', /^127\.0\.0\.9:\d+$/],
    ['not what a stranger’s header says', '127.0.0.2', 'PROXY TCP4 10.0.0.7 10.0.0.1 5222 1\r\n', /^127\.0\.0\.2:\d+$/],
  ])('is %s', async (_, from, header, address) => {
    await start({ trustedProxies: cidrs('127.0.0.9') });
    const client = await stage.connect({ from });
    client.write(header + frame('1') + frame('42'));
    await client.waitFor('<ack user_id="42" state="1"/>');
    expect(stage.session('42')?.address).toMatch(address);
  });

  it('is the frame’s own word before all others', async () => {
    await start();
    const client = await stage.connect();
    client.write('<protocol user_id="42" user_ip="10.0.0.9" user_port="7"></protocol>');
    await client.waitFor('<ack user_id="42" state="1"/>');
    expect(stage.session('42')?.address).toBe('10.0.0.9:7');
  });
});

describe('HUB_MAX_PER_CONNECTION', () => {
  const errors = ({ received }: LegacyClient): string[] =>
    [...received.matchAll(/<error code="(\w+)"/g)].map(([, code]) => code ?? '');

  it('skips a user beyond it with too_many, which is no bad frame, and keeps the others (T13)', async () => {
    await start({ maxUsers: 2 });
    const gateway = await stage.connect();
    gateway.write(
      upTo(20)
        .map((user) => frame(`u${user}`))
        .join(''),
    );
    gateway.write(frame('u1', 2));
    await gateway.waitFor('<ack user_id="u1" state="2"/>');
    expect(errors(gateway)).toEqual(Array(18).fill('too_many'));
    expect(stage.bad).toEqual([]);
    expect(stage.refused).toEqual(Array(18).fill('per_connection'));
    expect(['u1', 'u2', 'u3'].map((user) => stage.session(user)?.phase)).toEqual(['live', 'live', undefined]);
    expect(await isOpen(gateway)).toBe(true);
  });

  it('has room again once a user has left, and another connection has room of its own', async () => {
    await start({ maxUsers: 1 });
    const [gateway, other] = [await stage.connect(), await stage.connect()];
    gateway.write(frame('1') + frame('1', 0) + frame('2'));
    other.write(frame('3'));
    await gateway.waitFor('<ack user_id="2" state="1"/>');
    await other.waitFor('<ack user_id="3" state="1"/>');
    expect(stage.refused).toEqual([]);
  });
});

describe('what comes in beside usual frames', () => {
  const messages = { perS: 100, burst: 200 };
  const isPaused = (): Promise<void> => expect.poll(() => stage.refused, POLL).toEqual(['messages']);

  it.each([
    ['white space', ' '],
    ['NUL', '\0'],
    ['line ends', '\r\n'],
  ])('%s means nothing and is read at the rate, so that a flood of it waits (T25)', async (_what, nothing) => {
    await start({ messages });
    const client = await stage.connect();
    client.write(frame('42') + nothing.repeat(Math.ceil(300_000 / nothing.length)) + frame('42', 7));
    await isPaused();
    expect(stage.frames).toBe(1);
    // The pause is over, and so is the flood: it cost the client nothing but time.
    await expect
      .poll(() => {
        stage.pass(500);
        return stage.frames;
      }, POLL)
      .toBe(2);
    expect(stage.bad).toEqual([]);
    expect(await isOpen(client)).toBe(true);
  });

  it.each(['\n', '\0'])('charges for what stands around a frame that repeats the one before: %j', async (nothing) => {
    await start({ messages, ack: false });
    const client = await stage.connect();
    client.write(frame('42') + frame('42'));
    await hasReceived(2);
    for (let packets = 3; packets <= 50 && !stage.refused.includes('messages'); packets++) {
      client.write(frame('42') + nothing.repeat(60_000));
      await expect.poll(() => stage.frames === packets || stage.refused.includes('messages'), POLL).toBe(true);
    }
    expect(stage.refused).toContain('messages');
  });

  it('counts packets that end no frame, four as one (T25)', async () => {
    await start({ messages });
    const client = await stage.connect();
    const reading = vi.spyOn(ReadControl.prototype, 'arrived');
    client.beat('42');
    await hasReceived(1);
    for (let packets = 0; stage.refused.length === 0; packets++) {
      expect(packets).toBeLessThan(1000);
      const before = reading.mock.calls.length;
      client.write(packets === 0 ? '<protocol>' : 'x');
      await expect.poll(() => reading.mock.calls.length, POLL).toBeGreaterThan(before);
    }
    expect(reading.mock.calls.length).toBeGreaterThan(790);
    reading.mockRestore();
    expect(await isOpen(client)).toBe(true);
  });

  it('counts a frame of very many elements by them (T25)', async () => {
    await start({ messages });
    const client = await stage.connect();
    const dear = frame('42').replace('<protocol>', `<protocol>${'<a b=""/>'.repeat(800)}`);
    client.write(dear.repeat(10));
    await isPaused();
    expect(stage.frames).toBe(1);
  });
});
