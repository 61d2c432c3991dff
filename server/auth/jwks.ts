/**
 * The keys of an issuer, fetched from its JWKS: when to fetch, when to wait, what to do while nobody answers. jose fetches
 * them and picks the one that a token names. Keys in hand stay in use for as long as the issuer can't be reached, since its
 * outage is no reason to turn all users away. The one place of this room that does I/O; called by jwt-authenticator.ts.
 */
import { createRemoteJWKSet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../lib/clock.ts';

/** Keys older than this are fetched anew: so long does a key that the issuer withdrew still open doors. */
export const KEYS_MAX_AGE_MS = 600_000;
/** Whoever sends tokens with made-up key ids makes the hub fetch at most so often. */
export const KEYS_COOLDOWN_MS = 10_000;
/** After a fetch that failed: soon, since people are waiting outside. */
export const KEYS_RETRY_MS = 1000;
const FETCH_TIMEOUT_MS = 3000;

/** Tokens that no key fits and that are remembered, so that each is refused once newer keys do not fit it either: 0.2 MB. */
const MAX_REMEMBERED = 1000;

/** Nobody can tell whether the token is good: the issuer's keys, or its newest ones, can't be fetched now. */
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
  /** A fetch failed (at most one a second); for the log. */
  readonly onFailure: (why: string) => void;
}

export interface IssuerKeys {
  /** Finds the key that a token names. @throws {KeysUnavailable} if there are no keys yet. */
  readonly find: JWTVerifyGetKey;
  /** How many fetches have begun. */
  readonly begun: number;
  /**
   * Fetches the keys again, if that is allowed now, because none fits a token. `id` is what names the token's key, and
   * `begun` how many fetches had begun when its verification did.
   */
  renewFor(id: string, begun: number): Promise<Renewal>;
}

interface Renewal {
  /** There are newer keys than before the call. */
  readonly hasChanged: boolean;
  /** The keys at hand were fetched after the token had first come, so a key that is not among them is no key of the issuer. */
  readonly isCertain: boolean;
  /** The keys may be fetched again after this time. */
  readonly retryInMs: number;
}

export function createJwksKeys({ url, clock, onFailure }: JwksOptions): IssuerKeys {
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
  let begun = 0;
  /** The number of the last fetch that brought keys. */
  let succeeded = 0;
  /** How many fetches had begun when a token without a key first came, by what names its key. */
  const firstSeen = new Map<string, number>();

  /** Infinite until there are keys. */
  const ageMs = (): number => clock.now().monoMs - fetchedAtMs;
  const retryInMs = (): number =>
    Math.max(1, triedAtMs + (hasFailed ? KEYS_RETRY_MS : KEYS_COOLDOWN_MS) - clock.now().monoMs);
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
  const remember = (id: string, before: number): number => {
    const known = firstSeen.get(id);
    if (known !== undefined) return known;
    firstSeen.set(id, before);
    const [oldest] = firstSeen.keys();
    if (firstSeen.size > MAX_REMEMBERED && oldest !== undefined) firstSeen.delete(oldest);
    return before;
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
        // In an outage the keys in hand answer at once: not everyone waits for each next attempt.
        if (!hasFailed) await refreshed;
      }
      return remote(header, token);
    },
    renewFor: async (id, begunBefore) => {
      const seenAt = remember(id, begunBefore);
      const hadKeys = succeeded;
      await refresh();
      return { hasChanged: succeeded > hadKeys, isCertain: !hasFailed && succeeded > seenAt, retryInMs: retryInMs() };
    },
  };
}

/** undici says only "fetch failed"; the reason is its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
