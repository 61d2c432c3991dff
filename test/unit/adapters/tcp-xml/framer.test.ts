import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Encoding, FrameEncoding } from '../../../../server/adapters/tcp-xml/frames/charset.ts';
import { Framer } from '../../../../server/adapters/tcp-xml/frames/framer.ts';
import { MAX_TCP_FRAME_BYTES } from '../../../../shared/limits.ts';

const FRAME = '<protocol><user_id>42</user_id></protocol>';
const UTF8_BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const LE_BOM = Buffer.from([0xff, 0xfe]);
const BE_BOM = Buffer.from([0xfe, 0xff]);

const le = (text: string): Buffer => Buffer.from(text, 'utf16le');
const be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

interface Framed {
  readonly frames: Buffer[];
  readonly seen: FrameEncoding[];
  readonly result: 'ok' | 'too_large';
  readonly framer: Framer;
}

/** Pushes the chunks until one is too large; frames are copied, as the framer asks. */
function frame(chunks: readonly Buffer[], defaultEncoding: Encoding = 'utf-8'): Framed {
  const framer = new Framer(defaultEncoding);
  const frames: Buffer[] = [];
  const seen: FrameEncoding[] = [];
  for (const chunk of chunks) {
    const result = framer.push(chunk, (bytes, encoding) => {
      frames.push(Buffer.from(bytes));
      seen.push(encoding);
    });
    if (result === 'too_large') return { frames, seen, result, framer };
  }
  return { frames, seen, result: 'ok', framer };
}

const texts = (framed: Framed): string[] => framed.frames.map((bytes) => bytes.toString('latin1'));
const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));

/** Whether it has kept nothing of before: only then is a frame handed out from its own packet, and not from a copy. */
function keepsNothing(framer: Framer, nextFrame: Buffer): boolean {
  const packet = Buffer.alloc(nextFrame.length); // not from the pool, which copies share
  nextFrame.copy(packet);
  const owners: ArrayBufferLike[] = [];
  framer.push(packet, (bytes) => owners.push(bytes.buffer));
  return owners.length === 1 && owners[0] === packet.buffer;
}

/** A frame of exactly this many bytes. */
function frameOf(bytes: number): string {
  const [head, tail] = ['<protocol><a>', '</a></protocol>'];
  return head + 'x'.repeat(bytes - head.length - tail.length) + tail;
}

describe('framing', () => {
  it('hands out a frame that comes in one packet, up to and including its terminator', () => {
    expect(texts(frame([Buffer.from(FRAME)]))).toEqual([FRAME]);
  });

  it('legacy bug 10: a frame needs no line end, and an unfinished one at the end of stream is no frame at all', () => {
    expect(texts(frame([Buffer.from(FRAME)]))).toEqual([FRAME]);
    expect(texts(frame([Buffer.from(FRAME.slice(0, -1))]))).toEqual([]);
  });

  it('legacy bug 11: a frame over several lines is one frame, its line ends kept', () => {
    const lines = '<protocol>\r\n  <user_id>\n42</user_id>\r\n</protocol>';
    expect(texts(frame([Buffer.from(`${lines}\r\n${lines}`)]))).toEqual([lines, lines]);
  });

  it('legacy bug 12: two frames on one line are two frames', () => {
    expect(texts(frame([Buffer.from(FRAME + FRAME)]))).toEqual([FRAME, FRAME]);
  });

  it('legacy bug 13: nothing is kept between frames, however many came and whatever white space stands there', () => {
    const framer = new Framer('utf-8');
    const packet = Buffer.from(`${FRAME}\r\n \t\n`.repeat(100));
    for (let round = 0; round < 100; round += 1) {
      framer.push(packet, () => undefined);
      expect(keepsNothing(framer, Buffer.from(FRAME))).toBe(true);
    }
  });

  it('legacy bug 14: the terminator is compared with its `>`', () => {
    const text = '<protocol></protocolx></protocol ></protocol>';
    expect(texts(frame([Buffer.from(text)]))).toEqual([text]);
  });

  it('finds frames that come byte by byte', () => {
    expect(texts(frame(bytewise(Buffer.from(`\n${FRAME}\r\n${FRAME}`))))).toEqual([FRAME, FRAME]);
  });

  it('finds a terminator that a packet border cuts at any place', () => {
    const bytes = Buffer.from(FRAME + FRAME);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(texts(frame([bytes.subarray(0, cut), bytes.subarray(cut)]))).toEqual([FRAME, FRAME]);
    }
  });

  it('hands out what is no XML at all as it stands: judging it is for decode', () => {
    expect(texts(frame([Buffer.from('\x01junk</protocol>')]))).toEqual(['\x01junk</protocol>']);
  });

  it('keeps a copy of what is unfinished, so that a packet whose memory is used again does not spoil it', () => {
    const bytes = Buffer.concat([UTF8_BOM, Buffer.from(FRAME)]);
    for (const cut of [1, 2, 4, 20, bytes.length - 1]) {
      const framer = new Framer('utf-8');
      const packet = Buffer.from(bytes.subarray(0, cut));
      framer.push(packet, () => undefined);
      packet.fill(0x78);
      const frames: string[] = [];
      framer.push(bytes.subarray(cut), (frame) => frames.push(frame.toString()));
      expect(frames).toEqual([FRAME]);
    }
  });
});

