/**
 * The doubt about a mass lapse: when very many sessions of one adapter fall silent within a second, the fault is more
 * likely the hub's, or the network's, than theirs (PROTOCOL.md section 2). Their end is then held for a few seconds, in
 * which a sign of life undoes it. Smaller lapses are never held. Decides only; the core counts and ends.
 */
import type { AdapterName } from './session.ts';

export interface MassLapseRule {
  /** So many sessions of an adapter, at least, … */
  readonly sessions: number;
  /** … and so much of all it has, percent. */
  readonly percent: number;
  /** How long their end is held, milliseconds; 0: never. */
  readonly holdMs: number;
}

/** How far ahead of a lapse others count with it. */
export const WITHIN_MS = 1000;
/** A verdict holds this long: it looked a second ahead. */
const JUDGE_EVERY_MS = 250;

interface Verdict {
  heldUntil: number;
  judgeFrom: number;
}

export class MassLapseDoubt {
  readonly #rule: MassLapseRule;
  readonly #verdicts = new Map<AdapterName, Verdict>();

  constructor(rule: MassLapseRule) {
    this.#rule = rule;
  }

  /**
   * A lease of this adapter ran out. `total`: its sessions. `countUpTo` counts those that run out within a second, and
   * stops at the number it is given.
   * @returns until when the end is to be held (monotonic milliseconds; not after now: not at all), and whether the hold begins.
   */
  judge(
    adapter: AdapterName,
    monoMs: number,
    total: number,
    countUpTo: (enough: number) => number,
  ): { readonly heldUntil: number; readonly isNew: boolean } {
    const verdict = this.#verdictOf(adapter);
    const { sessions, percent, holdMs } = this.#rule;
    if (monoMs < verdict.judgeFrom || holdMs === 0) return { heldUntil: verdict.heldUntil, isNew: false };
    const enough = Math.max(sessions, Math.ceil((total * percent) / 100));
    verdict.judgeFrom = monoMs + JUDGE_EVERY_MS;
    if (total < enough || countUpTo(enough) < enough) return { heldUntil: verdict.heldUntil, isNew: false };
    verdict.heldUntil = monoMs + holdMs;
    // What was held is told then, and not held again.
    verdict.judgeFrom = verdict.heldUntil + WITHIN_MS;
    return { heldUntil: verdict.heldUntil, isNew: true };
  }

  /** Whether the lapses of this adapter are held right now. */
  isHeld(adapter: AdapterName, monoMs: number): boolean {
    return monoMs < (this.#verdicts.get(adapter)?.heldUntil ?? -Infinity);
  }

  #verdictOf(adapter: AdapterName): Verdict {
    let verdict = this.#verdicts.get(adapter);
    if (verdict === undefined) {
      verdict = { heldUntil: -Infinity, judgeFrom: -Infinity };
      this.#verdicts.set(adapter, verdict);
    }
    return verdict;
  }
}
