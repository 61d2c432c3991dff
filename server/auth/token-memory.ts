/**
 * Tokens that were good a moment ago: a verification costs 160 µs, a look-up 3, and over HTTP every heartbeat brings its
 * token again. Holds digests, never tokens, and at most a fixed number, the longest unused forgotten first. Called by
 * jwt-authenticator.ts, which decides what is good.
 */
import type { Moment } from '../lib/clock.ts';
import type { Identity } from './identity.ts';

export interface TokenMemory {
  /** Undefined for what was never remembered, is forgotten or has run out. */
  recall(digest: string, now: Moment): Identity | undefined;
  remember(digest: string, identity: Identity, now: Moment): void;
}

export interface TokenMemoryOptions {
  readonly capacity: number;
  /** How long one verification holds at most. */
  readonly forMs: number;
}

interface Known {
  readonly identity: Identity;
  readonly verifiedAtMs: number;
}

export function createTokenMemory({ capacity, forMs }: TokenMemoryOptions): TokenMemory {
  const known = new Map<string, Known>();
  return {
    recall: (digest, { wallMs, monoMs }) => {
      const entry = known.get(digest);
      if (entry === undefined) return undefined;
      known.delete(digest);
      const { identity, verifiedAtMs } = entry;
      const isOver =
        monoMs - verifiedAtMs >= forMs || (identity.expiresAtMs !== null && identity.expiresAtMs <= wallMs);
      if (isOver) return undefined;
      // Set anew, it stands last in the map: the first one is the longest unused.
      known.set(digest, entry);
      return identity;
    },
    remember: (digest, identity, { monoMs }) => {
      known.set(digest, { identity, verifiedAtMs: monoMs });
      if (known.size <= capacity) return;
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    },
  };
}
