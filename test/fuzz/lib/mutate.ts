/**
 * Damage: small changes of bytes, of JSON values, and of the borders between writes; all of it from the chance that is
 * handed in, so that a seed determines everything. Pure.
 */
import type { Random } from '../../bench/lib/random.ts';

const LARGEST_BYTES = 24_000;

/** One to a few small changes; `tokens` are pieces that mean something where they are put. */
export function mutate(random: Random, bytes: Buffer, tokens: readonly Buffer[]): Buffer {
  let mutated = bytes;
  for (let left = 1 + random.below(4); left > 0; left -= 1) mutated = mutateOnce(random, mutated, tokens);
  return mutated.subarray(0, LARGEST_BYTES);
}

function mutateOnce(random: Random, bytes: Buffer, tokens: readonly Buffer[]): Buffer {
  const from = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, from + 1 + random.below(random.isOneIn(4) ? 64 : 6));
  const put = (piece: Buffer): Buffer => Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(from)]);
  switch (random.below(8)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (from < flipped.length) flipped[from] = (flipped[from] ?? 0) ^ (1 << random.below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    case 2:
      return put(bytes.subarray(from, to));
    case 3:
      return put(randomBytes(random, 1 + random.below(8)));
    case 4:
      return bytes.subarray(0, from);
    case 5:
      return Buffer.concat([bytes.subarray(0, from), random.pick(tokens), bytes.subarray(to)]);
    default:
      return put(random.pick(tokens));
  }
}

export function randomBytes(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => random.below(256)));
}

/** Whole, byte by byte, or at a few borders. */
export function split(random: Random, bytes: Buffer): Buffer[] {
  const kind = random.below(6);
  if (kind <= 2 || bytes.length < 2) return [bytes];
  if (kind === 3 && bytes.length <= 160) return Array.from(bytes, (byte) => Buffer.from([byte]));
  const borders = Array.from({ length: 1 + random.below(5) }, () => random.below(bytes.length)).sort((a, b) => a - b);
  const chunks = [0, ...borders].map((from, index) => bytes.subarray(from, borders[index] ?? bytes.length));
  return chunks.filter(({ length }) => length > 0);
}

export const edgeNumbers = [
  '0',
  '-0',
  '-1',
  '-2',
  '1',
  '2',
  '3',
  '4',
  '1.5',
  '1e3',
  '1e400',
  '-1e400',
  '2147483648',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551616',
  '9'.repeat(400),
  '0x10',
  '+1',
  ' 1 ',
  '01',
  'NaN',
  'Infinity',
  '',
] as const;

export const edgeTexts = [
  '',
  ' ',
  '.',
  '..',
  '0',
  '-',
  'a'.repeat(128),
  'a'.repeat(129),
  'x'.repeat(9000),
  '\u0000',
  '\ufeff1',
  'ä',
  '\ud83d\ude00',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  '../../etc/passwd',
  '%2e%2e',
  '%00',
  '<script>',
  '\'"',
  '\r\nX: 1',
  '4\n2',
  'null',
  '[object Object]',
  '42',
  ' 42',
  '042',
] as const;

/** A JSON text in place of a value. */
export function edgeJson(random: Random): string {
  switch (random.below(9)) {
    case 0:
      return random.pick(['null', 'true', 'false', '[]', '{}', '[null]', '[[]]', '{"a":1}', '""', '"\\ud800"']);
    case 1:
      return random.pick(['0', '-0', '-1', '1.5', '1e400', '9007199254740993', '1e-400', '-9007199254740991']);
    case 2:
      return '['.repeat(1 + random.below(3000));
    case 3: {
      const depth = 1 + random.below(2000);
      return `${'['.repeat(depth)}${']'.repeat(depth)}`;
    }
    case 4: {
      const depth = 1 + random.below(1200);
      return `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    }
    case 5:
      return JSON.stringify(Array.from({ length: random.below(1100) }, (_, no) => String(no % 50)));
    default:
      return JSON.stringify(random.pick(edgeTexts));
  }
}

/** A real JSON object with other values, other keys, the same key twice, or other bytes. */
export function mutateJson(random: Random, text: string): string {
  const pairs = Object.entries(JSON.parse(text) as Record<string, unknown>).map(
    ([key, value]) => [key, JSON.stringify(value)] as const,
  );
  const print = (all: readonly (readonly [string, string])[]): string =>
    `{${all.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
  const at = random.below(pairs.length + 1);
  const [key, value] = pairs[at] ?? ['id', '1'];
  const without = pairs.filter((_, index) => index !== at);
  switch (random.below(7)) {
    case 0:
    case 1:
      return print([...without, [key, edgeJson(random)]]);
    case 2:
      return print([
        ...pairs,
        [random.pick(['__proto__', 'constructor', 'id', 'type', 'user', 'since']), edgeJson(random)],
      ]);
    case 3:
      return print([...pairs, [key, random.isOneIn(2) ? value : edgeJson(random)]]);
    case 4:
      return print(without);
    case 5:
      return mutate(random, Buffer.from(text), jsonTokens).toString('latin1');
    default:
      return text;
  }
}

const jsonTokens = ['{', '}', '[', ']', ',', ':', '"', '\\u0000', '\\', '1e999', 'null', '\u0000', '\ufeff'].map(
  (token) => Buffer.from(token),
);
