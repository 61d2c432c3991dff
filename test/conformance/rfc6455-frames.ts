/**
 * RFC 6455, sections 5 and 7, as cases. If the hub's own contract asks for more (shared/PROTOCOL.md, section 4), the rule says so.
 */
import {
  ask,
  BINARY,
  CLOSE,
  closeBody,
  closeFrame,
  first,
  fragmented,
  frame,
  headAlone,
  heartbeat,
  idForBytes,
  last,
  more,
  PING,
  PONG,
  TEXT,
  withoutMaskBit,
  zeroMasked,
} from './client-frames.ts';
import { answers, fails, type FrameCase, okOf, on, refusesClose } from './rfc6455-case.ts';

const unmasked = (whenTakenForMasked: string) => ({
  answers: ['close 1002'],
  onUws: { answers: [whenTakenForMasked], deviation: 'mask bit not checked' as const },
});

const masking: FrameCase[] = [
  on('5.1', 'a masked frame is read', ask('a'), answers('ok a')),
  on('5.1', 'an unmasked text frame closes', frame(TEXT, 'Hello', { isMasked: false }), fails(1002)),
  on('5.1', 'an unmasked frame that could pass for a masked one closes', withoutMaskBit(ask('a')), unmasked('ok a')),
  on('5.1', 'an unmasked ping closes', withoutMaskBit(frame(PING, 'p')), unmasked('pong p')),
  on('5.1', 'an unmasked close frame closes', withoutMaskBit(closeFrame(1000)), unmasked('close 1000')),
  on('5.3', 'each frame has its own mask', [zeroMasked(heartbeat('a')), ask('b')], answers('ok a', 'ok b')),
];

const reservedBits: FrameCase[] = [1, 2, 3, 4, 5, 6, 7].flatMap((reserved) => {
  const bits = reserved.toString(2).padStart(3, '0');
  return [
    on('5.2', `reserved bits ${bits} in a text frame fail`, [ask('a'), ask('b', { reserved })], fails(1002, 'ok a')),
    on('5.2', `reserved bits ${bits} in a ping fail`, frame(PING, '', { reserved }), fails(1002)),
    on('5.2', `reserved bits ${bits} in a close frame fail`, frame(CLOSE, '', { reserved }), fails(1002)),
  ];
});

const opcodes: FrameCase[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) => [
  on('5.2', `reserved opcode ${opcode} fails`, [ask('a'), frame(opcode, 'x')], fails(1002, 'ok a')),
  on('5.2', `reserved opcode ${opcode} without payload fails`, frame(opcode), fails(1002)),
]);

const textOf = (bytes: number, lengthBytes?: 2 | 8) =>
  frame(TEXT, heartbeat(idForBytes(bytes)), lengthBytes === undefined ? {} : { lengthBytes });
const okFor = (bytes: number) => answers(okOf(idForBytes(bytes)));
const tooLarge = answers('error bad_message', 'close 1009');
const TWO_MIB = 2 * 1024 * 1024;

const lengths: FrameCase[] = [
  on('5.2', 'a text of 0 bytes is a message (contract: a bad one)', frame(TEXT), answers('error bad_message')),
  on('5.2', 'a binary message of 0 bytes is one (contract: a bad one)', frame(BINARY), answers('error bad_message')),
  ...[28, 124, 125, 126, 127, 128, 255, 256, 16_383, 16_384].map((bytes) =>
    on('5.2', `a text of ${bytes} bytes is read`, textOf(bytes), okFor(bytes)),
  ),
  ...[16_385, 65_535, 65_536, 65_537, TWO_MIB].map((bytes) =>
    on('5.2', `a text of ${bytes} bytes is read to its end (contract: too large)`, textOf(bytes), tooLarge),
  ),
  ...[65_535, 65_536].map((bytes) =>
    on(
      '5.2',
      `${bytes} binary bytes are read to their end (contract: too large)`,
      frame(BINARY, zeros(bytes)),
      tooLarge,
    ),
  ),
  on('5.2', 'a length over 2 MiB fails at once (contract)', headAlone(TWO_MIB + 1), fails(1009)),
  on('5.2', 'the largest length fails', headAlone(Number.MAX_SAFE_INTEGER), fails(1009)),
  on('5.2', 'a length whose highest bit is set fails', highestBitSet(headAlone(1)), fails(1009)),
  // The RFC asks the sender for the fewest bytes. It does not ask the receiver to fail, and uWebSockets.js does not.
  on('5.2', 'a length in 2 bytes more than it needs is read', ask('a', { lengthBytes: 2 }), answers('ok a')),
  on('5.2', 'a length in 8 bytes more than it needs is read', ask('a', { lengthBytes: 8 }), answers('ok a')),
  on('5.2', 'a length in 8 bytes that needs only 2 is read', textOf(126, 8), okFor(126)),
];

