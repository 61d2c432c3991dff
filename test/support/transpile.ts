/**
 * Transpiles a source and everything it imports to JavaScript in a temporary folder, so that a test can run it in a
 * separate process without a build, also on a Node.js that cannot read TypeScript. Checks no types.
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
