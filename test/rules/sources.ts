/** The sources that the rules judge: every TypeScript file of server/, client/ and shared/. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Every file below the top folders, relative to the repository. */
export function filesIn(...tops: readonly string[]): string[] {
  return tops.flatMap((top) =>
    readdirSync(join(repository, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => posix.relative(repository, join(entry.parentPath, entry.name))),
  );
}

export function readSource(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

/** The sources of this repository that a source imports in any way, type imports included. */
export function importedBy(path: string, text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(dirname(path), fileName));
}
