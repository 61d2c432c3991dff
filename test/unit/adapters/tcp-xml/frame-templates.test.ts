/**
 * The quick ways through a frame, held to the plain one: whatever the bytes, and whatever came before them on the port and
 * on the connection, the answer is decodeFrame's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeText, type Encoding, type FrameEncoding } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import { decodeFrame, type Decoded } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import { LastFrame } from '../../../../server/adapters/tcp-xml/frames/last-frame.ts';
import { defaultFieldNames, type FieldNames } from '../../../../server/adapters/tcp-xml/frames/names.ts';
import { FrameTemplates } from '../../../../server/adapters/tcp-xml/frames/frame-templates.ts';
import { Random } from '../../../bench/lib/random.ts';
import { mutate } from '../../../fuzz/lib/mutate.ts';

const usual = (user: string, state = '1', ip = '10.0.0.7'): string =>
  `<protocol><user_id>${user}</user_id><user_state>${state}</user_state><user_ip>${ip}</user_ip><user_port>5222</user_port></protocol>`;

/** A port of one connection that reads these frames; how many of them were parsed. */
function receive(
  frames: readonly string[],
  names: FieldNames = defaultFieldNames,
): { said: Decoded[]; parsed: number } {
  const shapes = new FrameTemplates('utf-8', names);
  const memory = new LastFrame(shapes);
  const said = frames.map((frame) => memory.decode(Buffer.from(frame), 'bytes'));
  return { said, parsed: shapes.parsedCount };
}

const plain = (frames: readonly string[], names: FieldNames = defaultFieldNames): Decoded[] =>
  frames.map((frame) => decodeFrame(frame, names));

describe('a frame of a known shape', () => {
  it('is not parsed: other users, states and addresses in the same XML are read from the bytes', () => {
    const frames = [usual('42'), usual('43', '3'), usual('someone@else', '0', '::1'), usual('x', '-1', 'nonsense')];
    const { said, parsed } = receive(frames);
    expect(said).toEqual(plain(frames));
    expect(parsed).toBe(1);
  });

  it('is one with its values in attributes, behind a declaration, at any depth', () => {
    const frames = ['7', '8'].map(
      (user) =>
        `<?xml version="1.0" encoding="UTF-8"?>\n<protocol>\n <head user_id='${user}'/><body><user_state>2</user_state></body>\n</protocol>`,
    );
    const { said, parsed } = receive(frames);
    expect(said).toEqual(plain(frames));
    expect(parsed).toBe(1);
  });

  it('gives a bad frame its reason', () => {
    const frames = [usual('42'), usual('..'), usual('42', '-2'), usual('a'.repeat(129)), usual('42', '1.5')];
    const { said, parsed } = receive(frames);
    expect(said).toEqual(plain(frames));
    expect(said.map((decoded) => decoded.ok)).toEqual([true, false, false, false, false]);
    expect(parsed).toBe(1);
  });

  it.each(['4 2', '&#52;2', '4<b/>2', '', ' 42', '<![CDATA[42]]>', '4"2', '\u4f60', '4]]>2'])(
    'is none with %j for a user',
    (user) => {
      const frames = [usual('42'), usual(user), usual('43')];
      expect(receive(frames).said).toEqual(plain(frames));
      expect(receive(frames).parsed).toBe(2);
    },
  );

  it('keeps fields apart whose values were alike', () => {
    const frames = [
      '<protocol><user_id>1</user_id><user_state>1</user_state><user_port>1</user_port></protocol>',
      '<protocol><user_id>2</user_id><user_state>3</user_state><user_port>4</user_port></protocol>',
    ];
    expect(receive(frames)).toEqual({ said: plain(frames), parsed: 1 });
  });

  it('is not made of a value that stands in two pieces, or in a comment', () => {
    const pieces = ['12', '34'].map((user) => `<protocol><user_id>${user}<b/>5</user_id></protocol>`);
    expect(receive(pieces)).toEqual({ said: plain(pieces), parsed: 2 });
    const comment = ['-', '--'].map((word) => `<protocol><!--<x>${word}</x>--><user_id>5</user_id></protocol>`);
    expect(receive(comment)).toEqual({ said: plain(comment), parsed: 2 });
  });

  it('is not taken from a frame that happens to say what is written into its holes', () => {
    const frames = ['99', '98', '97'].map(
      (other) => `<protocol><x>${other}</x><user_id> hole:0 </user_id><user_state>hole:1</user_state></protocol>`,
    );
    const good = frames.map((frame) => frame.replace('<user_state>hole:1</user_state>', ''));
    expect(receive([...good, ...frames]).said).toEqual(plain([...good, ...frames]));
  });

  it('is known to the next connection of the port', () => {
    const shapes = new FrameTemplates('utf-8', defaultFieldNames);
    for (const user of ['1', '2', '3']) {
      expect(new LastFrame(shapes).decode(Buffer.from(usual(user)), 'bytes')).toMatchObject({ ok: true, user });
    }
    expect(shapes.parsedCount).toBe(1);
  });

  it('is known under names of the operator’s own', () => {
    const names = { ...defaultFieldNames, user_id: 'uid' };
    const frames = ['1', '2'].map((user) => `<protocol><uid>${user}</uid><user_id>9</user_id></protocol>`);
    expect(receive(frames, names)).toEqual({ said: plain(frames, names), parsed: 1 });
  });
});

