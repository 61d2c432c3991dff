/**
 * One target and the session that it keeps: what a good answer, a miss or its removal from the file means for the user.
 * Carries the marks of the poller's schedule, and does no I/O of its own. The poller alone calls it.
 */
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/clock.ts';
import { NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';
import type { Said } from './answer.ts';
import type { CutOff } from './probe.ts';
import type { Target } from './targets.ts';

/** Hears which sessions the hub cannot ask about, because its own network or resolver fails. */
export interface Unasked {
  began(session: Session): void;
  ended(session: Session): void;
}

export interface PolledOptions {
  readonly intake: Intake;
  readonly clock: Clock;
  readonly unasked: Unasked;
}

export class Polled implements Timed, SessionOwner {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  target: Target;
  /** Cuts the poll off that is on its way; undefined without one. */
  cutOff: CutOff | undefined;
  /** Monotonic milliseconds, of the poll that is on its way. */
  startedAt = 0;
  deadlineAt = 0;
  readonly #options: PolledOptions;
  readonly #intake: Intake;
  #misses = 0;
  #session: Session | undefined;
  /** Told as unasked. */
  #unaskedSession: Session | undefined;
  #unaskedSince: number | undefined;
  #earlierUnaskedMs = 0;

  constructor(target: Target, options: PolledOptions) {
    this.target = target;
    this.#options = options;
    this.#intake = options.intake;
  }

  /** The lease stands still while the hub cannot ask. */
  get pausedMs(): number {
    if (this.#unaskedSince === undefined) return this.#earlierUnaskedMs;
    return this.#earlierUnaskedMs + this.#now() - this.#unaskedSince;
  }

  /** Whether the last poll could not be made. */
  get isUnasked(): boolean {
    return this.#unaskedSince !== undefined;
  }

  /** The file gave it another url or rhythm: the session stays, the misses of before do not count. */
  retarget(target: Target): void {
    this.target = target;
    this.#misses = 0;
  }

  heard(said: Said, leaseMs: number): void {
    const { user, device, address } = this.target;
    this.asked();
    this.#misses = 0;
    if (said.kind === 'left') {
      this.leave();
      return;
    }
    const { status, code, text } = said;
    const session = this.#live();
    // Each answer is all that the target says: a text that is no longer in it is gone.
    if (session !== undefined) this.#intake.beat(session, { status, code, text: text ?? '', leaseMs });
    else {
      const claim = { user, device, adapter: 'poll', status, code, text, leaseMs, address, owner: this } as const;
      const begun = this.#intake.begin(claim);
      this.#session = typeof begun === 'string' ? undefined : begun;
    }
  }

  /** @returns whether this miss is the one that puts the user offline. */
  missed(): boolean {
    this.asked();
    this.#misses++;
    if (this.#misses !== this.target.failures) return false;
    const session = this.#live();
    if (session !== undefined) this.#intake.end(session);
    this.#session = undefined;
    return true;
  }

  /** The hub could not ask: that is no miss, and the user stays as shown. `forMs`: until long after the next poll. */
  unable(forMs: number): void {
    const { user, device } = this.target;
    const session = this.#live() ?? this.#intake.find(user, device, 'poll');
    this.#unaskedSince ??= this.#now();
    if (session?.phase === 'restored') this.#intake.waitLonger(session, forMs);
    if (session === undefined || session === this.#unaskedSession) return;
    this.#unaskedSession = session;
    this.#options.unasked.began(session);
  }

  /** The last poll was made, or there will be none. */
  asked(): void {
    if (this.#unaskedSince !== undefined) this.#earlierUnaskedMs = this.pausedMs;
    this.#unaskedSince = undefined;
    if (this.#unaskedSession !== undefined) this.#options.unasked.ended(this.#unaskedSession);
    this.#unaskedSession = undefined;
  }

  /** The target says that its user is not there, or nobody asks it any more. */
  leave(): void {
    const session = this.#live();
    if (session !== undefined) this.#intake.leave(session);
    else this.#intake.leaveDevice(this.target.user, this.target.device);
    this.#session = undefined;
  }

  lapsed(): void {
    this.#session = undefined;
  }

  #now(): number {
    return this.#options.clock.now().monoMs;
  }

  /** Another part of the hub may have ended it, and an ended session never comes back. */
  #live(): Session | undefined {
    return this.#session?.phase === 'live' ? this.#session : undefined;
  }
}
