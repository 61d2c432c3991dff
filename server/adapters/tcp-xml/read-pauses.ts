/**
 * The pauses of one connection, in which it was not read: how long they were in all, and how much of that is made up for,
 * since all that waited has been heard. A lease stands still for the rest. Pure: instants are arguments, monotonic
 * milliseconds, and so is the number of the listener's last look: between two looks the loop has seen to every socket.
 * Owned by a connection's reading.
 */

/** Read freely for so many looks, a connection has nothing left that waits. */
const FREE_LOOKS = 2;
/**
 * More than the buffers of both ends hold, so that all that was sent before has been heard once as much was read. (Linux
 * lets them grow to 6 and 4 MiB.)
 */
const BUFFERS_BYTES = 16 * 1024 * 1024;

export class ReadPauses {
  readonly #comesRoundWithinMs: number;
  /** Infinity while it is read. */
  #since = Infinity;
  /** All that are over. */
  #overMs = 0;
  /** What of that was over when nothing waited any more: pauses behind it make a row. */
  #rowFromMs = 0;
  /** Since when it is read freely. */
  #freeAt = 0;
  #freeLook = 0;
  #madeUpMs = 0;
  /** What will be made up for at `#nextAt`. */
  #nextMs = 0;
  #nextAt = 0;
  /** Bytes heard since the last mark, the total at that mark, and at the one before. */
  #heardBytes = 0;
  #markMs = 0;
  #heardMs = 0;

  /**
   * `comesRoundWithinMs`: a client that could not send, since nobody read, needs no longer than this until every user of it
   * has had its turn; nor longer than it had to wait.
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

  /** So much came at once that more may wait in the kernel. */
  stillBehind(monoMs: number, look: number): void {
    this.#settle(monoMs, look);
    this.#isFreeFrom(monoMs, look);
  }

  /**
   * So many bytes were read. A sender that is over its rate for hours is paused for hours, and what it does not send must
   * not live for as long: nothing that was sent is further behind than the buffers of both ends.
   */
  heard(bytes: number): void {
    this.#heardBytes += bytes;
    if (this.#heardBytes < BUFFERS_BYTES) return;
    this.#heardBytes = 0;
    this.#heardMs = this.#markMs;
    this.#markMs = this.#overMs;
  }

  /** Of all pauses up to now. */
  totalMs(monoMs: number): number {
    return this.isPaused ? this.#overMs + monoMs - this.#since : this.#overMs;
  }

  /** So much of the total was over by the time when last all was heard that had been sent, however late. */
  madeUpMs(monoMs: number, look: number): number {
    this.#settle(monoMs, look);
    return Math.max(this.#madeUpMs, this.#heardMs);
  }

  #isFreeFrom(monoMs: number, look: number): void {
    this.#freeAt = monoMs;
    this.#freeLook = look;
  }

  #settle(monoMs: number, look: number): void {
    // Before another row takes its place.
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
