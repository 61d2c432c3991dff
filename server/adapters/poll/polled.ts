/**
 * One target and its session: decides what a good answer, a miss, or the removal from the file means for the user. Also
 * holds the schedule fields of the target. Does no I/O.
 */
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/time/clock.ts';
import { NOT_SCHEDULED, type Timed } from '../../lib/time/timing-wheel.ts';
import type { Session, SessionOwner } from '../../presence/sessions/session.ts';
import type { Said } from './answer.ts';
import type { CutOff } from './probe.ts';
import type { Target } from './targets.ts';

/** Receives the sessions that the hub cannot poll because its own network or resolver fails. */
export interface PollOutage {
  began(session: Session): void;
  ended(session: Session): void;
}

export interface PolledOptions {
  readonly intake: Intake;
  readonly clock: Clock;
  readonly outage: PollOutage;
}

export class Polled implements Timed, SessionOwner {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  target: Target;
  /** Cuts off the current poll; undefined if there is none. */
  cutOff: CutOff | undefined;
  /** Start and deadline of the current poll in monotonic milliseconds. */
  startedAt = 0;
  deadlineAt = 0;
  readonly #options: PolledOptions;
  readonly #intake: Intake;
  #misses = 0;
  #session: Session | undefined;
  /** The session that was reported to the outage. */
  #outageSession: Session | undefined;
  #outageSince: number | undefined;
  #earlierOutageMs = 0;

  constructor(target: Target, options: PolledOptions) {
    this.target = target;
    this.#options = options;
    this.#intake = options.intake;
  }

  /** Total time that the hub could not poll. The lease stands still for that time. */
  get pausedMs(): number {
    if (this.#outageSince === undefined) return this.#earlierOutageMs;
    return this.#earlierOutageMs + this.#now() - this.#outageSince;
  }

  /** Whether the last poll could not be made. */
  get isInOutage(): boolean {
    return this.#outageSince !== undefined;
  }

  /** Polling has ended, or goes on with another url or interval. The session stays, and earlier misses no longer count. */
  ceased(): void {
    this.asked();
    this.#misses = 0;
  }

  apply(said: Said, leaseMs: number): void {
    const { user, device, address } = this.target;
    this.asked();
    this.#misses = 0;
    if (said.kind === 'left') {
      this.leave();
      return;
    }
    const { status, code, text } = said;
    const session = this.#live();
    // Each answer is complete: if the text is missing, the user has none any more.
    if (session !== undefined) this.#intake.heartbeat(session, { status, code, text: text ?? '', leaseMs });
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

  /**
   * The hub could not poll. That is not a miss, and the user stays as shown. `forMs` lasts until long after the next
   * poll.
   */
  unable(forMs: number): void {
    const { user, device } = this.target;
    const session = this.#live() ?? this.#intake.find(user, device, 'poll');
    this.#outageSince ??= this.#now();
    if (session?.phase === 'restored') this.#intake.waitLonger(session, forMs);
    if (session === undefined || session === this.#outageSession) return;
    this.#outageSession = session;
    this.#options.outage.began(session);
  }

  /** The last poll was made, or polling has ended. */
  asked(): void {
    if (this.#outageSince !== undefined) this.#earlierOutageMs = this.pausedMs;
    this.#outageSince = undefined;
    if (this.#outageSession !== undefined) this.#options.outage.ended(this.#outageSession);
    this.#outageSession = undefined;
  }

  /** The target says that its user is not there, or it is no longer polled. */
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

  /** Undefined if another part of the hub has ended the session: an ended session never comes back. */
  #live(): Session | undefined {
    return this.#session?.phase === 'live' ? this.#session : undefined;
  }
}
