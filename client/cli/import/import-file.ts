/**
 * `presence-hub friends import FILE.csv`: streams an existing graph into the hub and shows the progress. A bad line is
 * named, counted and skipped. An import that was interrupted can simply be run again, because accepted edges stay and a
 * second import of them changes nothing.
 */
import { open } from 'node:fs/promises';
import { ok, fail, type Result } from '../../../shared/result.ts';
import type { HubAccess } from '../hub/access.ts';
import { describeError } from '../hub/address.ts';
import { EdgeLines, type BadLine } from './edge-lines.ts';
import { ImportPoster } from './import-poster.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, exitWith, say, type Io } from '../terminal/io.ts';
import { groupDigits, writeProgress, type ProgressWriter } from './progress.ts';
import { harmless } from '../terminal/terminal-text.ts';

const MAX_BAD_LINES_SHOWN = 20;

interface ImportOrder {
  /** A path, or `-` for standard input. */
  readonly file: string;
  readonly isOneway: boolean;
  readonly access: HubAccess;
}

export async function importFile({ file, isOneway, access }: ImportOrder, io: Io): Promise<number> {
  const source = await openSource(file, io);
  if (!source.ok) return exitWith(io, source.problem, EXIT_USAGE);
  const { bytes, totalBytes } = source.value;
  const startedAtMs = performance.now();
  const elapsedMs = () => performance.now() - startedAtMs;
  const reader = { lines: new EdgeLines(), doneBytes: 0 };
  const { interrupted } = io;
  const progress = writeProgress(io.stderr, () => ({
    doneBytes: reader.doneBytes,
    totalBytes,
    pairs: poster.takenPairs,
    elapsedMs: elapsedMs(),
  }));
  const bad = new BadLines(progress);
  const poster = new ImportPoster({ access, isOneway, interrupted, onBad: (line) => bad.add(line) });
  let problem: string | undefined;
  try {
    await postAll(stopAt(bytes, interrupted), reader, poster, bad);
  } catch (error) {
    problem = `FILE is ${file}: ${describeError(error)} after line ${reader.lines.count}`;
  }
  await poster.finish();
  progress.close();
  bad.close(io);
  const counts = [
    `${groupDigits(reader.lines.count)} lines`,
    `${groupDigits(poster.takenPairs)} pairs`,
    isOneway ? `${groupDigits(poster.added)} added` : `${groupDigits(Math.ceil(poster.added / 2))} friendships added`,
    `${groupDigits(bad.count)} bad lines`,
    `${(elapsedMs() / 1000).toFixed(1)} s`,
  ];
  say(io, counts.join(', '));
  problem ??= poster.problem;
  if (problem !== undefined) return exitWith(io, harmless(problem));
  if (interrupted.aborted) return exitWith(io, 'interrupted: run it again to go on', EXIT_INTERRUPTED);
  return bad.count === 0 ? EXIT_OK : EXIT_FAILED;
}

interface Reader {
  readonly lines: EdgeLines;
  doneBytes: number;
}

async function postAll(
  bytes: AsyncIterable<Uint8Array | string>,
  reader: Reader,
  poster: ImportPoster,
  bad: BadLines,
): Promise<void> {
  const decoder = new TextDecoder();
  const take = async ({ edges, bad: found }: ReturnType<EdgeLines['read']>) => {
    for (const line of found) bad.add(line);
    await poster.add(edges);
  };
  for await (const piece of bytes) {
    reader.doneBytes += piece.length;
    await take(reader.lines.read(typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true })));
    if (poster.problem !== undefined) return;
  }
  await take(reader.lines.end());
}

interface Source {
  readonly bytes: AsyncIterable<Uint8Array | string>;
  readonly totalBytes: number | undefined;
}

async function openSource(file: string, io: Io): Promise<Result<Source>> {
  if (file === '-') return ok({ bytes: io.stdin, totalBytes: undefined });
  try {
    const handle = await open(file);
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      await handle.close();
      return fail(`FILE is ${JSON.stringify(file)}: that is a directory`);
    }
    return ok({
      bytes: handle.createReadStream({ highWaterMark: 256 * 1024 }),
      totalBytes: stats.isFile() ? stats.size : undefined,
    });
  } catch (error) {
    return fail(`FILE is ${JSON.stringify(file)}: ${describeError(error)}`);
  }
}

/** Ends reading at Ctrl-C, even if standard input is silent. */
async function* stopAt<T>(source: AsyncIterable<T>, interrupted: AbortSignal): AsyncGenerator<T> {
  const stopped = new Promise<{ done: true }>((resolve) =>
    interrupted.addEventListener('abort', () => resolve({ done: true })),
  );
  const iterator = source[Symbol.asyncIterator]();
  while (!interrupted.aborted) {
    const next = await Promise.race([iterator.next(), stopped]);
    if (next.done === true) return;
    yield next.value;
  }
}

class BadLines {
  readonly #progress: ProgressWriter;
  #count = 0;

  constructor(progress: ProgressWriter) {
    this.#progress = progress;
  }

  get count(): number {
    return this.#count;
  }

  add({ line, problem }: BadLine): void {
    this.#count += 1;
    if (this.#count <= MAX_BAD_LINES_SHOWN) this.#progress.line(`line ${line}: ${harmless(problem)}`);
  }

  close(io: Io): void {
    const hidden = this.#count - MAX_BAD_LINES_SHOWN;
    if (hidden > 0) io.stderr.write(`… and ${groupDigits(hidden)} more bad lines\n`);
  }
}
