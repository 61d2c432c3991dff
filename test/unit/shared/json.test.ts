/** JSON of strangers: what nests too deep is not parsed, and nothing else is turned down for it. */
import { expect, test, vi } from 'vitest';
import { MAX_JSON_DEPTH, parseFields, parseJson } from '../../../shared/messages/json.ts';

const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth);
const long = JSON.stringify('x'.repeat(3000));

test.each([
  ['lists', nested(131_000)],
  ['objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
  ['both', `${'{"a":['.repeat(30_000)}${']}'.repeat(30_000)}`],
  ['what never ends', '['.repeat(262_144)],
  ['one level too many', `[${long},${nested(MAX_JSON_DEPTH)}]`],
])('deep nesting of %s never reaches the parser (W1)', (_, json) => {
  const parse = vi.spyOn(JSON, 'parse');
  expect(parseJson(json)).toBeUndefined();
  expect(parse).not.toHaveBeenCalled();
  parse.mockRestore();
});

test.each([
  ['nesting up to the limit', `[${long},${nested(MAX_JSON_DEPTH - 1)}]`],
  ['many lists beside each other', `[${'[],'.repeat(10_000)}{}]`],
  ['brackets in strings', JSON.stringify({ a: '[{'.repeat(5000), b: '\\"['.repeat(5000) })],
  ['names with brackets', JSON.stringify(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`[{${n}`, n])))],
])('%s is read', (_, json) => {
  expect(parseJson(json)).toEqual(JSON.parse(json));
});

test('text that is no JSON is undefined, long or short', () => {
  for (const json of ['', '[', '"', `"${'x'.repeat(3000)}`, `"${'\\'.repeat(3001)}`, `]${' '.repeat(3000)}`]) {
    expect(parseJson(json)).toBeUndefined();
  }
});

test('__proto__ and a field given twice change nothing but that field', () => {
  const fields = parseFields('{"__proto__":{"type":"bye"},"user":"1","user":"2"}');
  expect(fields?.['type']).toBeUndefined();
  expect(fields?.['user']).toBe('2');
  expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
  expect(({} as Record<string, unknown>)['type']).toBeUndefined();
});
