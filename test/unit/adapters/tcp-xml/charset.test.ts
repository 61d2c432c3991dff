import { describe, expect, it } from 'vitest';
import { decodeText, encodingOf } from '../../../../server/adapters/tcp-xml/frames/charset.ts';

const GBK_HELLO = Buffer.from([0xc4, 0xe3, 0xba, 0xc3]);
const BIG5_HELLO = Buffer.from([0xa7, 0x41, 0xa6, 0x6e]);

function declared(label: string, bytes: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`<?xml version="1.0" encoding="${label}"?><protocol><a>`),
    bytes,
    Buffer.from('</a></protocol>'),
  ]);
}

const plain = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from('<protocol><a>'), bytes, Buffer.from('</a></protocol>')]);
const contentOf = (text: string): string => /<a>(.*)<\/a>/s.exec(text)?.[1] ?? 'no <a>';

describe('the encoding of a frame (T7)', () => {
  it.each([
    ['UTF-8', Buffer.from('你好'), '你好'],
    ['gbk', GBK_HELLO, '你好'],
    ['GB2312', GBK_HELLO, '你好'],
    ['GB18030', Buffer.from([0xc4, 0xe3, 0x95, 0x32, 0x82, 0x36]), '你𠀀'],
    ['Big5', BIG5_HELLO, '你好'],
    ['ISO-8859-1', Buffer.from([0xe9]), 'é'],
  ])('legacy bug 17: is what the declaration says: %s, against mark and default', (label, bytes, content) => {
    for (const seen of ['bytes', 'utf-8'] as const) {
      for (const otherwise of ['utf-8', 'gbk', 'big5', 'utf-16le'] as const) {
        expect(contentOf(decodeText(declared(label, bytes), seen, otherwise))).toBe(content);
      }
    }
  });

  it('is read from a declaration in single quotes, with white space, in any case and without a version', () => {
    const frame = Buffer.concat([
      Buffer.from("<?xml  encoding = 'Gbk' ?><protocol><a>"),
      GBK_HELLO,
      Buffer.from('</a>'),
    ]);
    expect(contentOf(decodeText(frame, 'bytes', 'utf-8'))).toBe('你好');
  });

  it('is the byte order mark, if nothing is declared', () => {
    expect(contentOf(decodeText(plain(Buffer.from('你好')), 'utf-8', 'gbk'))).toBe('你好');
  });

  it('is the default, if there is neither', () => {
    expect(contentOf(decodeText(plain(GBK_HELLO), 'bytes', 'gbk'))).toBe('你好');
    expect(contentOf(decodeText(plain(Buffer.from('你好')), 'bytes', 'utf-8'))).toBe('你好');
  });

  it('is the default, if an unknown one is declared', () => {
    expect(contentOf(decodeText(declared('x-klingon', GBK_HELLO), 'bytes', 'gbk'))).toBe('你好');
  });

  it('is not a declared UTF-16, if the bytes are plainly one byte wide', () => {
    expect(contentOf(decodeText(declared('UTF-16', GBK_HELLO), 'bytes', 'gbk'))).toBe('你好');
    expect(contentOf(decodeText(declared('utf-16', Buffer.from('你好')), 'bytes', 'utf-16le'))).toBe('你好');
  });

  it('is UTF-16 in the order seen, whatever is declared', () => {
    for (const label of ['UTF-8', 'gbk', 'UTF-16', 'utf-16be', 'utf-16le']) {
      const text = `<?xml version="1.0" encoding="${label}"?><protocol><a>你好</a></protocol>`;
      const bytes = Buffer.from(text, 'utf16le');
      expect(decodeText(bytes, 'utf-16le', 'utf-8')).toBe(text);
      expect(decodeText(Buffer.from(bytes).swap16(), 'utf-16be', 'gbk')).toBe(text);
    }
  });

  it('is not looked for in the content', () => {
    const text = '<protocol><a>&lt;?xml encoding="gbk"?>你</a></protocol>';
    expect(decodeText(Buffer.from(text), 'bytes', 'utf-8')).toBe(text);
  });
});

describe('bytes that do not fit', () => {
  it('become U+FFFD and leave the markup behind them whole, in every encoding (T8)', () => {
    const cut = plain(Buffer.from([0xc4]));
    for (const encoding of ['utf-8', 'gbk', 'gb18030', 'big5'] as const) {
      expect(decodeText(cut, 'bytes', encoding)).toBe('<protocol><a>\ufffd</a></protocol>');
    }
  });

  it('carry nothing over to the next frame', () => {
    decodeText(Buffer.from([0x3c, 0xc4]), 'bytes', 'gbk');
    expect(decodeText(Buffer.from([0xe3, 0xba]), 'bytes', 'gbk')).toBe(
      new TextDecoder('gbk').decode(Buffer.from([0xe3, 0xba])),
    );
  });

  it('are no error in UTF-16 either: half a unit, half a pair', () => {
    expect(decodeText(Buffer.from([0x41, 0x00, 0x00, 0xd8, 0x42]), 'utf-16le', 'utf-8')).toMatch(/^A\ufffd+$/);
  });
});

describe('names of encodings', () => {
  it.each('utf-8 UTF8 gbk GB2312 gb18030 Big5 ISO-8859-1 iso_8859_1 latin1 utf-16 UTF-16LE utf-16be'.split(' '))(
    '%s is known',
    (label) => {
      expect(encodingOf(label)).toBeDefined();
    },
  );

  it.each(['', 'utf-7', 'klingon', 'constructor', '__proto__'])('%j is not', (label) => {
    expect(encodingOf(label)).toBeUndefined();
  });

  it('UTF-16 without an order is little endian, as everywhere on the web', () => {
    expect(encodingOf(' UTF-16 ')).toBe('utf-16le');
  });
});
