/** PROTOCOL.md section 3, and what sections 1 and 2 say of TCP, through real sockets: frames, fields, leases, ends. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_TCP_FRAME_BYTES } from '../../shared/limits.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { startTcpHub, sentTo, type TcpHub } from '../support/tcp-hub.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TcpHub;
beforeEach(async () => {
  hub = await startTcpHub();
});
afterEach(() => hub.stop());

const protocol = (inside: string): string => `<protocol>${inside}</protocol>`;
const userFrame = (user: string, more: string): string => protocol(`<user_id>${user}</user_id>${more}`);
/** A valid frame of this many bytes. */
const frameOfBytes = (user: string, bytes: number): string => {
  const empty = userFrame(user, '<pad></pad>').length;
  return userFrame(user, `<pad>${'x'.repeat(bytes - empty)}</pad>`);
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('frames', () => {
  it('takes a frame that comes byte by byte (I2, T2)', async () => {
    const client = await hub.open();
    for (const byte of Buffer.from(userFrame('42', '<user_state>2</user_state>'))) {
      client.write(Uint8Array.of(byte));
      await turn();
    }
    await hub.shows('42', { status: 'away', code: 2, devices: ['legacy'] });
    await hub.hasReceived(1);
  });

  it('takes three frames of one packet without line ends (T2)', async () => {
    const client = await hub.open();
    client.write(frame('1') + frame('2', 2) + frame('3', 3));
    await hub.hasReceived(3);
    await hub.shows('1', { code: 1 });
    await hub.shows('2', { code: 2 });
    await hub.shows('3', { code: 3 });
  });

  it('takes a frame over several lines, and one that begins in the packet that ends another', async () => {
    const client = await hub.open();
    client.write(`${frame('1')}<protocol>\r\n  <user_id>\n42\n</user_id>\r\n`);
    await hub.hasReceived(1);
    client.write('</protocol>');
    await hub.shows('42', { status: 'online' });
  });

  it('counts white space between frames for nothing, however much it is', async () => {
    const client = await hub.open();
    client.write(frame('1') + ' \t\r\n'.repeat(MAX_TCP_FRAME_BYTES) + frame('2'));
    await hub.hasReceived(2);
    expect(await hub.badFrames()).toEqual({});
  });

  it.each([
    ['a C string with its NUL', [`${frame('1')}\0`, `${frame('2')}\0`]],
    ['a line end and its NUL before each frame', [`\n\0${frame('1')}`, `\r\n\0${frame('2')}`]],
    ['a NUL and a line end behind each frame', [`${frame('1')}\0\r\n`, `${frame('2')}\0\n`]],
    ['buffers of 256 bytes', [frame('1').padEnd(256, '\0'), frame('2').padEnd(256, '\0')]],
    ['buffers of 256 bytes, padded in front', [frame('1').padStart(256, '\0'), frame('2').padStart(256, '\0')]],
    ['a NUL in a packet of its own', ['\0', frame('1'), '\0', '\n\0', '\0', frame('2')]],
  ])('takes NUL for white space: %s (T2)', async (_, packets) => {
    const client = await hub.open();
    for (const packet of [...packets, ...packets]) {
      client.write(packet);
      await turn();
    }
    await hub.hasReceived(4);
    await hub.shows('1', { status: 'online' });
    await hub.shows('2', { status: 'online' });
    expect(await hub.badFrames()).toEqual({});
  });

  it('takes an empty element with attributes for a frame, at once, and what follows it for the next (T1)', async () => {
    const client = await hub.open();
    client.write('<protocol user_id="1"/>');
    await hub.shows('1', { status: 'online' });
    client.write(
      `<?xml version="1.0"?>\n<protocol user_id="1" user_state="2" device="a/>b" />${frame('2')}<protocol/>`,
    );
    await hub.hasReceived(3);
    await hub.shows('1', { status: 'away', devices: ['a/>b'] });
    await hub.shows('2', { status: 'online' });
    await expect.poll(() => hub.badFrames()).toEqual({ user_id: 1 });
  });

  it('takes a declaration before the element, and ignores whatever else is in it', async () => {
    const client = await hub.open();
    client.write(`<?xml version="1.0"?>\n${userFrame('42', '<!-- x --><friends><friend id="9">n</friend></friends>')}`);
    await hub.shows('42', { status: 'online' });
    expect(await hub.badFrames()).toEqual({});
  });

  it('takes a frame of exactly 8 KiB (T1)', async () => {
    const client = await hub.open();
    const largest = frameOfBytes('42', MAX_TCP_FRAME_BYTES);
    expect(Buffer.byteLength(largest)).toBe(8192);
    client.write(largest + largest);
    await hub.hasReceived(2);
    await hub.hasRead(client);
    expect(await hub.badFrames()).toEqual({});
  });

  it.each([
    ['a frame of 8 KiB and a byte', frameOfBytes('8', MAX_TCP_FRAME_BYTES + 1)],
    ['9 KiB without an end', `<protocol>${'x'.repeat(9 * 1024)}`],
  ])('closes at %s, counts it, and gives its users the grace (T15)', async (_, bytes) => {
    const client = await hub.open();
    client.beat('42');
    await hub.hasReceived(1);
    client.write(bytes);
    await client.closed;
    await hub.hasConnections(0);
    expect(await hub.badFrames()).toEqual({ too_large: 1 });
    expect(await hub.entry('8')).toMatchObject({ status: 'offline', v: 0 });
    hub.clock.pass(1_950);
    await hub.looked();
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(100);
    await hub.shows('42', { status: 'offline' });
  });
});

describe('encodings', () => {
  const phone = '手机';
  const gbkPhone = Buffer.from([0xca, 0xd6, 0xbb, 0xfa]);
  const utf16 = (text: string, order: 'le' | 'be'): Buffer => {
    const bytes = Buffer.from(text, 'utf16le');
    return order === 'le' ? bytes : bytes.swap16();
  };
  const declared = (encoding: string, device: string): string =>
    `<?xml version="1.0" encoding="${encoding}"?>${userFrame('42', `<device>${device}</device>`)}`;

  it('reads UTF-8 by default', async () => {
    const client = await hub.open();
    client.write(userFrame('42', `<device>${phone}</device>`));
    await hub.shows('42', { devices: [phone] });
  });

  it.each(['GBK', 'gb18030', 'GB2312'])('reads %s where it is declared (T7)', async (encoding) => {
    const client = await hub.open();
    const [before = '', after = ''] = declared(encoding, '|').split('|');
    client.write(Buffer.concat([Buffer.from(before), gbkPhone, Buffer.from(after)]));
    await hub.shows('42', { devices: [phone] });
  });

  it('reads Big5 and ISO-8859-1 if they are declared', async () => {
    const client = await hub.open();
    const [before = '', after = ''] = declared('Big5', '|').split('|');
    client.write(Buffer.concat([Buffer.from(before), Buffer.from([0xa4, 0xe2, 0xbe, 0xf7]), Buffer.from(after)]));
    await hub.shows('42', { devices: ['手機'] });
    client.write(Buffer.from(declared('ISO-8859-1', 'télé'), 'latin1'));
    await hub.shows('42', { devices: ['télé'] });
  });

  it('takes an undeclared GBK name, which is not read, and no undeclared GBK device, which is (T8)', async () => {
    const client = await hub.open();
    const withBytes = (element: string): Buffer => {
      const [before = '', after = ''] = userFrame('42', `<${element}>|</${element}>`).split('|');
      return Buffer.concat([Buffer.from(before), gbkPhone, Buffer.from(after)]);
    };
    client.write(withBytes('user_name'));
    await hub.shows('42', { status: 'online' });
    client.write(withBytes('device'));
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ devices: ['legacy'] });
    expect(await hub.badFrames()).toEqual({ device: 1 });
  });

  it.each(['le', 'be'] as const)(
    'reads UTF-16 (%s) with a byte order mark, which holds for the connection (T7)',
    async (order) => {
      const client = await hub.open();
      client.write(utf16(`\ufeff${userFrame('42', `<device>${phone}</device>`)}`, order));
      await hub.shows('42', { status: 'online', devices: [phone] });
      client.write(utf16(`\r\n${userFrame('42', '<user_state>3</user_state>')}`, order));
      await hub.shows('42', { code: 3, devices: [phone] });
    },
  );

  it.each(['le', 'be'] as const)('reads UTF-16 (%s) that is declared, cut at odd bytes', async (order) => {
    const client = await hub.open();
    const bytes = utf16(declared('UTF-16', phone), order);
    for (let at = 0; at < bytes.length; at += 33) {
      client.write(bytes.subarray(at, at + 33));
      await turn();
    }
    await hub.shows('42', { status: 'online', devices: [phone] });
    expect(await hub.badFrames()).toEqual({});
  });
});

