/**
 * Sessions that were recently lost with the usual grace. A stall is known only after it has lasted a while, or is over.
 * A loss that was noticed earlier in the same stall gets the longer grace afterwards. Pure.
 */
import type { Stalls } from '../../lib/time/stall-clock.ts';
import type { Session } from './session.ts';

interface Rule {
  readonly stalls: Stalls;
  readonly graceMs: number;
  readonly stallGraceMs: number;
}

export class RecentLosses {
  #lost: Session[] = [];

  add(session: Session): void {
    this.#lost.push(session);
  }

  /**
   * Extends the grace of losses in a stall, before leases are judged at `monoMs`. Reports each extended session to
   * `onMoved`.
   */
  settle(monoMs: number, { stalls, graceMs, stallGraceMs }: Rule, onMoved: (session: Session) => void): void {
    if (this.#lost.length === 0) return;
    if (!stalls.isAftermath(monoMs)) {
      // Losses after the judged moment are kept, because their stall may not be over.
      this.#lost = this.#lost.filter(({ waitEndsAt }) => waitEndsAt - graceMs >= monoMs);
      return;
    }
    for (const session of this.#lost) {
      if (session.phase !== 'grace') continue;
      session.waitEndsAt += stallGraceMs - graceMs;
      onMoved(session);
    }
    this.#lost = [];
  }
}
