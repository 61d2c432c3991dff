/**
 * Which client addresses had a connection closed for its messages a moment ago: their next ones get no burst, so that a
 * flood gains nothing by coming back. Remembers a bounded number; refuses nobody. The adapter has one, and its connections
 * ask it when they open and tell it when they end so.
 */
import { neighbourhoodOf } from '../../auth/cidrs.ts';

const SUSPECT_FOR_MS = 10_000;
const MAX_SUSPECTS = 10_000;

export class PenaltyBox {
  /** Until when, monotonic milliseconds; the first to end come first. */
  readonly #until = new Map<string, number>();

  add(address: string, monoMs: number): void {
    const neighbourhood = neighbourhoodOf(address);
    this.#until.delete(neighbourhood);
    this.#until.set(neighbourhood, monoMs + SUSPECT_FOR_MS);
    for (const [oldest, until] of this.#until) {
      if (until > monoMs && this.#until.size <= MAX_SUSPECTS) return;
      this.#until.delete(oldest);
    }
  }

  /** 0 for one that is none. */
  untilOf(address: string): number {
    return this.#until.size === 0 ? 0 : (this.#until.get(neighbourhoodOf(address)) ?? 0);
  }
}