describe('fields', () => {
  it.each([
    ['no state', undefined, 'online', 1],
    ['1', '1', 'online', 1],
    ['2', '2', 'away', 2],
    ['3', '3', 'busy', 3],
    ['a client’s own 7', '7', 'online', 7],
    ['the largest Java int', '2147483647', 'online', 2_147_483_647],
    ['a state in white space', '\n 2 \n', 'away', 2],
  ] as const)('shows %s', async (_, state, status, code) => {
    const client = await hub.open();
    client.write(userFrame('42', state === undefined ? '' : `<user_state>${state}</user_state>`));
    await hub.shows('42', { status, code });
  });

  it('takes an integer of the client’s own for a change of code alone (I8)', async () => {
    const watcher = await hub.watch('42');
    const client = await hub.open();
    client.beat('42', 7);
    const { since, v } = await watcher.entryOf('42');
    hub.clock.pass(1_000);
    client.beat('42', 8);
    const after = await watcher.entryOf('42');
    expect(after).toMatchObject({ status: 'online', code: 8, since });
    expect(after.v).toBeGreaterThan(v);
  });

  it.each([0, -1])(
    'takes a state of %i for a goodbye: it counts at once, and the connection stays (L5)',
    async (state) => {
      const watcher = await hub.watch('42');
      const client = await hub.open();
      client.beat('42');
      await watcher.entryOf('42');
      hub.clock.pass(1_000);
      client.beat('42', state);
      expect(await watcher.entryOf('42')).toMatchObject({
        status: 'offline',
        code: -1,
        devices: [],
        lastSeen: hub.clock.wallMs,
      });
      client.beat('42', 2);
      expect(await watcher.entryOf('42')).toMatchObject({ status: 'away' });
    },
  );

  it('reads attributes, of the root too, and lets the shallowest win, then the first (T4)', async () => {
    const client = await hub.open();
    client.write('<protocol user_id="1" user_state="2"></protocol>');
    client.write(protocol('<user user_id="2"><user_state>3</user_state></user>'));
    client.write(protocol('<a><user_id>no</user_id></a><user_id>3</user_id><user_id>nor</user_id>'));
    await hub.hasReceived(3);
    await hub.shows('1', { code: 2 });
    await hub.shows('2', { code: 3 });
    await hub.shows('3', { code: 1 });
  });

  it('labels the session with the device, and keeps the last one named', async () => {
    const client = await hub.open();
    client.write(userFrame('42', '<device>phone</device>'));
    await hub.shows('42', { devices: ['phone'] });
    client.beat('42');
    await hub.hasReceived(2);
    expect(await hub.entry('42')).toMatchObject({ devices: ['phone'] });
    client.write(userFrame('42', `<device>${'x'.repeat(64)}</device>`));
    await hub.shows('42', { devices: ['x'.repeat(64)] });
  });

  it('takes ids as text: trimmed, `042` is not `42`, and 128 characters are allowed (I1)', async () => {
    const client = await hub.open();
    const longest = `${'x'.repeat(123)}._@:-`;
    client.beat(' 042\n');
    client.beat(longest);
    await hub.shows('042', { status: 'online' });
    await hub.shows(longest, { status: 'online' });
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', v: 0 });
  });

  it.each([
    ['an address that is none', '<user_ip>10.0.0.256</user_ip><user_port>5222</user_port>'],
    ['an empty address', '<user_ip/><user_port></user_port>'],
    ['a port that is none', '<user_ip>10.0.0.7</user_ip><user_port>65536</user_port>'],
    ['a port as a word', '<user_port>eighty</user_port>'],
  ])('takes %s as absent (T3)', async (_, address) => {
    const client = await hub.open();
    client.write(userFrame('42', address));
    await hub.shows('42', { status: 'online' });
    expect(await hub.badFrames()).toEqual({});
  });
});

