/**
 * An issuer's keys, fetched from its JWKS: decides when to fetch, when to wait, and what to do if the issuer does not
 * answer. jose fetches the keys and picks the one that a token names. Fetched keys stay in use as long as the issuer is
 * unreachable, because its outage is no reason to refuse all users. The only file of this folder that does I/O.
 */
import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { ReceivedBytes } from '../lib/net/received-bytes.ts';
import type { Clock } from '../lib/time/clock.ts';

/** Keys older than this are fetched again. A key that the issuer withdrew is accepted for this long. */
export const KEYS_MAX_AGE_MS = 600_000;
/** The minimum time between fetches, so that made-up key ids in tokens cannot cause more. */
export const KEYS_COOLDOWN_MS = 10_000;
/** The wait after a failed fetch. It is short, because clients cannot connect in the meantime. */
export const KEYS_RETRY_MS = 1000;
const FETCH_TIMEOUT_MS = 3000;
/** A key set has a few kilobytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * How many tokens that no key fits are remembered, so that each is refused once newer keys do not fit either: 0.2 MB.
 */
const MAX_REMEMBERED = 1000;

/** The token cannot be judged, because the issuer's keys, or its newest ones, cannot be fetched now. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
  readonly retryInMs: number;

  constructor(retryInMs: number) {
    super('keys unavailable');
    this.retryInMs = retryInMs;
  }
}

export interface JwksOptions {
  readonly url: URL;
  readonly clock: Clock;
  /** Reports a failed fetch (at most once a second), for the log. */
  readonly onFailure: (why: string) => void;
}

export interface IssuerKeys {
  /** Finds the key that a token names. @throws {KeysUnavailable} if there are no keys yet. */
  readonly find: JWTVerifyGetKey;
  /** How many fetches have begun. */
  readonly begun: number;
  /**
   * Fetches the keys again, if that is allowed now, because none fits a token. `id` identifies the token's key. `begun`
   * is the number of fetches that had begun when its verification did.
   */
  renewFor(id: string, begun: number): Promise<Renewal>;
}

interface Renewal {
  /** There are newer keys than before the call. */
  readonly hasChanged: boolean;
  /** The keys were fetched after the token first arrived, so a key that is missing is not the issuer's. */
  readonly isCertain: boolean;
  /** The keys may be fetched again after this time. */
  readonly retryInMs: number;
}

export function createJwksKeys({ url, clock, onFailure }: JwksOptions): IssuerKeys {
  // This file alone decides when to fetch, because jose would refuse all tokens if its cache is old and the issuer is
  // down.
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity,
    [customFetch]: fetchBounded,
  });
  let pending: Promise<void> | undefined;
  let triedAtMs = -Infinity;
  let fetchedAtMs = -Infinity;
  let hasFailed = false;
  let begun = 0;
  /** The number of the last successful fetch. */
  let succeeded = 0;
  const firstSeen = new FirstSeen();

  /** Infinite until there are keys. */
  const ageMs = (): number => clock.now().monoMs - fetchedAtMs;
  const untilDueMs = (): number => triedAtMs + (hasFailed ? KEYS_RETRY_MS : KEYS_COOLDOWN_MS) - clock.now().monoMs;
  const retryInMs = (): number => Math.max(1, untilDueMs());
  const fetchKeys = async (): Promise<void> => {
    triedAtMs = clock.now().monoMs;
    const no = ++begun;
    try {
      await remote.reload();
      fetchedAtMs = triedAtMs;
      succeeded = no;
      hasFailed = false;
    } catch (error) {
      hasFailed = true;
      onFailure(`the keys of HUB_JWKS_URL can’t be fetched: ${reasonOf(error)}`);
    }
  };
  /** Runs one fetch at a time. Returns at once if the last fetch is too recent. */
  const refresh = async (): Promise<void> => {
    if (pending === undefined && untilDueMs() <= 0) {
      pending = fetchKeys().finally(() => {
        pending = undefined;
      });
    }
    await pending;
  };

  return {
    get begun() {
      return begun;
    },
    find: async (header, token) => {
      if (ageMs() === Infinity) {
        await refresh();
        if (ageMs() === Infinity) throw new KeysUnavailable(retryInMs());
      } else if (ageMs() >= KEYS_MAX_AGE_MS) {
        const refreshed = refresh();
        // During an outage the known keys answer at once, so that requests do not wait for each next attempt.
        if (!hasFailed) await refreshed;
      }
      return remote(header, token);
    },
    renewFor: async (id, begunBefore) => {
      const seenAt = firstSeen.remember(id, begunBefore);
      const hadKeys = succeeded;
      await refresh();
      return { hasChanged: succeeded > hadKeys, isCertain: !hasFailed && succeeded > seenAt, retryInMs: retryInMs() };
    },
  };
}

/** Fetches, and ends an answer that is too long to be a key set. */
const fetchBounded: FetchImplementation = async (url, options) => {
  const answer = await fetch(url, options);
  const body = new ReceivedBytes();
  for await (const part of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    body.count(part);
    if (body.bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    body.keep(part);
  }
  return new Response(body.bytes === 0 ? null : body.text(), { status: answer.status });
};

/** How many fetches had begun when a token without a fitting key first arrived, by the id of its key. */
class FirstSeen {
  readonly #begun = new Map<string, number>();

  /** Remembers `begun` for a new key. @returns what is remembered. */
  remember(id: string, begun: number): number {
    const known = this.#begun.get(id);
    if (known !== undefined) return known;
    this.#begun.set(id, begun);
    const [oldest] = this.#begun.keys();
    if (this.#begun.size > MAX_REMEMBERED && oldest !== undefined) this.#begun.delete(oldest);
    return begun;
  }
}

/** undici reports only "fetch failed"; the reason is in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