describe('a stop', () => {
  const le16 = Buffer.concat([LE_BOM, le(FRAME), le('\n'), le(FRAME), le(FRAME)]);

  it.each([
    ['narrow frames', Buffer.from(`${FRAME}\r\n${FRAME}${FRAME} `)],
    ['wide frames', le16],
  ])('after every frame of %s, wherever packets end, loses nothing and repeats nothing', (_, bytes) => {
    const frames = frame([bytes]).frames.map(String);
    expect(frames).toHaveLength(3);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const framer = new Framer('utf-8');
      const handed: string[] = [];
      const packets: Buffer[] = [bytes.subarray(0, cut), bytes.subarray(cut)];
      for (let packet = packets.shift(); packet !== undefined; packet = packets.shift()) {
        const before = handed.length;
        const rest = framer.push(packet, (one) => {
          handed.push(String(one));
          framer.stop();
        });
        expect(handed.length - before).toBeLessThanOrEqual(1);
        if (rest instanceof Buffer) packets.unshift(rest);
      }
      expect(handed).toEqual(frames);
    }
  });

  it('says whether a frame has begun', () => {
    const framer = new Framer('utf-8');
    framer.push(Buffer.from(`${FRAME}\n`), () => {});
    expect(framer.isInFrame).toBe(false);
    framer.push(Buffer.from('<'), () => {});
    expect(framer.isInFrame).toBe(true);
    framer.push(Buffer.from(FRAME.slice(1)), () => {});
    expect(framer.isInFrame).toBe(false);
  });
});

