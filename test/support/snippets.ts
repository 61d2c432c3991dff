/** The fenced blocks of a document, so that a test runs what a reader copies. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Snippet {
  readonly language: string;
  /** What the block says of itself: ```js file=vite/main.js */
  readonly file: string | undefined;
  /** The last heading above it. */
  readonly heading: string;
  readonly text: string;
}

/** A file of the repository. */
export function readDocument(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
}

/** Those of a file of the repository, in its order. */
export function snippetsOf(path: string): readonly Snippet[] {
  const found: Snippet[] = [];
  let heading = '';
  let block: { language: string; file: string | undefined; lines: string[] } | undefined;
  for (const line of readDocument(path).split('\n')) {
    const fence = /^```(\w*)(?: file=(\S+))?$/.exec(line);
    if (block !== undefined && line === '```') {
      found.push({ language: block.language, file: block.file, heading, text: `${block.lines.join('\n')}\n` });
      block = undefined;
    } else if (block !== undefined) block.lines.push(line);
    else if (fence !== null) block = { language: fence[1] ?? '', file: fence[2], lines: [] };
    else if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
  }
  if (block !== undefined) throw new Error(`${path}: a block has no end`);
  return found;
}

/** The blocks of one language below one heading; it must have some. */
export function snippetsBelow(path: string, heading: string, language: string): readonly string[] {
  const found = snippetsOf(path).filter((snippet) => snippet.heading === heading && snippet.language === language);
  if (found.length === 0) throw new Error(`${path}: no ${language} below "${heading}"`);
  return found.map(({ text }) => text);
}
