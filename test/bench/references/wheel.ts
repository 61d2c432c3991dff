/**
 * The minimum that a hub of gateways must do: finds each frame's user by its tags, records its heartbeat, and checks
 * silent users with a wheel of 50 ms. No status, no validation, no notification.
 */
interface Beating {
  beatAt: number;
}

const OPENING = Buffer.from('<user_id>');
const CLOSING = Buffer.from('</user_id>');
const END = Buffer.from('</protocol>');
const TICK_MS = 50;
const SLOTS = 4096;
const TIMEOUT_MS = 50_000;

export class Wheel {
  heartbeats = 0;
  readonly #users = new Map<string, Beating>();
  readonly #slots: Beating[][] = Array.from({ length: SLOTS }, () => []);
  #tick = 0;
  #now = Date.now();

  start(): void {
    setInterval(() => {
      this.#now = Date.now();
      const due = this.#slots[this.#tick % SLOTS] ?? [];
      this.#slots[this.#tick % SLOTS] = [];
      this.#tick += 1;
      for (const user of due) if (user.beatAt + TIMEOUT_MS > this.#now) this.#schedule(user);
    }, TICK_MS);
  }

  /**
   * @returns what takes a connection's bytes: a buffer that the next read writes over, and how many of it are valid.
   */
  reader(): (bytes: Buffer, length: number) => void {
    let rest: Buffer | undefined;
    return (read, length) => {
      const bytes = rest === undefined ? read.subarray(0, length) : Buffer.concat([rest, read.subarray(0, length)]);
      let at = 0;
      for (let end = bytes.indexOf(END); end >= 0; end = bytes.indexOf(END, at)) {
        const from = bytes.indexOf(OPENING, at) + OPENING.length;
        this.#beat(bytes.toString('latin1', from, bytes.indexOf(CLOSING, from)));
        at = end + END.length;
      }
      rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
    };
  }

  #beat(id: string): void {
    this.heartbeats += 1;
    const user = this.#users.get(id);
    if (user === undefined) {
      const begun = { beatAt: this.#now };
      this.#users.set(id, begun);
      this.#schedule(begun);
    } else {
      user.beatAt = this.#now;
    }
  }

  #schedule(user: Beating): void {
    const ticks = Math.max(1, Math.ceil((user.beatAt + TIMEOUT_MS - this.#now) / TICK_MS));
    this.#slots[(this.#tick + ticks) % SLOTS]?.push(user);
  }
}
