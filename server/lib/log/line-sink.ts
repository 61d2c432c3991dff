/**
 * Writes lines to stdout or stderr without waiting for the reader. A reader that pauses gets the lines later. Beyond a
 * bound, lines are dropped and counted. At the exit of the process, pending lines are written for as long as the reader
 * takes them within a short time.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Maximum pending bytes for a reader that does not read. */
export const MAX_WAITING_BYTES = 256 * 1024;
const RETRY_EVERY_MS = 100;
const STEP_MS = 5;

interface LineSinkOptions {
  /** Called when lines are accepted again, with the number of lines dropped since the last call. It may write. */
  readonly onDropped?: (lines: number) => void;
  /**
   * Writes as much as the reader takes now, and returns the number of bytes. @throws EAGAIN if the reader takes none.
   */
  readonly write?: (bytes: Uint8Array) => number;
}

export class LineSink {
  /** Number of dropped lines. */
  dropped = 0;
  readonly #write: (bytes: Uint8Array) => number;
  readonly #onDropped: (lines: number) => void;
  /** Pending bytes. The first chunk may be the rest of a line. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #droppedBefore = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: 1 | 2, { onDropped = () => undefined, write }: LineSinkOptions = {}) {
    const own = openWithoutWaiting(fd);
    this.#write = write ?? ((bytes) => writeSync(own, bytes));
    this.#onDropped = onDropped;
  }

  /** Writes a text that ends with a newline, now or later, or drops it. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES && this.#waitingBytes > 0) {
      this.dropped++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    // While lines are pending, only the timer tries, because a system call per line would be wasted.
    if (this.#timer === undefined) this.#flush();
  }

  /** Writes pending lines for at most this time. Blocks the thread, so it is only for the exit of the process. */
  drain(withinMs: number): void {
    const endsAt = performance.now() + withinMs;
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    while (!this.#flush() && performance.now() < endsAt) Atomics.wait(sleeper, 0, 0, STEP_MS);
  }

  /** @returns whether nothing is pending. */
  #flush(): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#writeWaiting();
    } catch (error) {
      if (isTryLater(error)) {
        this.#timer = setTimeout(() => this.#flush(), RETRY_EVERY_MS).unref();
        return false;
      }
      // The reader is gone, or the disk is full. The next line is tried nevertheless.
      this.dropped += this.#waiting.length;
      this.#waiting = [];
      this.#waitingBytes = 0;
      return true;
    }
    const lines = this.dropped - this.#droppedBefore;
    this.#droppedBefore = this.dropped;
    if (lines > 0) this.#onDropped(lines);
    return this.#waitingBytes === 0;
  }

  #writeWaiting(): void {
    let written = 0;
    try {
      for (const [index, bytes] of this.#waiting.entries()) {
        const taken = this.#write(bytes);
        this.#waitingBytes -= taken;
        if (taken < bytes.length) {
          this.#waiting[index] = bytes.subarray(taken);
          throw Object.assign(new Error('only a part was taken'), { code: 'EAGAIN' });
        }
        written++;
      }
    } finally {
      this.#waiting.splice(0, written);
    }
  }
}

function isTryLater(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'EAGAIN' || code === 'EINTR';
}

/**
 * Opens a separate descriptor that never blocks. The file is opened again because the non-blocking flag is shared by
 * all processes that use the pipe or terminal. A socket cannot be opened again; Node sets the flag on it when
 * `process.stderr` is first used. Files never block.
 */
function openWithoutWaiting(fd: number): number {
  try {
    if (!isatty(fd) && !fstatSync(fd).isFIFO()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
