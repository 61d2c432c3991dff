/**
 * A cache of recent verdicts on tokens: a verification takes 160 µs, a lookup 3, and over HTTP every heartbeat repeats
 * its token. Holds digests, never tokens. Its size is limited; the least recently used entry is removed first.
 */
import type { Moment } from '../lib/time/clock.ts';
import type { Verdict } from './authenticator.ts';

export interface TokenMemory {
  /** Returns undefined if the token is unknown, was forgotten or has expired. */
  recall(digest: string, now: Moment): Verdict | undefined;
  remember(digest: string, verdict: Verdict, now: Moment): void;
}

export interface TokenMemoryOptions {
  readonly capacity: number;
  /** How long a verdict is valid at most. */
  readonly forMs: number;
}

interface Known {
  readonly verdict: Verdict;
  readonly verifiedAtMs: number;
}

export function createTokenMemory({ capacity, forMs }: TokenMemoryOptions): TokenMemory {
  const known = new Map<string, Known>();
  return {
    recall: (digest, { wallMs, monoMs }) => {
      const entry = known.get(digest);
      if (entry === undefined) return undefined;
      known.delete(digest);
      const { verdict, verifiedAtMs } = entry;
      const expiresAtMs = verdict.ok ? verdict.identity.expiresAtMs : null;
      if (monoMs - verifiedAtMs >= forMs || (expiresAtMs !== null && expiresAtMs <= wallMs)) return undefined;
      // Moves the entry to the end of the map, so that the first one is the least recently used.
      known.set(digest, entry);
      return verdict;
    },
    remember: (digest, verdict, { monoMs }) => {
      known.set(digest, { verdict, verifiedAtMs: monoMs });
      if (known.size <= capacity) return;
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    },
  };
}