describe('bad frames', () => {
  const bomb = [
    '<!DOCTYPE bomb [<!ENTITY a "ha">',
    ...Array.from({ length: 9 }, (_, i) => `<!ENTITY a${i} "${`&a${i === 0 ? '' : i - 1};`.repeat(10)}">`),
    ']>',
  ].join('');

  it.each([
    ['no user_id', protocol(''), 'user_id'],
    ['an empty user_id', userFrame('', ''), 'user_id'],
    ['a user_id with a space', userFrame('abc def', ''), 'user_id'],
    ['a user_id of 129 characters', userFrame('x'.repeat(129), ''), 'user_id'],
    ['a user_id of one dot', userFrame('.', ''), 'user_id'],
    ['a user_id of two dots', userFrame('..', ''), 'user_id'],
    ['a user_id beyond ASCII', userFrame('四二', ''), 'user_id'],
    ['a state of -2', userFrame('8', '<user_state>-2</user_state>'), 'user_state'],
    ['a state as a word', userFrame('8', '<user_state>abc</user_state>'), 'user_state'],
    ['a state with a fraction', userFrame('8', '<user_state>1.5</user_state>'), 'user_state'],
    ['an empty state', userFrame('8', '<user_state></user_state>'), 'user_state'],
    ['a device of 65 characters', userFrame('8', `<device>${'x'.repeat(65)}</device>`), 'device'],
    ['a DOCTYPE', `<!DOCTYPE protocol>${userFrame('8', '')}`, 'doctype'],
    ['a DOCTYPE inside', protocol('<!DOCTYPE x><user_id>8</user_id>'), 'doctype'],
    ['an entity definition', protocol('<!ENTITY x "8"><user_id>&x;</user_id>'), 'doctype'],
    ['an entity bomb', `${bomb}${userFrame('&a8;', '')}`, 'doctype'],
    ['tags that do not match', protocol('<user_id>8</user>'), 'malformed'],
    ['a reference to nothing', userFrame('8', '<x>&nothing;</x>'), 'malformed'],
    ['another root', `<heartbeat><user_id>8</user_id></heartbeat></protocol>`, 'malformed'],
    ['an element before it', `<x/>${userFrame('8', '')}`, 'malformed'],
    ['text before it', `junk ${userFrame('8', '')}`, 'malformed'],
    ['text that is no XML', 'GET / HTTP/1.1\r\n\r\n</protocol>', 'malformed'],
  ])('skips %s, counts it, and harms no user of the connection (T14)', async (_, bytes, reason) => {
    const client = await hub.open();
    client.beat('42', 3);
    await hub.shows('42', { code: 3 });
    const before = await hub.entry('42');
    client.write(bytes + bytes);
    await hub.hasRead(client);
    expect(await hub.entry('42')).toEqual(before);
    expect(await hub.badFrames()).toEqual({ [reason]: 2 });
    await hub.hasReceived(2);
    expect(await hub.entry('8')).toMatchObject({ status: 'offline', v: 0 });
  });

  it('lets nine in a row pass if a good one follows, separately on each connection', async () => {
    const [one, other] = [await hub.open(), await hub.open()];
    for (const client of [one, other, one]) {
      client.write(frame('abc def').repeat(9));
      await hub.hasRead(client);
    }
    expect(await hub.badFrames()).toEqual({ user_id: 27 });
    await hub.hasConnections(2);
  });

  it('closes at ten in a row, takes nothing after them, and gives its users the grace (T15)', async () => {
    const watcher = await hub.watch('42', '8');
    const client = await hub.open();
    client.beat('42');
    await watcher.entryOf('42');
    client.write(frame('abc def').repeat(10) + frame('8') + frame('42', -1));
    await client.closed;
    await hub.hasConnections(0);
    expect(await hub.badFrames()).toEqual({ user_id: 10 });
    hub.clock.pass(1_950);
    await hub.looked();
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(100);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'offline' });
    expect(sentTo(watcher)).toEqual(['42 online 1', '42 offline -1']);
  });
});

