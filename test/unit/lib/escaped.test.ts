import { expect, it } from 'vitest';
import { escaped } from '../../../server/lib/log/escaped.ts';

it.each([
  ['plain text, 中文 and emoji 🌱', 'plain text, 中文 and emoji 🌱'],
  ['a\0b\r\n\u001b[31m', 'a\\u{0}b\\u{d}\\u{a}\\u{1b}[31m'],
  ['\u202eabc\u2066', '\\u{202e}abc\\u{2066}'],
  ['half \ud83d', 'half \\u{d83d}'],
  ['\\u{0}', '\\u{5c}u{0}'],
  ['x'.repeat(100), 'x'.repeat(64)],
  ['\0'.repeat(100), '\\u{0}'.repeat(12)],
  ['<token>eyJhbGciOiJIUzI1NiJ9.e30.x', '<token>'],
])('%j is shown as %j', (text, shown) => {
  expect(escaped(text)).toBe(shown);
});
