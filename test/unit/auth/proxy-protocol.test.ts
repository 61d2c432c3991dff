/** The PROXY protocol's header, whole and over packet borders, and what only looks like one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createProxyReader,
  MAX_PROXY_HEADER_BYTES,
  readProxyHeader,
  type ProxyOutcome,
} from '../../../server/auth/proxy-protocol.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V4 = '0a000007 0a000001 1466 ea61';
const V6 = '20010db8000000000000000000000007 20010db8000000000000000000000001 1466 ea61';

function v2(command: number, family: number, body: string | Buffer, length?: number): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body.replaceAll(' ', ''), 'hex') : body;
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(command, 0);
  fixed.writeUInt8(family, 1);
  fixed.writeUInt16BE(length ?? bytes.length, 2);
  return Buffer.concat([SIGNATURE, fixed, bytes]);
}
const v1 = (line: string) => Buffer.from(`PROXY ${line}\r\n`, 'latin1');
const frame = Buffer.from('<protocol><user_id>42</user_id></protocol>');

const good: [string, Buffer, { address: string; port: number } | null][] = [
  ['a line of IPv4', v1('TCP4 10.0.0.7 10.0.0.1 5222 60001'), { address: '10.0.0.7', port: 5222 }],
  ['a line of IPv6', v1('TCP6 2001:DB8::0:7 ::1 5222 60001'), { address: '2001:db8::7', port: 5222 }],
  ['a line whose address has a zone, and counts as absent', v1('TCP6 fe80::1%eth0 ::1 5222 60001'), null],
  ['a line of IPv4 in IPv6 clothes', v1('TCP6 ::ffff:10.0.0.7 ::1 0 65535'), { address: '10.0.0.7', port: 0 }],
  ['a line that can’t say', v1('UNKNOWN'), null],
  ['a line that can’t say, with more', v1(`UNKNOWN ${'f'.repeat(80)}`), null],
  ['a binary one of IPv4', v2(0x21, 0x11, V4), { address: '10.0.0.7', port: 5222 }],
  ['a binary one of IPv6', v2(0x21, 0x21, V6), { address: '2001:db8::7', port: 5222 }],
  ['a binary one with extensions', v2(0x21, 0x11, `${V4} 0400020000`), { address: '10.0.0.7', port: 5222 }],
  ['a balancer’s health check', v2(0x20, 0x00, ''), null],
  ['a balancer’s health check with addresses', v2(0x20, 0x11, V4), null],
  ['a binary one that can’t say', v2(0x21, 0x00, 'abcdef'), null],
  ['a binary one of a Unix socket', v2(0x21, 0x31, Buffer.alloc(216)), null],
  [
    'the longest there may be',
    v2(0x21, 0x11, Buffer.concat([Buffer.from('0a0000070a0000011466ea61', 'hex'), Buffer.alloc(508)])),
    { address: '10.0.0.7', port: 5222 },
  ],
];

describe('a PROXY header', () => {
  it.each(good)('may be %s', (_what, header, source) => {
    expect(readProxyHeader(Buffer.concat([header, frame]))).toEqual({
      kind: 'header',
      source,
      usedBytes: header.length,
    });
  });

  it.each(good)('may come byte by byte: %s', (_what, header, source) => {
    const reader = createProxyReader();
    for (const byte of header.subarray(0, -1)) expect(reader.push(Buffer.of(byte))).toEqual({ kind: 'more' });
    const last = Buffer.concat([header.subarray(-1), frame]);
    expect(reader.push(last)).toEqual({ kind: 'done', source, rest: frame });
  });

  it.each<[string, Buffer]>([
    ['a line without its end', Buffer.from(`PROXY ${'x'.repeat(101)}`)],
    ['a line whose end comes too late', v1(`UNKNOWN ${'x'.repeat(92)}`)],
    ['a line of another family', v1('UDP4 10.0.0.7 10.0.0.1 1 2')],
    ['a line with addresses of the other family', v1('TCP4 ::1 ::1 1 2')],
    ['a line with a name', v1('TCP4 localhost 10.0.0.1 1 2')],
    ['a line with too few fields', v1('TCP4 10.0.0.7 10.0.0.1 1')],
    ['a line with too many', v1('TCP4 10.0.0.7 10.0.0.1 1 2 3')],
    ['a line with two spaces', v1('TCP4  10.0.0.7 10.0.0.1 1 2')],
    ['a line with a port that is none', v1('TCP4 10.0.0.7 10.0.0.1 65536 2')],
    ['a line with a negative port', v1('TCP4 10.0.0.7 10.0.0.1 -1 2')],
    ['a line with a port of the hub that is none', v1('TCP4 10.0.0.7 10.0.0.1 1 x')],
    ['an empty line', v1('')],
    ['a binary one of version 1', v2(0x11, 0x11, V4)],
    ['a binary one with another command', v2(0x22, 0x11, V4)],
    ['a binary one over UDP', v2(0x21, 0x12, V4)],
    ['a binary one with half an IPv4 address', v2(0x21, 0x11, '0a00')],
    ['a binary one with an IPv4 address for IPv6', v2(0x21, 0x21, V4)],
    ['one byte too long', v2(0x21, 0x11, Buffer.alloc(521))],
    ['a binary one that promises 64 KiB', v2(0x21, 0x11, V4, 65_535)],
  ])('may not be %s', (_what, bytes) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: 'bad', why: expect.stringMatching(/^it/) as unknown });
    expect(createProxyReader().push(bytes)).toMatchObject({ kind: 'bad' });
  });

  it.each<[string, string]>([
    ['a frame', frame.toString()],
    ['line ends and a frame', `\r\n\r\n${frame.toString()}`],
    ['a byte order mark', '\ufeff<protocol>'],
    ['its word in another case', 'proxy TCP4 10.0.0.7 10.0.0.1 1 2\r\n'],
    ['a longer word', 'PROXYING'],
  ])('is not there before %s, of which no byte is lost', (_what, text) => {
    const bytes = Buffer.from(text);
    expect(createProxyReader().push(bytes)).toEqual({ kind: 'done', source: null, rest: bytes });
    const reader = createProxyReader();
    let outcome: ProxyOutcome = { kind: 'more' };
    let pushed = 0;
    while (outcome.kind === 'more') outcome = reader.push(bytes.subarray(pushed, (pushed += 1)));
    expect(outcome).toEqual({ kind: 'done', source: null, rest: bytes.subarray(0, pushed) });
  });

  it('is decided by the time that its longest size is there, whatever the bytes', () => {
    const starts = fc.constantFrom(SIGNATURE, Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), v2(0x21, 0x11, V4));
    const bytes = fc.tuple(starts, fc.uint8Array({ minLength: MAX_PROXY_HEADER_BYTES, maxLength: 600 }));
    fc.assert(
      fc.property(bytes, ([start, rest]) => {
        expect(readProxyHeader(Buffer.concat([start, rest])).kind).not.toBe('more');
      }),
    );
  });

  it('keeps its packet when the engine uses that memory again', () => {
    const reader = createProxyReader();
    const packet = Buffer.from('PROXY TCP4 10.0.0.7 ');
    reader.push(packet);
    packet.fill(0);
    expect(reader.push(Buffer.from('10.0.0.1 5222 60001\r\n'))).toMatchObject({ kind: 'done', source: { port: 5222 } });
  });
});
