/**
 * The app's tokens: asks for one, and for a fresh one before it runs out, where it says when: a JWT with `exp`. Judges none.
 * Loaded where the app gives tokens. Called by hub-link.
 */
import { PresenceError } from './error.ts';
import type { GetToken } from './types.ts';

/** A minute ahead, and for tokens that live shorter, after four fifths of what is left. */
const AHEAD_MS = 60_000;
/** After the app failed to give one. */
const AGAIN_MS = 10_000;
/** Browsers take a longer timer for none. */
const LONGEST_MS = 2 ** 31 - 1;

export class Tokens {
  readonly #getToken: GetToken;
  readonly #onFresh: (token: string) => void;
  readonly #onError: (error: PresenceError) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What was asked for before the last `stop` counts no more. */
  #no = 0;

  constructor(getToken: GetToken, onFresh: (token: string) => void, onError: (error: PresenceError) => void) {
    this.#getToken = onceAtATime(getToken);
    this.#onFresh = onFresh;
    this.#onError = onError;
  }

  /** Null where the app fails to give one. */
  async give(refresh: boolean): Promise<string | null> {
    const no = this.#no;
    try {
      const token = await this.#getToken({ refresh });
      this.#renewIn(no, refreshInMs(token, Date.now()));
      return token;
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
        void this.give(true).then((token) => {
          if (no === this.#no && token !== null) this.#onFresh(token);
        });
      },
      Math.min(ms, LONGEST_MS),
    );
  }
}

/** Milliseconds from now; none above 0 where nobody can say, or where by this clock it is over already. */
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
 * Calls `getToken` no second time while a call is unanswered: an answer that takes long would never be used if each attempt
 * to connect made another one.
 */
export function onceAtATime(getToken: GetToken): (why: { readonly refresh: boolean }) => Promise<string> {
  let inFlight: { readonly answer: Promise<string>; readonly refresh: boolean } | undefined;
  return async function ask(why): Promise<string> {
    if (inFlight !== undefined) {
      const { answer, refresh } = inFlight;
      if (refresh || !why.refresh) return answer;
      // That answer may be the token that is no longer good enough.
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
