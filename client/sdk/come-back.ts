/**
 * What to do after a connection has ended, by the meanings of the contract's close codes. Pure: `random` is in [0, 1), and
 * `attempt` counts from 0 since the last connection that lasted.
 */

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const FIRST_SLOW_MS = 5_000;
const LONGEST_SLOW_MS = 120_000;

export type ComeBack =
  /** `isPaced`: the hub needs that time, so that nothing may shorten it. */
  | { readonly kind: 'after'; readonly ms: number; readonly isPaced: boolean }
  | { readonly kind: 'with a fresh token' }
  | { readonly kind: 'never'; readonly why: string };

export function comeBackAfter(code: number, attempt: number, random: number): ComeBack {
  switch (code) {
    case 4401:
      return { kind: 'with a fresh token' };
    case 4403:
      return { kind: 'never', why: 'the hub does not allow it, or an admin has ended it' };
    case 1008:
    case 1009:
    case 4400:
      return { kind: 'never', why: 'the hub refuses what was sent' };
    case 1013:
    case 4429: {
      const ms = ((1 + random) / 2) * Math.min(LONGEST_SLOW_MS, FIRST_SLOW_MS * 2 ** attempt);
      return { kind: 'after', ms, isPaced: true };
    }
    default:
      return { kind: 'after', ms: random * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt), isPaced: false };
  }
}
