/**
 * The app's tokens: requests one, and a fresh one before it expires if it is a JWT with `exp`. Verifies none. Loaded
 * only if the app gives tokens.
 */
import { PresenceError } from '../error.ts';
import type { GetToken } from '../types.ts';

/** Renew a minute before expiry, or after four fifths of the remaining time for tokens that live shorter. */
const AHEAD_MS = 60_000;
/** The delay after the app failed to give a token. */
const AGAIN_MS = 10_000;
/** Browsers run a longer timer at once. */
const LONGEST_MS = 2 ** 31 - 1;

export class Tokens {
  readonly #getToken: GetToken;
  readonly #onFresh: (token: string) => void;
  readonly #onError: (error: PresenceError) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last: string | undefined;
  /** Answers to requests before the last `stop` are ignored. */
  #no = 0;

  constructor(getToken: GetToken, onFresh: (token: string) => void, onError: (error: PresenceError) => void) {
    this.#getToken = onceAtATime(getToken);
    this.#onFresh = onFresh;
    this.#onError = onError;
  }

  /** Resolves to null if the app fails to give a token. */
  async give(refresh: boolean): Promise<string | null> {
    const no = this.#no;
    try {
      const token = await this.#getToken({ refresh });
      this.#renewIn(no, refreshInMs(token, Date.now()));
      return (this.#last = token);
    } catch (error) {
      this.#onError(new PresenceError('unauthenticated', `getToken failed: ${String(error)}`));
      this.#renewIn(no, AGAIN_MS);
      return null;
    }
  }

  stop(): void {
    this.#no++;
    clearTimeout(this.#timer);
  }

  #renewIn(no: number, ms: number): void {
    if (no !== this.#no || !(ms > 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        const last = this.#last;
        void this.give(true).then((token) => {
          if (no === this.#no && token !== null && token !== last) this.#onFresh(token);
        });
      },
      Math.min(ms, LONGEST_MS),
    );
  }
}

/** Returns milliseconds from now. The result is not above 0 if the expiry is unknown, or has passed by this clock. */
export function refreshInMs(token: string, nowMs: number): number {
  try {
    const payload = token.split('.')[1] ?? '';
    const claims = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { exp?: unknown };
    const leftMs = Number(claims.exp) * 1000 - nowMs;
    return Math.max(leftMs - AHEAD_MS, leftMs * 0.8);
  } catch {
    return 0;
  }
}

/**
 * Calls `getToken` only once at a time: a slow answer would never be used if each attempt to connect made another call.
 */
export function onceAtATime(getToken: GetToken): (why: { readonly refresh: boolean }) => Promise<string> {
  let inFlight: { readonly answer: Promise<string>; readonly refresh: boolean } | undefined;
  return async function ask(why): Promise<string> {
    if (inFlight !== undefined) {
      const { answer, refresh } = inFlight;
      if (refresh || !why.refresh) return answer;
      // That answer may be the token that is no longer good.
      return answer.then(
        () => ask(why),
        () => ask(why),
      );
    }
    const answer = (async () => getToken(why))().finally(() => (inFlight = undefined));
    inFlight = { answer, refresh: why.refresh };
    return answer;
  };
}
