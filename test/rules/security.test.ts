/** SECURITY.md lists every limit with its setting and its test: both must exist. */
import { expect, test } from 'vitest';
import { settingNames } from '../../server/config/settings.ts';
import { readDocument } from '../support/snippets.ts';
import { filesIn } from './sources.ts';

const rows = readDocument('SECURITY.md')
  .split('\n## ')
  .filter((section) => section.startsWith('Limits\n'))
  .flatMap((section) => section.split('\n'))
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

const codesIn = (cell = ''): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code]) => code ?? '');

test('each limit in SECURITY.md names an existing test, or has that of the one above', () => {
  expect(rows.length).toBeGreaterThan(40);
  const tests = new Set(filesIn('test'));
  const missing = rows.flatMap((cells) => {
    const named = codesIn(cells.at(-1));
    if (named.length === 0) return cells.at(-1) === 'the same' ? [] : [`no test of: ${cells[0] ?? ''}`];
    return named.filter((name) => !tests.has(`test/${name}.ts`) && !tests.has(`test/${name}.test.ts`));
  });
  expect(missing).toEqual([]);
});

test('each setting in the limits of SECURITY.md exists', () => {
  const named = rows.flatMap((cells) => codesIn(cells[2]));
  expect(named.filter((name) => !(settingNames as readonly string[]).includes(name))).toEqual([]);
});
