/**
 * Legacy bytes: real frames damaged, frames of all encodings and odd contents, and all of it cut at any border. Several
 * frames share a connection, good ones among them.
 */
import type { Random } from '../../bench/lib/random.ts';
import { edgeNumbers, edgeTexts, mutate, randomBytes, split } from '../lib/mutate.ts';
import type { Corpus } from '../lib/corpus.ts';
import type { Target } from './target.ts';

const marks = [
  Buffer.from([0xef, 0xbb, 0xbf]),
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xfe, 0xff]),
  Buffer.from([0, 0, 0xfe, 0xff]),
];
const tokens = [
  ...[
    '<protocol>',
    '</protocol>',
    '</protocol',
    '</protocol >',
    '<protocol/>',
    '<user_id>',
    '</user_id>',
    '<user_id>7</user_id>',
  ],
  ...[
    '<user_state>',
    '</user_state>',
    '<device>',
    '<user_ip>::1</user_ip>',
    '<user_port>65536</user_port>',
    '<a b="c"/>',
  ],
  ...[
    '<!DOCTYPE a>',
    '<!DOCTYPE a [<!ENTITY x "y">]>',
    '<!ENTITY x SYSTEM "file:///etc/passwd">',
    '&x;',
    '&amp;',
    '&#0;',
  ],
  ...[
    '&#x41;',
    '&#x110000;',
    '&#xD800;',
    '&lt;',
    '&',
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?a?>',
    '<?xml version="1.0"?>',
  ],
  ...['<?xml version="1.0" encoding="utf-16"?>', '<?xml version="1.0" encoding="gbk"?>', '<?xml encoding="x"?>'],
  ...[
    '<a>'.repeat(200),
    '</a>'.repeat(200),
    'a'.repeat(5000),
    ' a="b"',
    " a='",
    '\u0000',
    '\r\n',
    '\n',
    ' ',
    '<',
    '>',
    '"',
    'ä',
    '中',
  ],
  ...edgeNumbers,
].map((token) => Buffer.from(token));
const allTokens = [
  ...tokens,
  ...marks,
  Buffer.from('</protocol>', 'utf16le'),
  Buffer.from('</protocol>', 'utf16le').swap16(),
];
const encodings = [
  'utf-8',
  'UTF-8',
  'gbk',
  'gb2312',
  'gb18030',
  'big5',
  'iso-8859-1',
  'utf-16',
  'utf-16le',
  'utf-16be',
  'utf-7',
  'x',
];

export const tcp: Target = {
  name: 'tcp',
  door: 'tcp',
  make: (random, corpus) => {
    const parts = 1 + random.below(6);
    const frames = Array.from({ length: parts }, () => frame(random, corpus));
    return { parts, chunks: split(random, Buffer.concat(frames)) };
  },
};

function frame(random: Random, corpus: Corpus): Buffer {
  const kind = random.below(10);
  if (kind < 5) return mutate(random, random.pick(corpus.frames), allTokens);
  if (kind < 8) return written(random);
  if (kind === 8) return mutate(random, written(random), allTokens);
  return random.isOneIn(3) ? randomBytes(random, random.below(2000)) : random.pick(corpus.frames);
}

/** A frame that is well-formed, or nearly: odd values, odd depth, any encoding. */
function written(random: Random): Buffer {
  const user = random.isOneIn(4) ? random.pick(edgeTexts) : `f${random.below(50)}`;
  const state = random.isOneIn(2) ? random.pick(edgeNumbers) : String(random.below(5) - 1);
  const extra = random.pick([
    '',
    '',
    `<device>${random.pick(edgeTexts)}</device>`,
    '<x><y><user_id>9</user_id></y></x>',
  ]);
  const depth = random.isOneIn(6) ? random.below(400) : 0;
  const declared = random.isOneIn(3) ? `<?xml version="1.0" encoding="${random.pick(encodings)}"?>` : '';
  const body = random.isOneIn(4)
    ? `<protocol user_id="${user}" user_state='${state}'>${extra}</protocol>`
    : `<protocol><user_id>${user}</user_id><user_state>${state}</user_state>${extra}</protocol>`;
  const text =
    declared +
    body
      .replace('<protocol>', `<protocol>${'<a>'.repeat(depth)}`)
      .replace('</protocol>', `${'</a>'.repeat(depth)}</protocol>`);
  return encode(random, text);
}

function encode(random: Random, text: string): Buffer {
  const mark = random.isOneIn(5) ? random.pick(marks) : Buffer.alloc(0);
  switch (random.below(6)) {
    case 0:
      return Buffer.concat([mark, Buffer.from(text, 'utf16le')]);
    case 1:
      return Buffer.concat([mark, Buffer.from(text, 'utf16le').swap16()]);
    case 2:
      return Buffer.concat([mark, Buffer.from(text, 'latin1')]);
    default:
      return Buffer.concat([mark, Buffer.from(text)]);
  }
}
