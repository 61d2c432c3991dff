/**
 * The leases of all sessions: when each must be checked, which have expired, and whether their end is held because very
 * many expired at once. Counts sessions, because that decision needs the total. Pure: `now` is an argument. Ends no
 * session; `Presence` does.
 */
import type { Moment } from '../../lib/time/clock.ts';
import { DONE, TimingWheel } from '../../lib/time/timing-wheel.ts';
import { zeroCounts } from '../../lib/zero-counts.ts';
import { MassLapseDoubt, WITHIN_MS, type Lapse, type MassLapseRule } from './mass-lapse.ts';
import { endOf } from './session-list.ts';
import { adapters, type AdapterName, type Session } from './session.ts';

/** A mass lapse whose sessions are held. Instants are on the forward clock. */
export interface Hold {
  readonly adapter: AdapterName;
  readonly heldUntil: number;
  /** The oldest last heartbeat among all sessions that are or will be held. */
  readonly oldestSignAt: number;
}

/** Leases expire 25 ms late on average. 2048 slots cover 102 s, so that a usual lease is checked once. */
const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 2048;
const STRETCHED_LOOK_MS = 200;

/** Why a session may live on after its lease, beside a stall, which extends all leases. */
const extensions = ['mass_lapse', 'unread_input'] as const;
export type Extension = (typeof extensions)[number];

export class Leases {
  readonly #wheel: TimingWheel<Session>;
  readonly #doubt: MassLapseDoubt;
  readonly #counts = zeroCounts(adapters);
  #total = 0;
  /** The longest lease that any session of an adapter has had. */
  readonly #longestMs = zeroCounts(adapters);
  /** Mass lapses since the start. */
  readonly massLapses = zeroCounts(adapters);
  /** Sessions that lived on after their lease, by the reason, since the start. */
  readonly extended = zeroCounts(extensions);
  /** Sessions that live on now because input of their source is unread. */
  readonly #awaitingInput = new Set<Session>();

  constructor(massLapse: MassLapseRule, monoMs: number) {
    this.#wheel = new TimingWheel<Session>(WHEEL_TICK_MS, WHEEL_SLOTS, monoMs);
    this.#doubt = new MassLapseDoubt(massLapse);
  }

  /** Sessions by adapter, including those in their grace. */
  get counts(): Readonly<Record<AdapterName, number>> {
    return this.#counts;
  }

  /** Sessions of all adapters. */
  get total(): number {
    return this.#total;
  }

  add(session: Session): void {
    this.#total++;
    this.#counts[session.adapter]++;
    this.moved(session);
  }

  remove(session: Session): void {
    this.#total--;
    this.#counts[session.adapter]--;
    this.#wheel.cancel(session);
    this.#awaitingInput.delete(session);
  }

  /** Reschedules a session whose end moved, other than by a heartbeat. */
  moved(session: Session): void {
    const { adapter, phase, leaseMs } = session;
    if (phase === 'live' && leaseMs > this.#longestMs[adapter]) this.#longestMs[adapter] = leaseMs;
    this.#wheel.schedule(session, session.endsAt);
  }

  /** Passes each session that is over to `onOver`, after checking at most `budget` sessions. */
  tick(now: Moment, budget: number, onOver: (session: Session) => void): { isMoreDue: boolean; holds: Hold[] } {
    const holds: Hold[] = [];
    const isMoreDue = this.#wheel.advance(now.monoMs, budget, (session) => {
      const endsAt = endOf(session);
      if (endsAt > now.monoMs) return this.#nextLookAt(session, endsAt, now.monoMs);
      const heldUntil = this.#heldUntil(session, now, holds);
      if (heldUntil > now.monoMs) {
        this.extended.mass_lapse++;
        return heldUntil;
      }
      onOver(session);
      return DONE;
    });
    return { isMoreDue, holds };
  }

  /** Whether the session expired and its end is not held. */
  isOver(session: Session, now: Moment): boolean {
    return endOf(session) <= now.monoMs && !this.#isHeld(session, now);
  }

  #isHeld({ phase, adapter }: Session, now: Moment): boolean {
    return phase === 'live' && this.#doubt.isHeld(adapter, now.monoMs);
  }

  /** Returns until when the end of an expired session is held, if it expired together with very many others. */
  #heldUntil(session: Session, now: Moment, holds: Hold[]): number {
    if (session.phase !== 'live') return 0;
    const { adapter } = session;
    const untilMs = now.monoMs + WITHIN_MS;
    const isMass = (lapse: Lapse): boolean =>
      lapse.add(session) || this.#wheel.countUntil(untilMs, 1, (s) => runsOut(s, adapter, untilMs) && lapse.add(s)) > 0;
    const { heldUntil, isNew } = this.#doubt.judge(adapter, now.monoMs, this.#counts[adapter], isMass);
    if (isNew) {
      this.massLapses[adapter]++;
      holds.push({ adapter, heldUntil, oldestSignAt: this.#oldestSign(session, heldUntil) });
    }
    return heldUntil;
  }

  /**
   * Returns when to check the session next. An end that waits for unread input of its source may come earlier than
   * computed: once all input has been read.
   */
  #nextLookAt(session: Session, endsAt: number, monoMs: number): number {
    const { phase, lastSignAt, leaseMs } = session;
    const isStretched = phase === 'live' && lastSignAt + leaseMs <= monoMs;
    if (!isStretched) {
      this.#awaitingInput.delete(session);
      return endsAt;
    }
    if (!this.#awaitingInput.has(session)) {
      this.#awaitingInput.add(session);
      this.extended.unread_input++;
    }
    return Math.min(endsAt, monoMs + STRETCHED_LOOK_MS);
  }

  /** Returns the oldest last heartbeat of all sessions in the hold. `first` expired first. */
  #oldestSign({ adapter, lastSignAt }: Session, heldUntil: number): number {
    let oldestSignAt = lastSignAt;
    // A session that expires later than this has a later heartbeat, however long its lease, or had a paused source. If
    // all leases are alike, this leaves very few sessions to check. Checking a million takes 100 ms.
    const untilMs = Math.min(heldUntil, lastSignAt + this.#longestMs[adapter]);
    this.#wheel.countUntil(untilMs, Infinity, (session) => {
      const isToBeHeld = runsOut(session, adapter, untilMs);
      if (isToBeHeld) oldestSignAt = Math.min(oldestSignAt, session.lastSignAt);
      return isToBeHeld;
    });
    return oldestSignAt;
  }
}

function runsOut(session: Session, adapter: AdapterName, untilMs: number): boolean {
  return session.adapter === adapter && session.phase === 'live' && session.endsAt <= untilMs;
}
