/**
 * The times in which one connection was not read: their total, and the part that has been made up for because all
 * delayed bytes have been read. A lease stands still for the rest. Pure: the arguments are monotonic milliseconds and
 * the number of the listener's last tick. Between two ticks the loop has served every socket.
 */

/** After this many ticks of free reading, nothing of the connection waits. */
const FREE_TICKS = 2;
/**
 * More than the buffers of both ends hold. Once this many bytes have been read, everything sent before has arrived.
 * Linux lets the buffers grow to 6 and 4 MiB.
 */
const BUFFERS_BYTES = 16 * 1024 * 1024;

export class ReadPauses {
  readonly #maxRoundMs: number;
  /** Start of the current pause; Infinity while the connection is read. */
  #since = Infinity;
  /** Total of all finished pauses. */
  #overMs = 0;
  /** The total when last nothing waited. Pauses after that form one row. */
  #rowFromMs = 0;
  /** Start of the current free reading. */
  #freeAt = 0;
  #freeTickNo = 0;
  #madeUpMs = 0;
  /** The total that will be made up for at `#nextAt`. */
  #nextMs = 0;
  #nextAt = 0;
  /** Bytes read since the last mark, the total at that mark, and the total at the mark before it. */
  #readBytes = 0;
  #markMs = 0;
  #readBackMs = 0;

  /**
   * `maxRoundMs`: maximum time in which a client that could not send gets to every one of its users again. It
   * is never longer than the client had to wait.
   */
  constructor(maxRoundMs: number) {
    this.#maxRoundMs = maxRoundMs;
  }

  get isPaused(): boolean {
    return this.#since !== Infinity;
  }

  begin(monoMs: number, tickNo: number): void {
    this.#settle(monoMs, tickNo);
    this.#since = monoMs;
  }

  end(monoMs: number, tickNo: number): void {
    this.#overMs += monoMs - this.#since;
    this.#since = Infinity;
    this.#isFreeFrom(monoMs, tickNo);
  }

  /** Records that more bytes may wait in the kernel, because this many arrived at once. */
  stillBehind(monoMs: number, tickNo: number): void {
    this.#settle(monoMs, tickNo);
    this.#isFreeFrom(monoMs, tickNo);
  }

  /**
   * Records bytes that were read. A sender over its rate for hours is paused for hours, but a user that it no longer
   * sends must not stay online that long. No byte is further behind than the buffers of both ends.
   */
  received(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#readBytes < BUFFERS_BYTES) return;
    this.#readBytes = 0;
    this.#readBackMs = this.#markMs;
    this.#markMs = this.#overMs;
  }

  /** Total of all pauses until now. */
  totalMs(monoMs: number): number {
    return this.isPaused ? this.#overMs + monoMs - this.#since : this.#overMs;
  }

  /** The part of the total that was over when last everything sent had been read. */
  madeUpMs(monoMs: number, tickNo: number): number {
    this.#settle(monoMs, tickNo);
    return Math.max(this.#madeUpMs, this.#readBackMs);
  }

  #isFreeFrom(monoMs: number, tickNo: number): void {
    this.#freeAt = monoMs;
    this.#freeTickNo = tickNo;
  }

  #settle(monoMs: number, tickNo: number): void {
    // Before another row replaces it.
    if (monoMs >= this.#nextAt) this.#madeUpMs = this.#nextMs;
    const rowMs = this.#overMs - this.#rowFromMs;
    if (rowMs > 0 && !this.isPaused && tickNo >= this.#freeTickNo + FREE_TICKS) {
      this.#rowFromMs = this.#overMs;
      this.#nextMs = this.#overMs;
      this.#nextAt = Math.max(this.#nextAt, this.#freeAt + Math.min(rowMs, this.#maxRoundMs));
    }
    if (monoMs >= this.#nextAt) this.#madeUpMs = this.#nextMs;
  }
}
