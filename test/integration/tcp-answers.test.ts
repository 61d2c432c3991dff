/** What the hub says to legacy clients if it is configured to, and the settings of what it reads: names, codes, encodings. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frame } from '../support/legacy-client.ts';
import { startTcpHub, type TcpHub } from '../support/tcp-hub.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TcpHub;
const stop = (): Promise<void> => hub.stop();
const ack = (user: string, state: number): string => `<protocol><ack user_id="${user}" state="${state}"/></protocol>\n`;
/** An error without its words. */
const error = (code: string): string => `<protocol><error code="${code}">…</error></protocol>\n`;
const withoutWords = (answers: string): string => answers.replaceAll(/">[^<]+<\/error>/g, '">…</error>');
const probe = '<protocol><probe/></protocol>\n';

describe('by default', () => {
  afterEach(stop);

  it('answers nothing: neither to good frames, nor to bad ones, nor to silence (T9)', async () => {
    hub = await startTcpHub();
    const client = await hub.open();
    client.write(frame('42') + frame('abc def') + frame('42', -1));
    await hub.hasRead(client);
    hub.clock.pass(5_500);
    await hub.looked();
    client.write(frame('no user').repeat(10));
    await client.closed;
    expect(client.received).toBe('');
  });
});

describe('with HUB_TCP_ACK', () => {
  afterEach(stop);

  it('answers each frame in order: its user and state, or why it was skipped (T9)', async () => {
    hub = await startTcpHub({ tcpAck: true });
    const client = await hub.open();
    const frames = [frame('42'), frame('7', 7), frame('abc def'), frame('8', -2), frame('42', 0), '<x></protocol>'];
    client.write(frames.join('\n') + frame('a:b', -1));
    const last = ack('a:b', -1);
    await client.waitFor(last);
    const answers = [
      ack('42', 1),
      ack('7', 7),
      error('user_id'),
      error('user_state'),
      ack('42', 0),
      error('malformed'),
    ];
    expect(withoutWords(client.received)).toBe(answers.join('') + last);
  });

  it('says what is wrong in words, escaped as XML asks', async () => {
    hub = await startTcpHub({ tcpAck: true });
    const client = await hub.open();
    client.write('<x></protocol>');
    await client.waitFor('</error>');
    expect(client.received).toContain('&lt;protocol&gt;');
    expect(client.received).not.toMatch(/<error[^>]*>[^<]*<(?!\/error>)/);
  });

  it('says why before it closes: after ten bad frames, and at 9 KiB without an end', async () => {
    hub = await startTcpHub({ tcpAck: true });
    const [stubborn, endless] = [await hub.open(), await hub.open()];
    stubborn.write(frame('abc def').repeat(10));
    endless.write(`<protocol>${'x'.repeat(9 * 1024)}`);
    await Promise.all([stubborn.closed, endless.closed]);
    expect(withoutWords(stubborn.received)).toBe(error('user_id').repeat(10));
    expect(withoutWords(endless.received)).toBe(error('too_large'));
  });

  it('serves a client that never reads: its answers are dropped, its heartbeats are not', async () => {
    hub = await startTcpHub({ tcpAck: true, messagesPerS: 10_000 });
    const client = await hub.open();
    client.stopReading();
    const user = 'x'.repeat(128);
    // 5 MB of answers: more than the system's buffers take.
    const [rounds, framesARound] = [3, 10_000];
    for (let round = 1; round <= rounds; round++) {
      client.write(frame(user, round).repeat(framesARound));
      await hub.hasReceived(round * framesARound);
      await hub.shows(user, { code: round });
    }
    client.readAgain();
    const isAnswered = (): boolean => {
      client.beat('7');
      return client.received.includes(ack('7', 1));
    };
    await expect.poll(isAnswered, { timeout: 10_000 }).toBe(true);
    expect(client.received.split('<ack').length).toBeLessThan(rounds * framesARound);
  });

  it('starts the grace at the end of stream, though answers still wait for a client that does not read', async () => {
    hub = await startTcpHub({ tcpAck: true, messagesPerS: 10_000 });
    const client = await hub.open();
    client.stopReading();
    const user = 'x'.repeat(128);
    client.write(frame(user).repeat(30_000));
    await hub.hasReceived(30_000);
    client.end();
    const status = async (): Promise<string> => {
      hub.clock.pass(100);
      return (await hub.entry(user)).status;
    };
    await expect.poll(status, { interval: 20, timeout: 10_000 }).toBe('offline');
    const { since, lastSeen } = await hub.entry(user);
    expect((since ?? 0) - (lastSeen ?? 0)).toBeLessThan(5_400);
    expect(await hub.metric('presence_hub_connections{adapter="tcp-xml"}')).toBe(1);
  });
});

describe('with HUB_TCP_PROBE', () => {
  afterEach(stop);

  it('asks once two thirds of the lease have passed in silence, and not before (T10)', async () => {
    hub = await startTcpHub({ tcpProbe: true });
    const [silent, beating] = [await hub.open(), await hub.open()];
    for (const client of [silent, beating]) client.beat('42');
    await hub.hasReceived(2);
    hub.clock.pass(3_599);
    await hub.looked();
    beating.beat('42');
    await hub.hasReceived(3);
    expect(silent.received).toBe('');
    hub.clock.pass(101);
    await silent.waitFor(probe);
    silent.beat('42');
    await hub.hasReceived(4);
    hub.clock.pass(3_400);
    await hub.looked();
    expect(silent.received).toBe(probe);
    hub.clock.pass(300);
    await silent.waitFor(probe + probe);
    await beating.waitFor(probe);
  });

  it('takes a frame that answers the question for a heartbeat like any other', async () => {
    hub = await startTcpHub({ tcpProbe: true });
    const client = await hub.open();
    client.beat('42');
    for (let asked = 1; asked <= 3; asked++) {
      await hub.hasReceived(asked);
      hub.clock.pass(3_700);
      await client.waitFor(probe.repeat(asked));
      client.beat('42');
    }
    await hub.hasReceived(4);
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
  });

  it('asks in the width that the connection writes (T11)', async () => {
    hub = await startTcpHub({ tcpProbe: true });
    const client = await hub.open();
    client.write(Buffer.from(frame('42'), 'utf16le'));
    await hub.hasReceived(1);
    hub.clock.pass(3_700);
    await client.waitFor(Buffer.from(probe, 'utf16le').toString('latin1'));
  });
});

describe('HUB_TCP_NAMES', () => {
  afterEach(stop);
  const named = '<protocol><uid>42</uid><state>3</state><device>phone</device></protocol>';

  it.each(['user_id=uid,user_state=state', '{"user_id":"uid","user_state":"state"}'])('%s (T5)', async (tcpNames) => {
    hub = await startTcpHub({ tcpNames });
    const client = await hub.open();
    client.write(named);
    await hub.shows('42', { code: 3, devices: ['phone'] });
    client.beat('42');
    client.write('<protocol uid="7"></protocol>');
    await hub.shows('7', { status: 'online' });
    expect(await hub.badFrames()).toEqual({ user_id: 1 });
  });
});

describe('HUB_CODES', () => {
  afterEach(stop);

  it('says what integers mean, and which one is shown (T6)', async () => {
    hub = await startTcpHub({ codes: 'online=10,away=20|21,busy=30,invisible=40,offline=0' });
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', code: 0 });
    const client = await hub.open();
    for (const [state, status] of [
      [10, 'online'],
      [20, 'away'],
      [21, 'away'],
      [30, 'busy'],
      [2, 'online'],
    ] as const) {
      client.beat('42', state);
      await hub.shows('42', { status, code: state });
    }
    client.beat('42', 40);
    await hub.shows('42', { status: 'offline', code: 0, devices: [] });
    await WsClient.hello(hub.addresses.ws, { user: '7', status: 'away' });
    expect(await hub.entry('7')).toMatchObject({ status: 'away', code: 20 });
    client.beat('42', -1);
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', code: 0 });
  });
});

describe('HUB_TCP_ENCODING', () => {
  afterEach(stop);
  const device = (name: string): string => `<protocol user_id="42"><device>${name}</device></protocol>`;

  it('applies if neither the frame nor its first bytes decide (T7)', async () => {
    hub = await startTcpHub({ tcpEncoding: 'GBK' });
    const client = await hub.open();
    client.write(Buffer.from(device('ÊÖ»ú'), 'latin1'));
    await hub.shows('42', { devices: ['手机'] });
    client.write(`<?xml version="1.0" encoding="UTF-8"?>${device('télé')}`);
    await hub.shows('42', { devices: ['télé'] });
  });

  it.each(['utf-16le', 'utf-16be'])('of %s reads it without a mark, and one-byte frames all the same', async (name) => {
    hub = await startTcpHub({ tcpEncoding: name });
    const bytes = Buffer.from(device('手机'), 'utf16le');
    (await hub.open()).write(name === 'utf-16le' ? bytes : bytes.swap16());
    await hub.shows('42', { devices: ['手机'] });
    (await hub.open()).beat('7');
    await hub.shows('7', { status: 'online' });
  });
});

interface Golden {
  readonly says: string;
  readonly default?: string;
  readonly end?: 'too_large';
  readonly frames: readonly ({ ok: true; user: string; state: number } | { ok: false; reason: string })[];
}
const folder = new URL('../golden/frames/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as Record<string, Golden>;

describe.each(['utf-8', 'gbk'])('the golden frames through a socket, where the default is %s', (encoding) => {
  beforeAll(async () => {
    hub = await startTcpHub({ tcpAck: true, tcpEncoding: encoding });
  });
  afterAll(stop);

  const files = Object.entries(index).filter(([, golden]) => (golden.default ?? 'utf-8') === encoding);
  it.each(files)('%s', async (file, golden) => {
    const client = await hub.open();
    client.write(readFileSync(new URL(file, folder)));
    client.end();
    await client.closed;
    const answers = golden.frames.map((one) => (one.ok ? ack(one.user, one.state) : error(one.reason))).join('');
    const closing = golden.end === undefined ? '' : error(golden.end);
    // On a UTF-16 connection each character of an answer has a zero byte beside it.
    expect(withoutWords(client.received.replaceAll('\0', ''))).toBe(answers + closing);
  });
});
