/**
 * The doubt about a mass lapse: when very many sessions of one adapter fall silent within a second, the fault is more
 * likely the hub's, or the network's, than theirs (PROTOCOL.md section 2). Their end is then held for a few seconds, in
 * which a sign of life undoes it. Smaller lapses are never held. Decides only; the core ends.
 *
 * One user or one peer must not bring it about alone. So a user counts once, however many sessions it has, and so does a
 * source that cannot be asked whether it is still there: a TCP connection, or the address of HTTP heartbeats and polls.
 */
import type { AdapterName, Session } from './session.ts';
import type { User } from './user.ts';

export interface MassLapseRule {
  /** At least this many sessions of an adapter, of as many users and sources, … */
  readonly sessions: number;
  /** … and this much of all its sessions, percent. */
  readonly percent: number;
  /** What counts once on an adapter that cannot be pinged; undefined if the session's can. */
  readonly sourceOf: (session: Session) => unknown;
  /** How long their end is held, milliseconds; 0: never. */
  readonly holdMs: number;
}

/** Sessions that run out within a second, as far as they have been counted. */
export class Lapse {
  readonly #rule: MassLapseRule;
  readonly #enough: number;
  readonly #users = new Set<User>();
  readonly #sources = new Set<unknown>();
  #sessions = 0;

  constructor(rule: MassLapseRule, enough: number) {
    this.#rule = rule;
    this.#enough = enough;
  }

  /** @returns whether it is a mass lapse by now. */
  add(session: Session): boolean {
    const { sessions, sourceOf } = this.#rule;
    this.#sessions++;
    if (this.#users.size < sessions) this.#users.add(session.user);
    // A WebSocket answers a ping if it is there: each of them counts.
    if (this.#sources.size < sessions) this.#sources.add(sourceOf(session) ?? session);
    return this.#sessions >= this.#enough && Math.min(this.#users.size, this.#sources.size) >= sessions;
  }
}

/** How far ahead of a lapse others count with it. */
export const WITHIN_MS = 1000;
/** A verdict holds this long: it looked a second ahead. */
const JUDGE_EVERY_MS = 250;

interface HoldDecision {
  heldUntil: number;
  judgeFrom: number;
}

export class MassLapseDoubt {
  readonly #rule: MassLapseRule;
  readonly #verdicts = new Map<AdapterName, HoldDecision>();

  constructor(rule: MassLapseRule) {
    this.#rule = rule;
  }

  /**
   * A lease of this adapter ran out. `total`: its sessions. `isMass` adds those that run out within a second, and says
   * whether they are a mass lapse.
   * @returns until when the end is to be held (monotonic milliseconds; not after now: not at all), and whether the hold begins.
   */
  judge(
    adapter: AdapterName,
    monoMs: number,
    total: number,
    isMass: (lapse: Lapse) => boolean,
  ): { readonly heldUntil: number; readonly isNew: boolean } {
    const verdict = this.#verdictOf(adapter);
    const { sessions, percent, holdMs } = this.#rule;
    if (monoMs < verdict.judgeFrom || holdMs === 0) return { heldUntil: verdict.heldUntil, isNew: false };
    const enough = Math.max(sessions, Math.ceil((total * percent) / 100));
    verdict.judgeFrom = monoMs + JUDGE_EVERY_MS;
    if (total < enough || !isMass(new Lapse(this.#rule, enough))) return { heldUntil: verdict.heldUntil, isNew: false };
    verdict.heldUntil = monoMs + holdMs;
    // What was held is told then, and not held again.
    verdict.judgeFrom = verdict.heldUntil + WITHIN_MS;
    return { heldUntil: verdict.heldUntil, isNew: true };
  }

  /** Whether the lapses of this adapter are held right now. */
  isHeld(adapter: AdapterName, monoMs: number): boolean {
    return monoMs < (this.#verdicts.get(adapter)?.heldUntil ?? -Infinity);
  }

  #verdictOf(adapter: AdapterName): HoldDecision {
    let verdict = this.#verdicts.get(adapter);
    if (verdict === undefined) {
      verdict = { heldUntil: -Infinity, judgeFrom: -Infinity };
      this.#verdicts.set(adapter, verdict);
    }
    return verdict;
  }
}
