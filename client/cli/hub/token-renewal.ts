/**
 * Renewal of tokens that expire and are replaced in a file: reads the next one before the current one expires, and
 * limits how long to wait for a late one. Opens no connection.
 */
import { expiryOf, type TokenSource } from './token.ts';

const LOOK_EVERY_MS = 30_000;
const LOOK_AT_MOST_EVERY_MS = 1_000;
const FRESH_WITHIN_MS = 60_000;

/**
 * Passes each new token in the file to a callback, well before the current one expires. Does nothing if a token has no
 * known expiry.
 */
export class TokenRenewal {
  readonly #source: TokenSource;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** Starts to watch for a replacement of this token. `stop` ends that. */
  start(token: string | undefined, onFresh: (token: string) => void): void {
    this.stop();
    if (this.#source.kind !== 'file' || token === undefined) return;
    const expiresAt = expiryOf(token);
    if (expiresAt === undefined) return;
    // Half of the remaining time, so that short-lived tokens are renewed in time too.
    const untilHalfMs = (expiresAt - Date.now()) / 2;
    const waitMs = Math.max(LOOK_AT_MOST_EVERY_MS, Math.min(LOOK_EVERY_MS, untilHalfMs));
    this.#nextLook = setTimeout(() => this.#look(token, onFresh), waitMs);
  }

  stop(): void {
    clearTimeout(this.#nextLook);
  }

  #look(token: string, onFresh: (token: string) => void): void {
    const read = this.#source.read();
    // A file that is being replaced is readable again at the next check.
    const found = read.ok && read.value !== undefined ? read.value : token;
    this.start(found, onFresh);
    if (found !== token) onFresh(found);
  }
}

/**
 * Decides how long to keep trying if the hub refuses a file's token that it accepted before: its replacement may be a
 * little late.
 */
export class FreshTokenWait {
  readonly #source: TokenSource;
  #wasTaken = false;
  #refusedAtMs: number | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  taken(): void {
    this.#wasTaken = true;
    this.#refusedAtMs = undefined;
  }

  /** Records that the hub refused the token. @returns whether to read the file again; false means to give up. */
  refused(): boolean {
    if (this.#source.kind !== 'file' || !this.#wasTaken) return false;
    this.#refusedAtMs ??= performance.now();
    return performance.now() - this.#refusedAtMs < FRESH_WITHIN_MS;
  }
}