describe('the frame limit', () => {
  it('lets a frame of exactly 8192 bytes pass, in one packet and byte by byte', () => {
    const largest = Buffer.from(frameOf(MAX_TCP_FRAME_BYTES));
    for (const chunks of [[largest], bytewise(largest)]) {
      const framed = frame(chunks);
      expect(framed.result).toBe('ok');
      expect(framed.frames).toEqual([largest]);
    }
  });

  it('is broken by a frame of 8193 bytes, in one packet and byte by byte (T1)', () => {
    const larger = Buffer.from(frameOf(MAX_TCP_FRAME_BYTES + 1));
    for (const chunks of [[larger], bytewise(larger), [larger.subarray(0, 8192), larger.subarray(8192)]]) {
      const framed = frame(chunks);
      expect(framed.result).toBe('too_large');
      expect(framed.frames).toEqual([]);
    }
  });

  it('legacy bug 13: is broken as soon as 8193 bytes stand without a terminator, not at 8192', () => {
    const framer = new Framer('utf-8');
    const onFrame = (): never => expect.fail('no frame ended');
    expect(framer.push(Buffer.from(`<${'x'.repeat(8191)}`), onFrame)).toBe('ok');
    expect(framer.push(Buffer.from('x'), onFrame)).toBe('too_large');
    expect(keepsNothing(framer, Buffer.from(FRAME))).toBe(true);
  });

  it('does not keep the good frames before it from being handed out', () => {
    const framed = frame([Buffer.from(FRAME + FRAME + '<'.repeat(9000) + FRAME)]);
    expect(texts(framed)).toEqual([FRAME, FRAME]);
    expect(framed.result).toBe('too_large');
  });

  it('does not count white space between frames, be it a megabyte', () => {
    const space = Buffer.alloc(1024 * 1024, ' \r\n\t');
    const framed = frame([Buffer.from(FRAME), space, Buffer.from(FRAME)]);
    expect(framed.result).toBe('ok');
    expect(texts(framed)).toEqual([FRAME, FRAME]);
  });

  it('counts bytes, not characters, and no byte order mark, in UTF-16', () => {
    const largest = frameOf(MAX_TCP_FRAME_BYTES / 2);
    expect(frame([LE_BOM, le(largest)]).frames).toEqual([le(largest)]);
    expect(frame([be(largest)]).frames).toEqual([be(largest)]);
    expect(frame([le(largest.replace('x', 'xx'))]).result).toBe('too_large');
  });

  it('searches each byte of a long frame once: byte by byte to the limit is quick', () => {
    const framer = new Framer('utf-8');
    const search = vi.spyOn<Buffer, 'indexOf'>(Buffer.prototype as Buffer, 'indexOf');
    for (const byte of bytewise(Buffer.alloc(8192, '<'))) framer.push(byte, () => undefined);
    const searched = search.mock.contexts as Buffer[];
    const scanned = search.mock.calls.map(([, from], call) => (searched[call]?.length ?? 0) - Number(from));
    search.mockRestore();
    expect(scanned.length).toBeGreaterThan(8000);
    expect(Math.max(...scanned)).toBeLessThanOrEqual('</protocol>'.length);
  });
});

describe('byte order marks and widths', () => {
  it('skips a UTF-8 mark, before the first frame and before later ones, and remembers it', () => {
    const bytes = Buffer.concat([UTF8_BOM, Buffer.from(`${FRAME}\n`), UTF8_BOM, Buffer.from(FRAME)]);
    for (const chunks of [[bytes], bytewise(bytes)]) {
      const framed = frame(chunks);
      expect(texts(framed)).toEqual([FRAME, FRAME]);
      expect(framed.seen).toEqual(['utf-8', 'utf-8']);
    }
  });

  it('says `bytes` of a connection without a mark', () => {
    expect(frame([Buffer.from(FRAME)]).seen).toEqual(['bytes']);
    expect(new Framer('gbk').detected).toBe('bytes');
  });

  for (const [seen, encode, mark] of [
    ['utf-16le', le, LE_BOM],
    ['utf-16be', be, BE_BOM],
  ] as const) {
    const both = [encode(FRAME), encode(FRAME)];

    it(`${seen}: a mark before the first frame holds for the connection`, () => {
      const framed = frame([mark, encode(`${FRAME}\r\n${FRAME}`)]);
      expect(framed.frames).toEqual(both);
      expect(framed.seen).toEqual([seen, seen]);
      expect(framed.framer.detected).toBe(seen);
    });

    it(`${seen}: a mark before each frame is passed over`, () => {
      const framed = frame([Buffer.concat([mark, encode(`${FRAME}\n`), mark, encode(FRAME)])]);
      expect(framed.frames).toEqual(both);
    });

    it(`${seen}: is recognized without a mark, whatever the default`, () => {
      for (const defaultEncoding of ['utf-8', 'gbk', 'utf-16le', 'utf-16be'] as const) {
        expect(frame([encode(FRAME + FRAME)], defaultEncoding).seen).toEqual([seen, seen]);
      }
    });

    it(`${seen}: is recognized by the white space before the first frame`, () => {
      const bytes = encode(`\r\n\t ${FRAME}\r\n${FRAME}\n`);
      for (const chunks of [[bytes], bytewise(bytes)]) {
        const framed = frame(chunks);
        expect(framed.frames).toEqual(both);
        expect(keepsNothing(framed.framer, encode(FRAME))).toBe(true);
      }
    });

    it(`${seen}: a terminator's bytes half a unit off are no terminator`, () => {
      // One byte ahead, the terminator's bytes are the halves of other characters.
      const off = Buffer.concat([Buffer.from([0x41]), encode('</protocol>'), Buffer.from([0x41])]);
      const whole = Buffer.concat([encode('<protocol>'), off, encode('</protocol>')]);
      const framed = frame([whole, encode(FRAME)]);
      expect(framed.frames).toEqual([whole, encode(FRAME)]);
    });

    it(`${seen}: a line end of a single byte between frames is passed over`, () => {
      const framed = frame([encode(FRAME), Buffer.from('\n'), encode(FRAME), Buffer.from('\r\n'), encode(FRAME)]);
      expect(framed.frames).toEqual([encode(FRAME), encode(FRAME), encode(FRAME)]);
    });
  }

  it('takes plainly one-byte frames as such, though the default is UTF-16', () => {
    const framed = frame([Buffer.from(`\n${FRAME}\n${FRAME}`)], 'utf-16le');
    expect(texts(framed)).toEqual([FRAME, FRAME]);
    expect(framed.seen).toEqual(['bytes', 'bytes']);
  });

  it('goes by a default of UTF-16 if the first bytes say nothing', () => {
    expect(frame([be('x</protocol>')], 'utf-16be').seen).toEqual(['utf-16be']);
  });
});

