/**
 * The file HUB_POLL on disk: reads it and checks periodically whether it has changed. Checks `stat` instead of waiting
 * for events: a rename over the file, a bind mount, and a symbolic link that moves to another directory all show in
 * `stat`, but `fs.watch` may miss any of them. Knows no schedule.
 */
import { readFile, stat } from 'node:fs/promises';
import { fail, type Result } from '../../../shared/result.ts';
import { parseTargets, type Target } from './targets.ts';

/** All targets of the file, or a sentence that says what is wrong. */
export type ReadTargets = Result<readonly Target[]>;

export class TargetFile {
  readonly #path: string;
  #print = '';
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> | undefined;
  #isStopped = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads the current file. A problem is a sentence that names HUB_POLL. */
  async read(): Promise<ReadTargets> {
    // Taken before the text, so that a change in between shows as a different print and causes another read.
    this.#print = await this.#takePrint();
    const read = await this.#readText();
    return read.ok ? read : fail(`HUB_POLL is ${JSON.stringify(this.#path)}: ${read.problem}`);
  }

  /** Calls `onRead` each time the file has changed, vanished or come back. */
  watch(everyMs: number, onRead: (read: ReadTargets) => void): void {
    this.#timer = setInterval(() => {
      this.#look ??= this.#lookAgain(onRead).finally(() => {
        this.#look = undefined;
      });
    }, everyMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#look;
  }

  async #lookAgain(onRead: (read: ReadTargets) => void): Promise<void> {
    if ((await this.#takePrint()) === this.#print) return;
    const read = await this.read();
    if (!this.#isStopped) onRead(read);
  }

  async #takePrint(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return codeOf(error);
    }
  }

  async #readText(): Promise<ReadTargets> {
    try {
      return parseTargets(await readFile(this.#path, 'utf8'));
    } catch (error) {
      return fail(`no such file can be read (${codeOf(error)}); give a JSON file of targets`);
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