describe('leases and ends', () => {
  it('lives 5400 ms from the last frame, and each frame renews it', async () => {
    const client = await hub.open();
    client.beat('42');
    for (let received = 1; received <= 3; received++) {
      await hub.hasReceived(received);
      hub.clock.pass(5_399);
      await hub.looked();
      expect(await hub.entry('42')).toMatchObject({ status: 'online' });
      client.beat('42');
    }
    await hub.hasReceived(4);
    const lastSeen = hub.clock.wallMs;
    hub.clock.pass(5_399);
    await hub.looked();
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(51);
    await hub.shows('42', { status: 'offline', lastSeen });
  });

  it('keeps the connection open after a lapse, and the next frame is a new session (L4)', async () => {
    const watcher = await hub.watch('42');
    const client = await hub.open();
    client.beat('42', 3);
    const first = await watcher.entryOf('42');
    hub.clock.pass(5_500);
    const gone = await watcher.entryOf('42');
    expect(gone).toMatchObject({ status: 'offline', code: -1, lastSeen: first.lastSeen, since: hub.clock.wallMs });
    hub.clock.pass(60_000);
    client.beat('42');
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'online', code: 1, since: hub.clock.wallMs });
    await hub.hasConnections(1);
  });

  const unclean: [string, (client: LegacyClient) => void][] = [
    ['an end of stream', (client) => client.end()],
    ['a reset', (client) => client.reset()],
  ];

  it.each(unclean)('gives %s the grace from that moment, and lastSeen the last frame (L3)', async (_, end) => {
    const watcher = await hub.watch('early', 'late');
    const [early, late] = [await hub.open(), await hub.open()];
    late.beat('late');
    await watcher.entryOf('late');
    hub.clock.pass(5_000);
    await hub.looked();
    early.beat('early');
    const { lastSeen } = await watcher.entryOf('early');
    for (const client of [early, late]) end(client);
    await hub.hasConnections(0);
    hub.clock.pass(1_999);
    await hub.looked();
    expect(await hub.entry('early')).toMatchObject({ status: 'online' });
    expect(await hub.entry('late')).toMatchObject({ status: 'online' });
    hub.clock.pass(51);
    await hub.shows('early', { status: 'offline', lastSeen });
    await hub.shows('late', { status: 'offline', lastSeen: (lastSeen ?? 0) - 5_000 });
  });

  it.each(unclean)('notifies nobody of %s when the user is back within the grace', async (_, end) => {
    const watcher = await hub.watch('42', 'marker');
    const client = await hub.open();
    client.beat('42', 2);
    await watcher.entryOf('42');
    end(client);
    await hub.hasConnections(0);
    hub.clock.pass(1_900);
    const again = await hub.open();
    again.beat('42', 2);
    await hub.hasReceived(2);
    hub.clock.pass(5_300);
    await hub.looked();
    again.beat('marker');
    await watcher.entryOf('marker');
    expect(sentTo(watcher)).toEqual(['42 away 2', 'marker online 1']);
  });

  it('lets a session that comes back within the grace speak for itself: one change, no leave and join (I21)', async () => {
    const watcher = await hub.watch('42');
    const client = await hub.open();
    client.beat('42', 3);
    await watcher.entryOf('42');
    client.reset();
    await hub.hasConnections(0);
    (await hub.open()).beat('42', 2);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'away', devices: ['legacy'] });
    expect(sentTo(watcher)).toEqual(['42 busy 3', '42 away 2']);
  });

  it('lets a goodbye on a new connection end the session of that user and device that is in its grace (L5)', async () => {
    const watcher = await hub.watch('42');
    const client = await hub.open();
    client.beat('42');
    client.write(userFrame('42', '<device>phone</device>').replace('42', '43'));
    await watcher.entryOf('42');
    await hub.hasReceived(2);
    client.reset();
    await hub.hasConnections(0);
    const other = await hub.open();
    other.beat('42', -1);
    other.beat('43', -1);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'offline', lastSeen: hub.clock.wallMs });
    await hub.hasRead(other);
    expect(await hub.entry('43')).toMatchObject({ status: 'online', devices: ['phone'] });
    other.write(userFrame('43', '<user_state>0</user_state><device>phone</device>'));
    await hub.shows('43', { status: 'offline' });
  });

  it('lets a goodbye that names another device than its session end both: that session, and the other in its grace', async () => {
    const phone = await hub.open();
    phone.write(userFrame('42', '<device>phone</device>'));
    await hub.shows('42', { devices: ['phone'] });
    phone.reset();
    await hub.hasConnections(0);
    const other = await hub.open();
    other.beat('42');
    await hub.shows('42', { devices: ['legacy', 'phone'] });
    other.write(userFrame('42', '<user_state>-1</user_state><device>phone</device>'));
    await hub.shows('42', { status: 'offline', devices: [] });
  });

  it('holds two connections of one user as two sessions: neither the end nor the goodbye of one touches the other (L8)', async () => {
    const watcher = await hub.watch('42');
    const [one, two, three] = [await hub.open(), await hub.open(), await hub.open()];
    for (const client of [one, two, three]) client.beat('42');
    await hub.hasReceived(3);
    expect(await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')).toBe(3);
    const before = await watcher.entryOf('42');
    one.reset();
    await hub.hasConnections(2);
    hub.clock.pass(2_100);
    three.beat('42');
    two.beat('42', -1);
    await hub.hasReceived(4);
    await expect.poll(() => hub.metric('presence_hub_sessions{adapter="tcp-xml"}')).toBe(1);
    expect(await hub.entry('42')).toMatchObject({ status: 'online', v: before.v });
    expect(sentTo(watcher)).toEqual(['42 online 1']);
    three.beat('42', -1);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'offline' });
  });

  it('folds a legacy session with a browser’s: busy wins, and both devices are named', async () => {
    const tab = await WsClient.hello(hub.addresses.ws, { user: '42', status: 'away', text: 'brb' });
    const client = await hub.open();
    client.beat('42', 3);
    await hub.shows('42', { status: 'busy', code: 3, devices: ['legacy', 'web'], text: 'brb' });
    hub.clock.pass(5_500);
    await hub.shows('42', { status: 'away', code: 2, devices: ['web'], text: 'brb' });
    tab.send({ type: 'heartbeat', status: 'invisible' });
    await hub.shows('42', { status: 'offline' });
    client.beat('42', 3);
    await hub.hasReceived(2);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', code: -1, devices: [] });
  });
});