describe('the same bytes again', () => {
  it('answer the very same heartbeat, without a look at any shape', () => {
    const frame = `<protocol><user_id> 42 </user_id></protocol>`; // fits no shape
    const { said, parsed } = receive([frame, frame, frame, frame]);
    expect(said[3]).toBe(said[1]);
    expect(parsed).toBe(2);
  });

  it('are not kept if they contain a token', () => {
    const frame = `<protocol><user_id> 42 </user_id><token>a.b.c</token></protocol>`;
    expect(receive([frame, frame, frame, frame]).parsed).toBe(4);
  });

  it('say something else in another width of characters', () => {
    const memory = new LastFrame(new FrameTemplates('gbk', defaultFieldNames));
    const bytes = Buffer.from('<protocol><user_id>42</user_id><device>\u4f60</device></protocol>');
    const decoded = (seen: FrameEncoding): Decoded => decodeFrame(decodeText(bytes, seen, 'gbk'), defaultFieldNames);
    for (const seen of ['utf-8', 'utf-8', 'bytes', 'utf-8', 'bytes', 'bytes'] as const) {
      expect(memory.decode(bytes, seen)).toEqual(decoded(seen));
    }
  });
});

describe('beside the plain path', () => {
  const folder = new URL('../../../golden/frames/', import.meta.url);
  const golden = readdirSync(folder)
    .filter((name) => name.endsWith('.frame'))
    .map((name) => readFileSync(new URL(name, folder)))
    .filter(({ length }) => length < 2000);
  const tokens = [
    '<',
    '>',
    '"',
    "'",
    '&',
    '&amp;',
    '--',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?',
    '?>',
    ' ',
    '=',
    '</protocol>',
  ]
    .concat(['<user_id>7</user_id>', 'user_id="8"', '\u4f60', '\0'])
    .map((text) => Buffer.from(text));
  const odd = [
    '',
    ' ',
    '-1',
    '0',
    '+2',
    '007',
    '.',
    '..',
    'a'.repeat(128),
    'a'.repeat(129),
    '&lt;',
    '<x/>',
    '\u00e9',
    '-',
  ];
  const values = [
    '42',
    '43',
    '1',
    '2',
    '10.0.0.9',
    '::1',
    '5222',
    '65536',
    'phone',
    'user:x@y.z',
    'a-b_c',
    'hole:0',
    ' hole:1 ',
  ];
  /** A text between tags, or a quoted value. */
  const VALUE = /(?<=>)[^<>]*(?=<)|(?<=")[^"<>]*(?=")/g;

  function next(random: Random, before: Buffer): Buffer {
    const kind = random.below(10);
    if (kind === 0) return random.pick(golden);
    if (kind === 1) return Buffer.from(usual(random.pick(values), random.pick(values), random.pick(odd)));
    if (kind === 2) return mutate(random, before, tokens);
    if (kind === 3) return before;
    const replaced = before.toString('latin1').replace(VALUE, (value) => {
      if (value.trim() === '' || !random.isOneIn(2)) return value;
      return random.isOneIn(20) ? random.pick(odd) : random.pick(values);
    });
    return Buffer.from(replaced, 'latin1');
  }

  it.each<Encoding>(['utf-8', 'gbk', 'big5', 'utf-16le'])(
    'says the same of 30,000 random frames, where %s is spoken',
    (encoding) => {
      const random = new Random(20261123);
      const shapes = new FrameTemplates(encoding, defaultFieldNames);
      const memories = [new LastFrame(shapes), new LastFrame(shapes)];
      let frame: Buffer = random.pick(golden);
      let good = 0;
      for (let i = 0; i < 30_000; i++) {
        frame = next(random, frame);
        const seen = random.pick<FrameEncoding>(['bytes', 'bytes', 'bytes', 'utf-8', 'utf-16le']);
        const expected = decodeFrame(decodeText(frame, seen, encoding), defaultFieldNames);
        const said = random.pick(memories).decode(frame, seen);
        if (said.ok) good++;
        else if (random.isOneIn(2)) frame = random.pick(golden);
        if (!isSame(said, expected))
          expect({ frame: frame.toString('latin1'), seen, said }).toEqual({ said: expected });
      }
      // It is no test of anything unless many frames are good, and of these many known.
      expect(good).toBeGreaterThan(5000);
      expect(shapes.parsedCount).toBeLessThan(25_000);
    },
    120_000,
  );
});

function isSame(a: Decoded, b: Decoded): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
