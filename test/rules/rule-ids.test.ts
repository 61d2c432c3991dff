/** Every rule of shared/PROTOCOL.md is quoted in the title of a test that checks it, as in `(L3)` or `(L3, W12)`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Rules that no test can check, each with the reason. */
const untestable: Readonly<Record<string, string>> = {};

const rules = [
  ...readFileSync(join(repository, 'shared/PROTOCOL.md'), 'utf8').matchAll(/^- \*\*([A-Z]\d+)\*\* /gm),
].map(([, id = '']) => id);

const sources = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => readFileSync(join(repository, 'test', path), 'utf8'));
const quoted = new Set(sources.flatMap(idsQuotedIn));

test('gives each rule an id of its own', () => {
  expect(new Set(rules).size).toBe(rules.length);
});

test('quotes every rule in a title, except those that no test can check', () => {
  expect(rules.length).toBeGreaterThan(170);
  expect(rules.filter((id) => !quoted.has(id))).toEqual(Object.keys(untestable));
});

test('quotes no rule that does not exist', () => {
  expect([...quoted].filter((id) => !rules.includes(id))).toEqual([]);
});

describe('a quoted rule', () => {
  test.each([
    [`test('expires (L3)', run);`, ['L3']],
    [`it.each([[1, '(L4)']])('expires: %s (L3, W12)', run);`, ['L3', 'W12']],
    ['describe(`after ${ms} ms (L3)`, run);', ['L3']],
    [`describe('TLS (HS256)', run);`, []],
    [`say('expires (L3)', run); // test('expires (L3)')`, []],
  ])('is found in a title only: %s', (source, ids) => {
    expect(idsQuotedIn(source)).toEqual(ids);
  });
});

function idsQuotedIn(source: string): readonly string[] {
  const ids: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ['test', 'it', 'describe'].includes(calledName(node.expression))) {
      const [argument] = node.arguments;
      const isTitle = argument && (ts.isStringLiteralLike(argument) || ts.isTemplateExpression(argument));
      const title = isTitle ? argument.getText() : '';
      for (const [, list = ''] of title.matchAll(/\(([A-Z]\d{1,2}(?:, [A-Z]\d{1,2})*)\)/g))
        ids.push(...list.split(', '));
    }
    ts.forEachChild(node, visit);
  };
  // Parsing takes most of the time, so sources that quote nothing are not parsed.
  if (/\([A-Z]\d/.test(source)) visit(ts.createSourceFile('', source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX));
  return ids;
}

/** The `it` of `it.each([…])('title', …)`. */
function calledName(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) return calledName(callee.expression);
  return ts.isTaggedTemplateExpression(callee) ? calledName(callee.tag) : '';
}
