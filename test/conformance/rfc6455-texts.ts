/** RFC 6455, sections 5.6 and 8.1, as cases: what is valid UTF-8, also across fragments, and what fails the connection. */
import { BINARY, first, fragmented, frame, heartbeat, HEARTBEAT, last, PING, TEXT, ask } from './client-frames.ts';
import { answers, fails, type FrameCase, on } from './rfc6455-case.ts';

const VALID_TEXTS: readonly (readonly [string, string])[] = [
  ['Greek', 'κόσμε'],
  ['the first and last of one byte that JSON takes', ' \x7f'],
  ['the first and last of two bytes', '\u0080\u07ff'],
  ['the first and last of three bytes', '\u0800\uffff'],
  ['the first and last of four bytes', '\u{10000}\u{10ffff}'],
  ['the neighbors of the surrogates', '\ud7ff\ue000'],
  ['noncharacters', '\ufffe\ufdd0\u{1fffe}'],
  ['the replacement character', '\ufffd'],
  ['a byte order mark', '\ufeff'],
];

const INVALID_TEXTS: readonly (readonly [string, readonly number[]])[] = [
  ['a lone continuation byte', [0x80]],
  ['the last continuation byte, alone', [0xbf]],
  ['the first of two bytes', [0xc3]],
  ['two of three bytes', [0xe2, 0x82]],
  ['three of four bytes', [0xf0, 0x9d, 0x84]],
  ['a start byte after a start byte', [0xc3, 0xc3, 0xa9]],
  ['an overlong slash in two bytes', [0xc0, 0xaf]],
  ['the last overlong in two bytes', [0xc1, 0xbf]],
  ['an overlong slash in three bytes', [0xe0, 0x80, 0xaf]],
  ['the last overlong in three bytes', [0xe0, 0x9f, 0xbf]],
  ['an overlong slash in four bytes', [0xf0, 0x80, 0x80, 0xaf]],
  ['the last overlong in four bytes', [0xf0, 0x8f, 0xbf, 0xbf]],
  ['an overlong NUL', [0xc0, 0x80]],
  ['the first surrogate', [0xed, 0xa0, 0x80]],
  ['the last surrogate', [0xed, 0xbf, 0xbf]],
  ['a pair of surrogates', [0xed, 0xa0, 0xb4, 0xed, 0xb4, 0x9e]],
  ['the first beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['the start byte F5', [0xf5, 0x80, 0x80, 0x80]],
  ['a sequence of five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ['a sequence of six bytes', [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]],
  ['FE', [0xfe]],
  ['FF', [0xff]],
];

const CLEF = heartbeat('𝄞');

export const textCases: readonly FrameCase[] = [
  ...VALID_TEXTS.flatMap(([name, id]) => [
    on('5.6', `text with ${name} is read`, ask(id), answers(`ok ${id}`)),
    on('5.6', `text with ${name} is read in 1-byte fragments`, fragmented(heartbeat(id), 1), answers(`ok ${id}`)),
  ]),
  ...[1, 2, 3].map((bytes) => {
    const at = HEARTBEAT.length + bytes;
    const frames = [first(TEXT, CLEF.subarray(0, at)), frame(PING, 'p'), last(CLEF.subarray(at))];
    const rule = `a fragment may end after ${bytes} of a character's 4 bytes, and a ping may follow it`;
    return on('5.6', rule, frames, answers('pong p', 'ok 𝄞'));
  }),
  on('5.6', 'a binary message may hold any bytes', frame(BINARY, [0xff, 0xfe, 0x80]), answers('error bad_message')),
  ...INVALID_TEXTS.flatMap(([name, bytes]) => [
    on('8.1', `text with ${name} fails`, frame(TEXT, heartbeat(bytes)), fails(1007)),
    on('8.1', `text with ${name} fails in 1-byte fragments`, fragmented(heartbeat(bytes), 1), fails(1007)),
    on('8.1', `text of ${name} alone fails`, frame(TEXT, bytes), fails(1007)),
  ]),
  on('8.1', 'a last fragment must not end inside a character', [first(TEXT, 'a'), last([0xe2, 0x82])], fails(1007)),
  on('8.1', 'two messages must not share a character', [frame(TEXT, [0xe2]), frame(TEXT, [0x82, 0xac])], fails(1007)),
];
