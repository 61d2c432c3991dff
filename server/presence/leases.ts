/**
 * The leases of all sessions: when each is to be looked at, which have run out, and whether their end is held, for very
 * many ran out at once. Counts sessions, since that takes the number of all. Part of the core: pure, `now` is an argument.
 * Ends nothing itself: `Presence` does, and is the only one to call it.
 */
import type { Moment } from '../lib/clock.ts';
import { DONE, TimingWheel } from '../lib/timing-wheel.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import { MassLapseDoubt, WITHIN_MS, type Lapse, type MassLapseRule } from './mass-lapse.ts';
import { endOf } from './session-list.ts';
import { adapters, type AdapterName, type Session } from './session.ts';

/** The end of very many sessions of one adapter is held. Instants are on the forward clock. */
export interface Hold {
  readonly adapter: AdapterName;
  readonly heldUntil: number;
  /** The oldest last sign of life among all that are held, or will be. */
  readonly oldestSignAt: number;
}

/** Late by 25 ms on average; 2048 slots are 102 s, so that a usual lease is looked at once. */
const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 2048;
const STRETCHED_LOOK_MS = 200;

export class Leases {
  readonly #wheel: TimingWheel<Session>;
  readonly #doubt: MassLapseDoubt;
  readonly #counts = zeroCounts(adapters);
  #total = 0;
  /** The longest lease that any session of an adapter ever had. */
  readonly #longestMs = zeroCounts(adapters);

  constructor(massLapse: MassLapseRule, monoMs: number) {
    this.#wheel = new TimingWheel<Session>(WHEEL_TICK_MS, WHEEL_SLOTS, monoMs);
    this.#doubt = new MassLapseDoubt(massLapse);
  }

  /** Sessions by adapter, including those in their grace period. */
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
  }

  /** The session ends at another time than before, by more than a sign of life. */
  moved(session: Session): void {
    const { adapter, phase, leaseMs } = session;
    if (phase === 'live' && leaseMs > this.#longestMs[adapter]) this.#longestMs[adapter] = leaseMs;
    this.#wheel.schedule(session, session.endsAt);
  }

  /** Hands on what is over, after looking at `budget` sessions at most. */
  tick(now: Moment, budget: number, onOver: (session: Session) => void): { isMoreDue: boolean; holds: Hold[] } {
    const holds: Hold[] = [];
    const isMoreDue = this.#wheel.advance(now.monoMs, budget, (session) => {
      const endsAt = endOf(session);
      if (endsAt > now.monoMs) return nextLookAt(session, endsAt, now.monoMs);
      const heldUntil = this.#heldUntil(session, now, holds);
      if (heldUntil > now.monoMs) return heldUntil;
      onOver(session);
      return DONE;
    });
    return { isMoreDue, holds };
  }

  /** Whether the session ran out, and nothing holds its end. */
  isOver(session: Session, now: Moment): boolean {
    return endOf(session) <= now.monoMs && !this.#isHeld(session, now);
  }

  #isHeld({ phase, adapter }: Session, now: Moment): boolean {
    return phase === 'live' && this.#doubt.isHeld(adapter, now.monoMs);
  }

  /** Until when a lease that ran out is held, for it ran out with very many others. */
  #heldUntil(session: Session, now: Moment, holds: Hold[]): number {
    if (session.phase !== 'live') return 0;
    const { adapter } = session;
    const untilMs = now.monoMs + WITHIN_MS;
    const isMass = (lapse: Lapse): boolean =>
      lapse.add(session) || this.#wheel.countUntil(untilMs, 1, (s) => runsOut(s, adapter, untilMs) && lapse.add(s)) > 0;
    const { heldUntil, isNew } = this.#doubt.judge(adapter, now.monoMs, this.#counts[adapter], isMass);
    if (isNew) holds.push({ adapter, heldUntil, oldestSignAt: this.#oldestSign(session, heldUntil) });
    return heldUntil;
  }

  /** The oldest last sign of all that the hold is about, `first` being the first of them to run out. */
  #oldestSign({ adapter, lastSignAt }: Session, heldUntil: number): number {
    let oldestSignAt = lastSignAt;
    // Whoever runs out later than this has a later sign, however long its lease, or had a source that was paused. Where all
    // leases are alike that leaves next to nobody to look at; looking at a million takes 100 ms.
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

/** An end that waits for a source to be heard may come sooner than it seems: once all that it sent has been. */
function nextLookAt({ phase, lastSignAt, leaseMs }: Session, endsAt: number, monoMs: number): number {
  const isStretched = phase === 'live' && lastSignAt + leaseMs <= monoMs;
  return isStretched ? Math.min(endsAt, monoMs + STRETCHED_LOOK_MS) : endsAt;
}