describe('a frame that is one empty element', () => {
  const EMPTY = '<protocol user_id="42"/>';
  const alike = [
    EMPTY,
    '<protocol/>',
    '<protocol />',
    '<protocol\tuser_id = "42"\r\n/>',
    `<protocol user_id='42' user_state="2" />`,
    '<protocol user_id="42" text="/>"/>',
    `<protocol user_id="42" text="'/>" more='"/>'/>`,
    '<protocol user_id="42" text="a>b"/>',
    '<?xml version="1.0"?><protocol user_id="42"/>',
    '<?xml version="1.0" encoding="UTF-8" ?>\r\n <protocol user_id="42"/>',
  ];

  it.each([
    ['one byte', (text: string) => Buffer.from(text)],
    ['UTF-16LE', le],
    ['UTF-16BE', be],
  ] as const)('ends with its tag, in characters of %s', (_what, encode) => {
    for (const empty of alike) {
      const stream = [empty, FRAME, empty, empty, FRAME];
      for (const between of ['', '\n', '\0']) {
        const bytes = encode(stream.join(between));
        for (const chunks of [[bytes], bytewise(bytes)]) {
          const framed = frame(chunks);
          expect(framed.frames).toEqual(stream.map(encode));
          expect(framed.framer.heldBytes).toBe(0);
        }
      }
    }
  });

  it.each([
    ['another element', '<protocols user_id="42"/><a/></protocol>'],
    ['an empty element within', '<protocol user_id="42"><a/></protocol>'],
    ['an open quote', '<protocol user_id="42/></protocol>'],
    ['markup in a value', '<protocol user_id="<a"/></protocol>'],
    ['a slash that is not the last', '<protocol user_id="42"/ ></protocol>'],
    ['a comment before it', '<!-- --><protocol user_id="42"/></protocol>'],
    ['an open declaration', '<?xml <protocol user_id="42"/></protocol>'],
    ['text before it', 'x<protocol user_id="42"/></protocol>'],
  ])('is none with %s: that ends where the terminator is', (_what, text) => {
    for (const chunks of [[Buffer.from(text + FRAME)], bytewise(Buffer.from(text + FRAME))]) {
      expect(texts(frame(chunks))).toEqual([text, FRAME]);
    }
  });

  it('has the same limit: 8192 bytes, not one more', () => {
    const [head, tail] = ['<protocol user_id="42" pad="', '"/>'];
    const ofBytes = (bytes: number): Buffer => Buffer.from(head + 'x'.repeat(bytes - head.length - tail.length) + tail);
    for (const [bytes, result] of [
      [MAX_TCP_FRAME_BYTES, 'ok'],
      [MAX_TCP_FRAME_BYTES + 1, 'too_large'],
    ] as const) {
      for (const chunks of [[ofBytes(bytes)], bytewise(ofBytes(bytes))]) {
        expect(frame(chunks)).toMatchObject({ result, frames: result === 'ok' ? [ofBytes(bytes)] : [] });
      }
    }
  });
});