function zeros(count: number): Buffer {
  return Buffer.alloc(count);
}

function highestBitSet(head: Buffer): Buffer {
  head[2] = 0x80;
  return head;
}

const A = heartbeat('a');
const [HEAD, MIDDLE, TAIL, REST] = [A.subarray(0, 5), A.subarray(5, 12), A.subarray(12), A.subarray(5)];

const interleaved = (...onUws: string[]) => ({
  answers: [...onUws.slice(0, -1), 'close 1002'],
  onUws: { answers: onUws, deviation: 'interleaved messages' as const },
});

const fragments: FrameCase[] = [
  on('5.4', 'two fragments are one message', [first(TEXT, HEAD), last(REST)], answers('ok a')),
  on('5.4', 'three fragments are one message', [first(TEXT, HEAD), more(MIDDLE), last(TAIL)], answers('ok a')),
  on('5.4', 'one byte a fragment is one message', fragmented(A, 1), answers('ok a')),
  on('5.4', 'the first fragment may be empty', [first(TEXT, ''), more(HEAD), last(REST)], answers('ok a')),
  on('5.4', 'a fragment between may be empty', [first(TEXT, HEAD), more(''), last(REST)], answers('ok a')),
  on('5.4', 'the last fragment may be empty', [first(TEXT, HEAD), more(REST), last('')], answers('ok a')),
  on('5.4', 'all fragments may be empty', [first(TEXT, ''), more(''), last('')], answers('error bad_message')),
  on('5.4', 'a binary message may be fragmented', [first(BINARY, 'a'), last('b')], answers('error bad_message')),
  on(
    '5.4',
    'fragmented messages may follow each other',
    [...fragmented(A, 9), ...fragmented(heartbeat('b'), 9), ask('c')],
    answers('ok a', 'ok b', 'ok c'),
  ),
  on(
    '5.4',
    'a ping between fragments is answered at once',
    [first(TEXT, HEAD), frame(PING, 'p'), last(REST)],
    answers('pong p', 'ok a'),
  ),
  on(
    '5.4',
    'pings and pongs between all fragments change nothing',
    [first(TEXT, HEAD), frame(PING, '1'), frame(PONG, 'x'), more(MIDDLE), frame(PING, '2'), last(TAIL)],
    answers('pong 1', 'pong 2', 'ok a'),
  ),
  on(
    '5.4',
    'a close frame between fragments closes',
    [first(TEXT, HEAD), closeFrame(1000), last(REST)],
    answers('close 1000'),
  ),
  on('5.4', 'a continuation without a start fails', last('x'), fails(1002)),
  on('5.4', 'a continuation without a start that goes on fails', more('x'), fails(1002)),
  on('5.4', 'a continuation after a whole message fails', [ask('a'), last('x')], fails(1002, 'ok a')),
  on('5.4', 'a continuation after the last one fails', [...fragmented(A, 9), last('x')], fails(1002, 'ok a')),
  on('5.4', 'a continuation after only a ping fails', [frame(PING, 'p'), last('x')], fails(1002, 'pong p')),
  on('5.4', 'a text frame inside a fragmented message fails', [first(TEXT, HEAD), ask('b')], fails(1002)),
  on('5.4', 'a second start inside a message fails', [first(TEXT, HEAD), first(TEXT, HEAD)], fails(1002)),
  on(
    '5.4',
    'a binary frame inside a fragmented message fails',
    [first(TEXT, HEAD), frame(BINARY, 'b')],
    interleaved('error bad_message'),
  ),
  on(
    '5.4',
    'a text frame inside a fragmented message fails, also after a ping',
    [first(TEXT, HEAD), frame(PING, 'p'), frame(TEXT, REST)],
    interleaved('pong p', 'ok a'),
  ),
];

const LONGEST = 'p'.repeat(125);
const five = ['1', '2', '3', '4', '5'];

