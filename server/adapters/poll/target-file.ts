/**
 * The file HUB_POLL on disk: reads it, and looks once a second whether it became another one. It asks for the file's
 * state instead of waiting for events: a rename over the file, a bind mount and a symbolic link that is moved to another
 * directory all show in a `stat`, and none of them surely in `fs.watch`. Knows no schedule; the poller calls it.
 */
import { readFile, stat } from 'node:fs/promises';
import { fail, type Result } from '../../lib/result.ts';
import { parseTargets, type Target } from './targets.ts';

/** All targets of the file, or a sentence. */
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

  /** The file as it is now; a problem is a sentence that names HUB_POLL. */
  async read(): Promise<ReadTargets> {
    // Before the text: what changes in between is seen as another print, and read again.
    this.#print = await this.#takePrint();
    const read = await this.#readText();
    return read.ok ? read : fail(`HUB_POLL is ${JSON.stringify(this.#path)}: ${read.problem}`);
  }

  /** Calls `onRead` whenever the file has become another one, or has vanished or come back. */
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
