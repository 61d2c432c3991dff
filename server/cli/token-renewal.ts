/**
 * Tokens that run out, where a file gets fresh ones: looks for the next one before the last has run out, and says how long
 * to wait for one that is late. Opens no connection. Called by whatever keeps one, or asks again and again.
 */
import { expiryOf, type TokenSource } from './token.ts';

const LOOK_EVERY_MS = 30_000;
const LOOK_AT_MOST_EVERY_MS = 1_000;
const FRESH_WITHIN_MS = 60_000;

/** Hands over what the file newly holds, once, well before the token in use runs out; where that one says when. */
export class TokenRenewal {
  readonly #source: TokenSource;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** From now on this one is in use, on one connection; `stop` ends that. */
  start(token: string | undefined, onFresh: (token: string) => void): void {
    this.stop();
    if (this.#source.kind !== 'file' || token === undefined) return;
    const expiresAt = expiryOf(token);
    if (expiresAt === undefined) return;
    // Half of what is left: a token of a minute is looked after as well as one of a day.
    const untilHalfMs = (expiresAt - Date.now()) / 2;
    const waitMs = Math.max(LOOK_AT_MOST_EVERY_MS, Math.min(LOOK_EVERY_MS, untilHalfMs));
    this.#nextLook = setTimeout(() => this.#look(token, onFresh), waitMs);
  }

  stop(): void {
    clearTimeout(this.#nextLook);
  }

  #look(token: string, onFresh: (token: string) => void): void {
    const read = this.#source.read();
    // A file that is just being replaced is there again at the next look.
    const found = read.ok && read.value !== undefined ? read.value : token;
    this.start(found, onFresh);
    if (found !== token) onFresh(found);
  }
}

/** How long to go on with a file whose token the hub has taken once and now refuses: the fresh one may be a little late. */
export class FreshTokenWait {
  readonly #source: TokenSource;
  #wasTaken = false;
  #refusedAtMs: number | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** The hub took the token. */
  taken(): void {
    this.#wasTaken = true;
    this.#refusedAtMs = undefined;
  }

  /** The hub refused it. @returns whether to look into the file again, or to give up. */
  refused(): boolean {
    if (this.#source.kind !== 'file' || !this.#wasTaken) return false;
    this.#refusedAtMs ??= performance.now();
    return performance.now() - this.#refusedAtMs < FRESH_WITHIN_MS;
  }
}
