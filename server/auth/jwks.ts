/**
 * The keys of an issuer, fetched from its JWKS: when to fetch, when to wait, what to do while nobody answers. jose fetches
 * them and picks the one that a token names. Keys in hand stay in use for as long as the issuer can't be reached, since its
 * outage is no reason to turn all users away. The one place of this room that does I/O; called by jwt-authenticator.ts.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../lib/clock.ts';

/** Keys older than this are fetched anew: so long does a key that the issuer withdrew still open doors. */
export const KEYS_MAX_AGE_MS = 600_000;
/** Whoever sends tokens with made-up key ids makes the hub fetch at most so often. */
export const KEYS_COOLDOWN_MS = 10_000;
/** After a fetch that failed: soon, since people are waiting outside. */
export const KEYS_RETRY_MS = 1000;
const FETCH_TIMEOUT_MS = 3000;

/** Nobody can tell whether the token is good: the issuer's keys, or its newest ones, can't be had. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

export interface JwksOptions {
  readonly url: URL;
  readonly clock: Clock;
  /** A fetch failed (at most one a second); for the log. */
  readonly onFailure: (why: string) => void;
}

export function createJwksKeys({ url, clock, onFailure }: JwksOptions): JWTVerifyGetKey {
  // jose would refuse all tokens once its cache is old and the issuer is down, so when to fetch is decided here alone.
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity,
  });
  let pending: Promise<void> | undefined;
  let triedAtMs = -Infinity;
  let fetchedAtMs = -Infinity;
  let hasFailed = false;

  /** Infinite until there are keys. */
  const ageMs = (): number => clock.now().monoMs - fetchedAtMs;
  const fetchKeys = async (): Promise<void> => {
    triedAtMs = clock.now().monoMs;
    try {
      await remote.reload();
      fetchedAtMs = triedAtMs;
      hasFailed = false;
    } catch (error) {
      hasFailed = true;
      onFailure(`the keys of HUB_JWKS_URL can’t be fetched: ${reasonOf(error)}`);
    }
  };
  /** One fetch at a time, and none too soon after the last: then nothing is awaited. */
  const refresh = async (): Promise<void> => {
    const isDue = clock.now().monoMs - triedAtMs >= (hasFailed ? KEYS_RETRY_MS : KEYS_COOLDOWN_MS);
    if (pending === undefined && isDue) {
      pending = fetchKeys().finally(() => {
        pending = undefined;
      });
    }
    await pending;
  };

  return async (header, token) => {
    if (ageMs() === Infinity) {
      await refresh();
      if (ageMs() === Infinity) throw new KeysUnavailable();
    } else if (ageMs() >= KEYS_MAX_AGE_MS) {
      const refreshed = refresh();
      // In an outage the keys in hand answer at once: not everyone waits for each next attempt.
      if (!hasFailed) await refreshed;
    }
    try {
      return await remote(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // The issuer may have a new key that this set lacks.
      await refresh();
      if (hasFailed) throw new KeysUnavailable();
      return remote(header, token);
    }
  };
}

/** undici says only "fetch failed"; the reason is its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
