/**
 * Verdicts on tokens that came a moment ago: a verification costs 160 µs, a look-up 3, and over HTTP every heartbeat brings
 * its token again. Holds digests, never tokens, and at most a fixed number, the longest unused forgotten first.
 */
import type { Moment } from '../lib/clock.ts';
import type { Verdict } from './authenticator.ts';

export interface TokenMemory {
  /** Undefined for what was never remembered, is forgotten or has run out. */
  recall(digest: string, now: Moment): Verdict | undefined;
  remember(digest: string, verdict: Verdict, now: Moment): void;
}

export interface TokenMemoryOptions {
  readonly capacity: number;
  /** How long one verification holds at most. */
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
      // Set again, it stands last in the map: the first one is the longest unused.
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
