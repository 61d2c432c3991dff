/** Who may connect over TCP at all: HUB_TCP_ALLOW, counts by address, and the PROXY header that says for whom a balancer speaks. */
import { afterEach, describe, expect, it } from 'vitest';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { startTcpHub, type TcpHub } from '../support/tcp-hub.ts';

let hub: TcpHub;
afterEach(() => hub.stop());
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A version 2 header for that source. */
const binaryHeader = (source: readonly number[], port: number, command = 0x21): Buffer => {
  const family = source.length === 4 ? 0x11 : 0x21;
  const ends = Buffer.from([...source, ...source, port >> 8, port & 255, 0, 1]);
  const fixed = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  fixed[12] = command;
  fixed[13] = family;
  fixed.writeUInt16BE(ends.length, 14);
  return Buffer.concat([fixed, ends]);
};
const writeInBytes = async (client: LegacyClient, bytes: Buffer): Promise<void> => {
  for (const byte of bytes) {
    client.write(Uint8Array.of(byte));
    await turn();
  }
};

describe('HUB_TCP_ALLOW', () => {
  it('cuts other addresses at once, and admits the listed ones (T20)', async () => {
    hub = await startTcpHub({ tcpAllow: '10.0.0.0/8, 127.0.0.2' });
    const stranger = await hub.open({ from: '127.0.0.3' });
    stranger.beat('42');
    await stranger.closed;
    const friend = await hub.open({ from: '127.0.0.2' });
    friend.beat('7');
    await hub.shows('7', { status: 'online' });
    expect(await hub.entry('42')).toMatchObject({ since: null });
    expect(await hub.refusals()).toEqual({ address: 1 });
    await hub.hasConnections(1);
  });
});

describe('counts of connections', () => {
  it('HUB_MAX_PER_ADDRESS: one too many is cut, other addresses are admitted, and a closed connection makes room', async () => {
    hub = await startTcpHub({ maxPerAddress: 2 });
    const first = await hub.open({ from: '127.0.0.2' });
    await hub.open({ from: '127.0.0.2' });
    await (
      await hub.open({ from: '127.0.0.2' })
    ).closed;
    await hub.hasRead(await hub.open({ from: '127.0.0.3' }));
    expect(await hub.refusals()).toEqual({ per_address: 1 });
    first.reset();
    await hub.hasConnections(2);
    await hub.hasRead(await hub.open({ from: '127.0.0.2' }));
  });

  it('HUB_MAX_CONNECTIONS: one too many is cut, and a closed connection makes room', async () => {
    hub = await startTcpHub({ maxConnections: 20 });
    const all: LegacyClient[] = [];
    let isCut = false;
    // Not exactly 21: each request of this test is a connection too.
    while (!isCut && all.length < 25) {
      const client = await hub.open();
      all.push(client);
      const stays = new Promise<boolean>((resolve) => setTimeout(resolve, 50, false));
      isCut = await Promise.race([client.closed.then(() => true), stays]);
    }
    expect(isCut).toBe(true);
    expect(all.length).toBeGreaterThan(10);
    expect((await hub.refusals()).connections).toBeGreaterThan(0);
    for (const client of all) client.end();
    await hub.hasConnections(0);
    await hub.hasRead(await hub.open());
  });
});

describe('the PROXY header of a trusted proxy', () => {
  const proxy = '127.0.0.9';
  const line = 'PROXY TCP4 10.0.0.7 10.0.0.1 5222 60001\r\n';
  const start = async (settings: object = {}): Promise<void> => {
    hub = await startTcpHub({ trustProxy: proxy, ...settings });
  };

  it.each([
    ['a line', Buffer.from(line)],
    ['binary', binaryHeader([10, 0, 0, 8], 5223)],
    ['binary, IPv6', binaryHeader([0xfd, ...Array<number>(14).fill(0), 7], 5224)],
    ['an IPv4 address in IPv6 clothes', Buffer.from('PROXY TCP6 ::ffff:10.0.0.7 ::1 5222 1\r\n')],
  ])('%s: is no frame, in whatever packets it comes (T21)', async (_, header) => {
    await start();
    const [whole, split] = [await hub.open({ from: proxy }), await hub.open({ from: proxy })];
    whole.write(Buffer.concat([header, Buffer.from(frame('42'))]));
    await writeInBytes(split, Buffer.concat([header, Buffer.from(frame('7'))]));
    await hub.shows('42', { status: 'online' });
    await hub.shows('7', { status: 'online' });
    expect(await hub.badFrames()).toEqual({});
  });

  it('gives the address for HUB_TCP_ALLOW and the counts by address (T21)', async () => {
    await start({ tcpAllow: '10.0.0.7, 10.0.0.8', maxPerAddress: 1 });
    const one = await hub.open({ from: proxy });
    one.write(line + frame('1'));
    await hub.shows('1', { status: 'online' });
    const again = await hub.open({ from: proxy });
    again.write(line + frame('2'));
    await again.closed;
    const other = await hub.open({ from: proxy });
    other.write(line.replace('10.0.0.7', '10.0.0.8') + frame('3'));
    await hub.shows('3', { status: 'online' });
    const stranger = await hub.open({ from: proxy });
    stranger.write(line.replace('10.0.0.7', '10.0.0.9') + frame('4'));
    await stranger.closed;
    expect(await hub.refusals()).toEqual({ per_address: 1, address: 1 });
    one.end();
    await hub.hasConnections(1);
    const back = await hub.open({ from: proxy });
    back.write(line + frame('5'));
    await hub.shows('5', { status: 'online' });
  });

  it.each([
    ['a health check of its own', Buffer.from('PROXY UNKNOWN\r\n')],
    ['LOCAL', binaryHeader([10, 0, 0, 8], 5223, 0x20)],
    ['no header at all', Buffer.alloc(0)],
  ])('with %s, the proxy is taken by its own address (T21)', async (_, header) => {
    await start({ tcpAllow: proxy });
    const client = await hub.open({ from: proxy });
    client.write(Buffer.concat([header, Buffer.from(frame('42'))]));
    await hub.shows('42', { status: 'online' });
  });

  it.each([
    ['a line that is none', Buffer.from('PROXY TCP4 nobody\r\n')],
    ['a line without an end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
    ['an unknown version', binaryHeader([1, 2, 3, 4], 5, 0x31)],
  ])('is cut at %s', async (_, header) => {
    await start();
    const client = await hub.open({ from: proxy });
    client.write(Buffer.concat([header, Buffer.from(frame('42'))]));
    await client.closed;
    expect(await hub.entry('42')).toMatchObject({ since: null });
    expect(await hub.refusals()).toEqual({ proxy: 1 });
  });

  it('is not waited for longer than for a first frame', async () => {
    await start();
    const clients = [await hub.open({ from: proxy }), await hub.open({ from: proxy })];
    clients[0]?.write('PROXY TCP4 10.0.');
    await hub.hasConnections(2);
    hub.clock.pass(30_100);
    for (const client of clients) await client.closed;
    expect(await hub.refusals()).toEqual({ slow_sender: 2 });
  });

  it('of anybody else is a bad frame, and names nobody', async () => {
    await start({ tcpAllow: '127.0.0.0/8' });
    const client = await hub.open();
    client.write(line + frame('42') + frame('7'));
    await hub.shows('7', { status: 'online' });
    expect(await hub.badFrames()).toEqual({ malformed: 1 });
    expect(await hub.entry('42')).toMatchObject({ since: null });
  });
});