const controls: FrameCase[] = [
  ...(
    [
      ['close frame', CLOSE],
      ['ping', PING],
      ['pong', PONG],
    ] as const
  ).flatMap(([name, opcode]) => [
    on('5.5', `a ${name} of 126 bytes fails`, frame(opcode, closeBody(1000, 'p'.repeat(124))), fails(1002)),
    on('5.5', `a ${name} in fragments fails`, [first(opcode, ''), last('')], fails(1002)),
    on('5.5', `a ${name} with its length in 2 bytes more fails`, frame(opcode, '', { lengthBytes: 2 }), fails(1002)),
  ]),
  on('5.5.2', 'an empty ping is answered by an empty pong', frame(PING), answers('pong ')),
  on('5.5.2', "a pong has its ping's payload", frame(PING, [0, 1, 0xff, 0x80]), answers('pong \x00\x01\xff\x80')),
  on('5.5.2', 'a ping of 125 bytes is answered whole', frame(PING, LONGEST), answers(`pong ${LONGEST}`)),
  on(
    '5.5.2',
    'every ping is answered, in order',
    five.map((ping) => frame(PING, ping)),
    answers(...five.map((ping) => `pong ${ping}`)),
  ),
  on('5.5.3', 'an unsolicited pong is ignored', frame(PONG, 'x'), answers()),
  on('5.5.3', 'pongs of 0 and 125 bytes are ignored', [frame(PONG), frame(PONG, LONGEST), ask('a')], answers('ok a')),
  on('5.5.3', 'a pong right after a ping is ignored', [frame(PING, 'p'), frame(PONG, 'x')], answers('pong p')),
];

const ECHOED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4999];
/** Registered with IANA since the RFC, and those of libraries. */
const ECHOED_BY_WS = [1012, 1013, 1014, 3000, 3999];
const INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
const bye = frame(TEXT, '{"type":"bye"}');

const closing: FrameCase[] = [
  on('5.5.1', 'a close frame without a code is answered by one without', frame(CLOSE), answers('close')),
  ...ECHOED.map((code) => on('7.4', `close code ${code} is echoed`, closeFrame(code), answers(`close ${code}`))),
  ...ECHOED_BY_WS.map((code) =>
    on('7.4', `close code ${code} is echoed`, closeFrame(code), {
      answers: [`close ${code}`],
      onUws: { answers: ['close'], deviation: 'empty close frame' },
    }),
  ),
  ...INVALID_CODES.map((code) => on('7.4', `close code ${code} fails`, closeFrame(code), refusesClose(1002))),
  on('5.5.1', 'a close frame with a single byte fails', frame(CLOSE, [3]), refusesClose(1002)),
  on('5.5.1', 'a reason is read', closeFrame(1000, 'good bye, naïve 𝄞'), answers('close 1000')),
  on('5.5.1', 'a reason of 123 bytes is read', closeFrame(1000, 'r'.repeat(123)), answers('close 1000')),
  on('5.5.1', 'a reason that is not UTF-8 fails', closeFrame(1000, [0xc3, 0x28]), refusesClose(1007)),
  on('5.5.1', 'a reason that ends inside a character fails', closeFrame(1000, [0xe2, 0x82]), refusesClose(1007)),
  on(
    '5.5.1',
    'nothing after the close frame is answered',
    [closeFrame(1000), ask('a'), frame(PING, 'p')],
    answers('close 1000'),
  ),
  on('5.5.1', 'a second close frame is not answered', [closeFrame(1000), closeFrame(1001)], answers('close 1000')),
  on(
    '7.1.5',
    'what comes before the close frame is answered first',
    [ask('a'), frame(PING, 'p'), closeFrame(1000)],
    answers('ok a', 'pong p', 'close 1000'),
  ),
  on('7.1.7', 'nothing is read after a failure', [frame(3), ask('a'), frame(PING, 'p'), closeFrame(1000)], fails(1002)),
  on('7.1.2', "the hub's own close is its last frame", [bye, ask('a'), frame(PING, 'p')], answers('close 1000')),
  on('7.1.2', "the answer to the hub's own close is not answered", [bye, closeFrame(1000)], answers('close 1000')),
];

export const frameCases: readonly FrameCase[] = [
  ...masking,
  ...reservedBits,
  ...opcodes,
  ...lengths,
  ...fragments,
  ...controls,
  ...closing,
];
