/**
 * What the page does after a connection has ended, by the meanings of the contract's close codes: come back soon, slowly,
 * with another token, or not by itself. Pure. Called by page.
 */

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
const FIRST_SLOW_MS = 5_000;
const LONGEST_SLOW_MS = 120_000;

export type ComeBack =
  | { readonly kind: 'after'; readonly ms: number }
  | { readonly kind: 'with a token' }
  | { readonly kind: 'never'; readonly why: string };

/** `attempt` counts from 0; `random` is in [0, 1). */
export function comeBackAfter(closeCode: number, attempt: number, random: number): ComeBack {
  switch (closeCode) {
    case 4401:
      return { kind: 'with a token' };
    case 4403:
      return { kind: 'never', why: 'The hub does not allow this, or an admin has ended it' };
    case 1008:
    case 4400:
      return { kind: 'never', why: `The hub ended the connection (${closeCode})` };
    case 1013:
    case 4429:
      return { kind: 'after', ms: ((1 + random) / 2) * Math.min(LONGEST_SLOW_MS, FIRST_SLOW_MS * 2 ** attempt) };
    default:
      return { kind: 'after', ms: random * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt) };
  }
}