describe('a gateway with a thousand users on one connection', () => {
  const users = Array.from({ length: 1000 }, (_, i) => `g${i}`);
  const states = async (): Promise<Map<string, number>> => {
    const { body } = await hub.request('POST', '/v1/presence', { users });
    const counts = new Map<string, number>();
    for (const { status } of (body as { entries: { status: string }[] }).entries) {
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    return counts;
  };

  it('holds each as a session of its own: one lapses alone, and all end with the connection, and no other (T12)', async () => {
    const watcher = await hub.watch(...users);
    const bystander = await hub.open();
    const gateway = await hub.open();
    bystander.beat('bystander');
    gateway.write(users.map((user) => frame(user)).join(''));
    await hub.hasReceived(1001);
    const before = await hub.entry('bystander');

    hub.clock.pass(3_000);
    gateway.write(
      users
        .slice(1)
        .map((user) => frame(user))
        .join('\n'),
    );
    bystander.beat('bystander');
    await hub.hasReceived(2001);
    hub.clock.pass(2_450);
    await hub.shows('g0', { status: 'offline' });
    expect(await states()).toEqual(new Map([['offline', 1], ['online', 999]])); // prettier-ignore

    bystander.beat('bystander');
    await hub.hasReceived(2002);
    gateway.end();
    await hub.hasConnections(1);
    hub.clock.pass(1_950);
    await hub.looked();
    expect(await states()).toEqual(new Map([['offline', 1], ['online', 999]])); // prettier-ignore
    hub.clock.pass(100);
    await expect.poll(states).toEqual(new Map([['offline', 1000]]));
    expect(await hub.entry('bystander')).toMatchObject({ status: 'online', v: before.v });
    expect(await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')).toBe(1);

    const reported = sentTo(watcher);
    while (reported.length < 2000) {
      await watcher.next('presence');
      reported.splice(0, reported.length, ...sentTo(watcher));
    }
    const expected = users.flatMap((user) => [`${user} online 1`, `${user} offline -1`]);
    expect(reported.sort()).toEqual(expected.sort());
  });
});
