/**
 * Turns a source and all that it imports into JavaScript in a folder of its own, so that a test can run it in a process
 * of its own on a Node that reads no TypeScript, without a build. Checks no types. Called by tests that kill a child.
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface Transpiled {
  /** The JavaScript of the source that was asked for. */
  readonly file: string;
  remove(): void;
}

/** `source` is relative to the repository. */
export function transpile(source: string): Transpiled {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hub-transpiled-')));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  const seen = new Set([source]);
  // A set yields what is added to it while it is walked.
  for (const path of seen) {
    const text = readFileSync(join(repository, path), 'utf8');
    for (const { fileName } of ts.preProcessFile(text).importedFiles) {
      if (fileName.startsWith('.')) seen.add(posix.join(posix.dirname(path), fileName));
    }
    const output = join(folder, toJs(path));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, ts.transpileModule(text, { compilerOptions }).outputText);
  }
  return { file: join(folder, toJs(source)), remove: () => rmSync(folder, { recursive: true }) };
}

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

function toJs(path: string): string {
  return path.replace(/\.ts$/, '.js');
}
