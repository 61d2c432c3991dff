/**
 * The times in which one connection was not read: their total, and the part that has been made up for because all
 * delayed bytes have been read. A lease stands still for the rest. Pure: the arguments are monotonic milliseconds and
 * the number of the listener's last tick. Between two ticks the loop has served every socket.
 */

/** After this many ticks of free reading, nothing of the connection waits. */
const FREE_LOOKS = 2;
/**
 * More than the buffers of both ends hold. Once this many bytes have been read, everything sent before has arrived.
 * Linux lets the buffers grow to 6 and 4 MiB.
 */
const BUFFERS_BYTES = 16 * 1024 * 1024;

export class ReadPauses {
  readonly #comesRoundWithinMs: number;
  /** Start of the current pause; Infinity while the connection is read. */
  #since = Infinity;
  /** Total of all finished pauses. */
  #overMs = 0;
  /** The total when last nothing waited. Pauses after that form one row. */
  #rowFromMs = 0;
  /** Start of the current free reading. */
  #freeAt = 0;
  #freeLook = 0;
  #madeUpMs = 0;
  /** The total that will be made up for at `#nextAt`. */
  #nextMs = 0;
  #nextAt = 0;
  /** Bytes read since the last mark, the total at that mark, and the total at the mark before it. */
  #heardBytes = 0;
  #markMs = 0;
  #heardMs = 0;

  /**
   * `comesRoundWithinMs`: maximum time in which a client that could not send gets to every one of its users again. It
   * is never longer than the client had to wait.
   */
  constructor(comesRoundWithinMs: number) {
    this.#comesRoundWithinMs = comesRoundWithinMs;
  }

  get isPaused(): boolean {
    return this.#since !== Infinity;
  }

  begin(monoMs: number, look: number): void {
    this.#settle(monoMs, look);
    this.#since = monoMs;
  }

  end(monoMs: number, look: number): void {
    this.#overMs += monoMs - this.#since;
    this.#since = Infinity;
    this.#isFreeFrom(monoMs, look);
  }

  /** Records that more bytes may wait in the kernel, because this many arrived at once. */
  stillBehind(monoMs: number, look: number): void {
    this.#settle(monoMs, look);
    this.#isFreeFrom(monoMs, look);
  }

  /**
   * Records bytes that were read. A sender over its rate for hours is paused for hours, but a user that it no longer
   * sends must not stay online that long. No byte is further behind than the buffers of both ends.
   */
  heard(bytes: number): void {
    this.#heardBytes += bytes;
    if (this.#heardBytes < BUFFERS_BYTES) return;
    this.#heardBytes = 0;
    this.#heardMs = this.#markMs;
    this.#markMs = this.#overMs;
  }

  /** Total of all pauses until now. */
  totalMs(monoMs: number): number {
    return this.isPaused ? this.#overMs + monoMs - this.#since : this.#overMs;
  }

  /** The part of the total that was over when last everything sent had been read. */
  madeUpMs(monoMs: number, look: number): number {
    this.#settle(monoMs, look);
    return Math.max(this.#madeUpMs, this.#heardMs);
  }

  #isFreeFrom(monoMs: number, look: number): void {
    this.#freeAt = monoMs;
    this.#freeLook = look;
  }

  #settle(monoMs: number, look: number): void {
    // Before another row replaces it.
    if (monoMs >= this.#nextAt) this.#madeUpMs = this.#nextMs;
    const rowMs = this.#overMs - this.#rowFromMs;
    if (rowMs > 0 && !this.isPaused && look >= this.#freeLook + FREE_LOOKS) {
      this.#rowFromMs = this.#overMs;
      this.#nextMs = this.#overMs;
      this.#nextAt = Math.max(this.#nextAt, this.#freeAt + Math.min(rowMs, this.#comesRoundWithinMs));
    }
    if (monoMs >= this.#nextAt) this.#madeUpMs = this.#nextMs;
  }
}