describe('any split of any frames', () => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 4 });
  const cuts = fc.array(fc.nat(), { maxLength: 12 });
  // U+3C00 and its like share bytes with `<`; the GBK bytes are two characters, one with a trail byte below 0x80.
  const content = fc.string({
    unit: fc.constantFrom('a', '<b/>', '\n', '好', '\u3c00', '\u003c', '\u2f00', '𠀀', '/'),
  });
  const gbkContent = fc.array(fc.constantFrom([0xc4, 0xe3], [0x81, 0x40], [0x41], [0x0a]), { maxLength: 8 });

  function chunksOf(bytes: Buffer, at: readonly number[]): Buffer[] {
    const borders = [0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
    return borders.slice(1).map((border, index) => bytes.subarray(borders[index], border));
  }

  function expectSame(stream: Buffer, frames: readonly Buffer[], at: readonly number[]): void {
    for (const chunks of [[stream], chunksOf(stream, at), bytewise(stream)]) {
      const framed = frame(chunks);
      expect(framed.result).toBe('ok');
      expect(framed.frames).toEqual(frames);
    }
  }

  for (const [name, encode, mark] of [
    ['utf-8', (text: string) => Buffer.from(text), UTF8_BOM],
    ['utf-16le', le, LE_BOM],
    ['utf-16be', be, BE_BOM],
  ] as const) {
    it(`${name}: yields the same frames`, () => {
      const part = fc.tuple(space, fc.boolean(), content);
      fc.assert(
        fc.property(fc.array(part, { maxLength: 5 }), space, cuts, (parts, last, at) => {
          const frames = parts.map(([, , text]) => encode(`<protocol>${text}</protocol>`));
          const stream = parts.flatMap(([before, marked], index) => [
            encode(before),
            ...(marked ? [mark] : []),
            frames[index] ?? Buffer.alloc(0),
          ]);
          expectSame(Buffer.concat([...stream, encode(last)]), frames, at);
        }),
      );
    });
  }

  it('gbk: yields the same frames', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(space, gbkContent), { maxLength: 5 }), cuts, (parts, at) => {
        const frames = parts.map(([, bytes]) =>
          Buffer.concat([Buffer.from('<protocol>'), Buffer.from(bytes.flat()), Buffer.from('</protocol>')]),
        );
        const stream = parts.flatMap(([before], index) => [Buffer.from(before), frames[index] ?? Buffer.alloc(0)]);
        expectSame(Buffer.concat(stream), frames, at);
      }),
    );
  });

  it('yields the same of arbitrary bytes, and the same verdict', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.constantFrom(Buffer.from(FRAME), le(FRAME), be(FRAME), LE_BOM, BE_BOM, UTF8_BOM, Buffer.alloc(8200, 'x')),
      fc.constantFrom(
        ...['<protocol a="', "'", '"', '/', '>', '/>', '<?xml ', '?>', '\0', '\n'].map((text) => Buffer.from(text)),
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), cuts, (pieces, at) => {
        const bytes = Buffer.concat(pieces);
        const whole = frame([bytes]);
        for (const chunks of [chunksOf(bytes, at), bytewise(bytes)]) {
          const split = frame(chunks);
          expect(split.frames).toEqual(whole.frames);
          expect(split.seen).toEqual(whole.seen);
          expect(split.result).toBe(whole.result);
        }
      }),
    );
  });
});

