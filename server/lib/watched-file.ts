/**
 * A file that a setting names and that may change while the hub runs: reads it and checks periodically whether it has
 * changed. Checks `stat` instead of waiting for events: a rename over the file, a bind mount, and a symbolic link that
 * moves to another directory all show in `stat`, but `fs.watch` may miss any of them. Must not know what the file means.
 */
import { readFile, stat } from 'node:fs/promises';
import { fail, type Result } from '../../shared/result.ts';
import { readRegularFile } from './regular-file.ts';

export interface WatchedFileOptions<T> {
  readonly setting: string;
  readonly path: string;
  /** What the file must be, for the message if there is none: `a JSON file of targets`. */
  readonly form: string;
  readonly parse: (text: string) => Result<T>;
}

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  #print = '';
  #timer: NodeJS.Timeout | undefined;
  #check: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: WatchedFileOptions<T>) {
    this.#options = options;
  }

  /** Reads the file at the start. A problem is a sentence that names the setting. */
  read(): Promise<Result<T>> {
    return this.#read(readFile);
  }

  async #read(readBytes: (path: string) => Promise<Buffer>): Promise<Result<T>> {
    const { setting, path } = this.#options;
    // Taken before the text, so that a change in between shows as a different print and causes another read.
    this.#print = await this.#takePrint();
    const read = await this.#readText(readBytes);
    return read.ok ? read : fail(`${setting} is ${JSON.stringify(path)}: ${read.problem}`);
  }

  /** Calls `onRead` each time the file has changed, vanished or come back. */
  watch(everyMs: number, onRead: (read: Result<T>) => void): void {
    this.#timer = setInterval(() => {
      this.#check ??= this.#checkAgain(onRead).finally(() => {
        this.#check = undefined;
      });
    }, everyMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#check;
  }

  async #checkAgain(onRead: (read: Result<T>) => void): Promise<void> {
    if ((await this.#takePrint()) === this.#print) return;
    const read = await this.#read(readRegularFile);
    if (!this.#isStopped) onRead(read);
  }

  async #takePrint(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#options.path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return codeOf(error);
    }
  }

  async #readText(readBytes: (path: string) => Promise<Buffer>): Promise<Result<T>> {
    const { path, form, parse } = this.#options;
    try {
      return parse((await readBytes(path)).toString('utf8'));
    } catch (error) {
      return fail(`the file cannot be read (${codeOf(error)}); give ${form}`);
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));
}
