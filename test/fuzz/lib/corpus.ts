/**
 * What mutation starts from: the golden frames of the tests, and the files of test/fuzz/corpus, where interesting inputs
 * are kept. Read once by the fuzzer.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../bench/lib/places.ts';

export interface Corpus {
  readonly frames: readonly Buffer[];
  /** JSON messages, one a line in their files. */
  readonly messages: readonly string[];
  readonly requests: readonly Buffer[];
}

const LARGEST_SEED_BYTES = 1024;

export function readCorpus(): Corpus {
  const corpus = join(root, 'test/fuzz/corpus');
  const frames = [...filesOf(join(root, 'test/golden/frames'), '.frame'), ...filesOf(join(corpus, 'tcp'), '.frame')];
  return {
    frames: frames.filter(({ length }) => length <= LARGEST_SEED_BYTES),
    messages: filesOf(join(corpus, 'ws'), '.jsonl').flatMap((file) => file.toString().split('\n').filter(Boolean)),
    // Kept with line ends of one character, as an editor saves them.
    requests: filesOf(join(corpus, 'http'), '.request').map((file) => crlf(file.toString('latin1'))),
  };
}

function filesOf(folder: string, ending: string): Buffer[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  return names.sort().map((name) => readFileSync(join(folder, name)));
}

function crlf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
}