describe('NUL and white space between frames and before the first', () => {
  const widths = [
    ['one byte', 'bytes', (text: string) => Buffer.from(text, 'latin1')],
    ['UTF-16LE', 'utf-16le', le],
    ['UTF-16BE', 'utf-16be', be],
  ] as const;

  it.each(widths)('mean nothing in characters of %s', (_what, seen, encode) => {
    const bytes = encode(`\0\0\0${FRAME}\0${FRAME}\n\0\0\0\n${FRAME}\0\0\0`);
    for (const chunks of [[bytes], bytewise(bytes)]) {
      const framed = frame(chunks);
      expect(framed.frames).toEqual([encode(FRAME), encode(FRAME), encode(FRAME)]);
      expect(framed.seen).toEqual([seen, seen, seen]);
      expect(framed.framer.isInFrame).toBe(false);
    }
  });

  // What C clients write: `strlen + 1` bytes of a line end, of a frame or of nothing; buffers padded to a fixed size.
  const single = ['\0', '\n\0', '\r\n\0', '\0\n', '\0\r\n', '\0\n\0', '\0 \0', ' \0\n\0', '\0\0\0', '\0'.repeat(255)];

  it.each(single.map((between) => [JSON.stringify(between.slice(0, 8)), between] as const))(
    'of one byte, %s, mean nothing before and between frames of one byte, whatever the default',
    (_what, between) => {
      const text = `${between}${FRAME}${between}${FRAME}${between}${between}${FRAME}${between}`;
      const bytes = Buffer.from(text, 'latin1');
      for (const encoding of ['utf-8', 'gbk', 'big5', 'iso-8859-1', 'utf-16le', 'utf-16be'] as const) {
        for (const chunks of [[bytes], bytewise(bytes)]) {
          const framed = frame(chunks, encoding);
          expect(texts(framed)).toEqual([FRAME, FRAME, FRAME]);
          expect(framed.seen).toEqual(['bytes', 'bytes', 'bytes']);
          expect(framed.framer.heldBytes).toBeLessThan(2);
        }
      }
    },
  );

  it.each(widths.slice(1))('of one byte mean nothing between frames of %s', (_what, seen, encode) => {
    for (const between of single) {
      const bytes = Buffer.concat([FRAME, FRAME, FRAME].flatMap((text) => [encode(text), Buffer.from(between)]));
      for (const chunks of [[bytes], bytewise(bytes)]) {
        const framed = frame(chunks);
        expect(framed.frames).toEqual([encode(FRAME), encode(FRAME), encode(FRAME)]);
        expect(framed.seen).toEqual([seen, seen, seen]);
      }
    }
  });

  it('may stand before a byte order mark', () => {
    for (const [mark, encode] of [
      [UTF8_BOM, (text: string) => Buffer.from(text)],
      [LE_BOM, le],
      [BE_BOM, be],
    ] as const) {
      const one = Buffer.concat([Buffer.from('\0\r\n\0'), mark, encode(FRAME)]);
      const bytes = Buffer.concat([one, one, Buffer.from([0]), one]);
      for (const encoding of ['utf-8', 'utf-16le', 'utf-16be'] as const) {
        for (const chunks of [[bytes], bytewise(bytes)]) {
          expect(frame(chunks, encoding).frames).toEqual([encode(FRAME), encode(FRAME), encode(FRAME)]);
        }
      }
    }
  });

  it('keep nothing in memory, be it a megabyte before the first frame', () => {
    for (const piece of ['\0', '\0\n', ' \0\r\n\0', '\n']) {
      const { framer } = frame([Buffer.alloc(1024 * 1024, piece)]);
      expect(framer.heldBytes).toBeLessThan(3);
      expect(framer.isInFrame).toBe(false);
    }
  });
});
