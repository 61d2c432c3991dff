/**
 * The doubt about a mass lapse, like Eureka's self-preservation. When very many sessions of one adapter fall silent
 * within a second, the hub or the network is more likely at fault than the clients (PROTOCOL.md section 2). Their end
 * is then held for a few seconds, and a heartbeat in that time cancels it. Smaller lapses are never held. Only decides;
 * the core ends sessions.
 *
 * One user or one peer must not cause a hold alone. So a user counts once, however many sessions it has. A source that
 * cannot be pinged counts once too: a TCP connection, or the address of HTTP heartbeats and polls.
 */
import type { AdapterName, Session } from './session.ts';
import type { User } from '../user.ts';

export interface MassLapseRule {
  /** Minimum sessions of an adapter, from as many users and sources. */
  readonly sessions: number;
  /** Minimum share of the adapter's sessions, in percent. */
  readonly percent: number;
  /** Returns the source that counts once, for an adapter that cannot be pinged; undefined for one that can. */
  readonly sourceOf: (session: Session) => unknown;
  /** How long the end is held, in milliseconds; 0: never. */
  readonly holdMs: number;
}

/** A count of the sessions that expire within a second. */
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

  /** @returns whether the sessions so far are a mass lapse. */
  add(session: Session): boolean {
    const { sessions, sourceOf } = this.#rule;
    this.#sessions++;
    if (this.#users.size < sessions) this.#users.add(session.user);
    // Each WebSocket counts, because it answers a ping if it is alive.
    if (this.#sources.size < sessions) this.#sources.add(sourceOf(session) ?? session);
    return this.#sessions >= this.#enough && Math.min(this.#users.size, this.#sources.size) >= sessions;
  }
}

/** Sessions that expire within this time after a lapse count with it. */
export const WITHIN_MS = 1000;
/** How long a decision holds. It is less than the second that the decision looked ahead. */
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
   * Judges a lease of this adapter that expired. `total` is the number of its sessions. `isMass` adds the sessions that
   * expire within a second, and returns whether they are a mass lapse.
   * @returns until when the end is held, on the monotonic clock (a time that is not after now means that it is not
   * held), and whether the hold begins.
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
    // Held sessions end after the hold and are not held again.
    verdict.judgeFrom = verdict.heldUntil + WITHIN_MS;
    return { heldUntil: verdict.heldUntil, isNew: true };
  }

  /** Whether the lapses of this adapter are held now. */
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
