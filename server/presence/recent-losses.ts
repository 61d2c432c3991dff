/**
 * Sessions that were lost a moment ago with the usual grace. A stall is known only once it has lasted a while, or is over:
 * a loss that was found before that was found in it, too, and gets the longer grace afterwards. Part of the core: pure.
 */
import type { Stalls } from '../lib/stall-clock.ts';
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

  /** Leases are judged by `monoMs` now. `onMoved` hears of each session whose grace is longer than before. */
  settle(monoMs: number, { stalls, graceMs, stallGraceMs }: Rule, onMoved: (session: Session) => void): void {
    if (this.#lost.length === 0) return;
    if (!stalls.isAftermath(monoMs)) {
      // What was lost after the moment that is judged may have been lost in a stall that is not over.
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
