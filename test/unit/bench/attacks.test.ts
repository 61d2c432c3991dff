/** The attacks of `bench hostile` and `fuzz`: how ends are read, how reports are judged, and what a crowd really sends. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { harmOf, mergeReports, type AttackReport } from '../../bench/lib/attack-run.ts';
import { attackTargets } from '../../bench/lib/attacks/attack.ts';
import { attackNamed, attacks, attacksNamed, startAttack } from '../../bench/lib/attacks/index.ts';
import { describeEnd, printEnds } from '../../bench/lib/crowd-ends.ts';
import { Crowd } from '../../bench/lib/crowd.ts';
import { ProbeTimes } from '../../bench/lib/probe-times.ts';

const closings: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closings.splice(0).reverse()) close();
});

const quiet: AttackReport = {
  attack: 'x',
  times: 1,
  cpuPercent: 50,
  starvedPercent: 0,
  longestMs: 100,
  ownLateMs: 3,
  reportedOffline: 0,
  lost: 0,
  unanswered: 0,
  stales: 0,
  rssGrowthMb: 4,
  rssAfterMb: 60,
  opened: 1,
  ended: 0,
  sentBytes: 10,
  receivedBytes: 20,
  ends: {},
  hubEnded: null,
};

describe('the end of a connection', () => {
  const closeFrame = Buffer.from([0x88, 6, 0x11, 0x38, ...Buffer.from('slow')]);

  test('is a close code if a close frame was the last that came', () => {
    expect(describeEnd(closeFrame, undefined)).toBe('WS 4408');
    expect(describeEnd(Buffer.concat([Buffer.alloc(5000, 'a'), closeFrame]), 'ECONNRESET')).toBe('WS 4408');
    expect(describeEnd(Buffer.concat([closeFrame, Buffer.from('a')]), undefined)).toBe('closed');
  });

  test('is the last error status of an HTTP answer, and never a good one', () => {
    const upgraded = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
    expect(describeEnd(Buffer.from('HTTP/1.1 413 Payload Too Large\r\n\r\n{}'), 'EPIPE')).toBe('HTTP 413');
    expect(describeEnd(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), undefined)).toBe('closed');
    expect(describeEnd(Buffer.from(upgraded), 'ECONNRESET')).toBe('reset');
  });

  test('is counted by how it came, the most frequent first', () => {
    expect(printEnds({ reset: 2, 'WS 4408': 11 })).toBe('WS 4408 ×11, reset ×2');
    expect(printEnds({})).toBe('-');
  });
});

describe('the probe', () => {
  test('counts a request that waits as long as it has waited so far', () => {
    let now = 0;
    const times = new ProbeTimes(() => now);
    const first = times.asked();
    now = 20;
    first(true);
    const second = times.asked();
    now = 420;
    expect(times.look()).toEqual({ answers: 1, failed: 0, longestMs: 400, waiting: 1, ownLateMs: 0 });
    now = 520;
    second(false);
    expect(times.look()).toMatchObject({ answers: 0, failed: 1, longestMs: 500 });
    expect(times.look()).toMatchObject({ longestMs: 0, failed: 0 });
  });
});

describe('a report', () => {
  test('reports no harm if the probe was answered in time and no user was affected', () => {
    expect(harmOf(quiet, 100)).toEqual([]);
  });

  test.for<[Partial<AttackReport>, string]>([
    [{ longestMs: 100.6 }, 'x: /healthz took 101 ms, limit 100 ms'],
    [{ reportedOffline: 2 }, 'x: well-behaved users reported offline: 2'],
    [{ lost: 1 }, 'x: lost connections of well-behaved users or the observer: 1'],
    [{ unanswered: 1 }, 'x: HTTP heartbeats or probes not answered with 200: 1'],
    [{ hubEnded: 'SIGABRT' }, 'x: the hub ended: SIGABRT'],
  ])('%j is harm', ([change, harm]) => {
    expect(harmOf({ ...quiet, ...change }, 100)).toEqual([harm]);
  });

  test('of two runs has their sums and the worst of both', () => {
    const other = { ...quiet, longestMs: 700, cpuPercent: 80, lost: 3, ends: { reset: 2 }, hubEnded: 'SIGABRT' };
    const merged = mergeReports({ ...quiet, ends: { reset: 1, closed: 1 } }, other);
    expect(merged).toMatchObject({ times: 2, longestMs: 700, cpuPercent: 65, lost: 3, sentBytes: 20 });
    expect(merged).toMatchObject({ ends: { reset: 3, closed: 1 }, hubEnded: 'SIGABRT' });
  });
});

describe('the table of attacks', () => {
  test('has different names that begin with their target, and describes each attack', () => {
    const names = attacks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, target, about } of attacks) {
      expect(attackTargets).toContain(target);
      expect(name.startsWith(`${target}-`)).toBe(true);
      expect(about).not.toBe('');
    }
  });

  test('is chosen from by name, and by how names begin', () => {
    expect(attacksNamed('tcp-flood').map(({ name }) => name)).toEqual(['tcp-flood']);
    expect(attacksNamed('http-,ws-pings').every(({ name }) => /^http-|^ws-pings$/.test(name))).toBe(true);
    expect(attacksNamed(undefined)).toEqual(attacks);
    expect(() => attacksNamed('nothing')).toThrow('no attack nothing: there are tcp-endless');
    expect(() => attackNamed('tcp-')).toThrow('no attack tcp-');
  });

  test.for(attacks.map(({ name }) => name))('%s opens connections and sends bytes', async (name) => {
    const { port, whenReceived } = await listen((socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const crowd = startAttack(name, 1, { port, localAddress: undefined }, { width: 1, held: 20 });
    closings.push(() => crowd.disperse());
    await whenReceived(1);
    expect(crowd.counts.opened).toBeGreaterThan(0);
    expect(crowd.counts.sentBytes).toBeGreaterThan(0);
  });
});

describe('a crowd', () => {
  test('waits for the answer to its opening before it sends the rest', async () => {
    const received: string[] = [];
    const { port, sockets, whenReceived } = await listen(undefined, (bytes) => received.push(bytes.toString()));
    const crowd = crowdTo(port);
    crowd.pace(1, () => Buffer.from('p'), {
      ask: Buffer.from('ask'),
      say: (no) => Buffer.from(`say${no}`),
      bursts: [3],
      perS: 0,
    });
    await whenReceived(3);
    expect(received.join('')).toBe('ask');
    sockets[0]?.write('yes');
    await whenReceived(3 + 4 + 3);
    expect(received.join('')).toBe('asksay0ppp');
  });

  test('comes again if it is cut off, and counts how it ended', async () => {
    const { port, whenReceived } = await listen((socket) => socket.end('HTTP/1.1 429 Too Many Requests\r\n\r\n'));
    const crowd = crowdTo(port);
    crowd.pace(1, () => Buffer.from('x'), { bursts: [1], perS: 0 });
    await whenReceived(2);
    expect(crowd.counts.opened).toBeGreaterThanOrEqual(2);
    expect(Object.keys(crowd.counts.ends)).toEqual(['HTTP 429']);
  });
});

function crowdTo(port: number): Crowd {
  const crowd = new Crowd({ port, localAddress: undefined });
  closings.push(() => crowd.disperse());
  return crowd;
}

/** A server that counts what it receives. */
async function listen(onConnection?: (socket: Socket) => void, onBytes?: (bytes: Buffer) => void) {
  const sockets: Socket[] = [];
  let received = 0;
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      received += bytes.length;
      onBytes?.(bytes);
      for (const { count, resolve } of waiting) if (received >= count) resolve();
    });
    onConnection?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const whenReceived = (count: number): Promise<void> =>
    new Promise((resolve) => (received >= count ? resolve() : waiting.push({ count, resolve })));
  return { port: (server.address() as AddressInfo).port, sockets, whenReceived };
}
