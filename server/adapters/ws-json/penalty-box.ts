/**
 * Remembers the client addresses whose connection was recently closed because of its message rate. Their next
 * connections get no burst, so that a flood gains nothing by reconnecting. Remembers a bounded number of addresses and
 * refuses none.
 */
import { neighbourhoodOf } from '../../auth/cidrs.ts';

const PENALTY_MS = 10_000;
const MAX_ADDRESSES = 10_000;

export class PenaltyBox {
  /** Monotonic time when each address is forgotten, the earliest first. */
  readonly #until = new Map<string, number>();

  add(address: string, monoMs: number): void {
    const neighbourhood = neighbourhoodOf(address);
    this.#until.delete(neighbourhood);
    this.#until.set(neighbourhood, monoMs + PENALTY_MS);
    for (const [oldest, until] of this.#until) {
      if (until > monoMs && this.#until.size <= MAX_ADDRESSES) return;
      this.#until.delete(oldest);
    }
  }

  /** @returns the monotonic time until which the address is remembered; 0 if it is not. */
  untilOf(address: string): number {
    return this.#until.size === 0 ? 0 : (this.#until.get(neighbourhoodOf(address)) ?? 0);
  }
}
