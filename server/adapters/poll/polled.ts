/**
 * One target and the session that it keeps: what a good answer, a miss or its removal from the file means for the user.
 * Carries the marks of the poller's schedule, and does no I/O of its own. The poller alone calls it.
 */
import type { Intake } from '../../intake.ts';
import { NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';
import type { Said } from './answer.ts';
import type { Target } from './targets.ts';

export class Polled implements Timed, SessionOwner {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  target: Target;
  /** Cuts the poll off that is on its way; undefined without one. */
  cutOff: (() => void) | undefined;
  /** Monotonic milliseconds, of the poll that is on its way. */
  startedAt = 0;
  deadlineAt = 0;
  readonly #intake: Intake;
  #misses = 0;
  #session: Session | undefined;

  constructor(target: Target, intake: Intake) {
    this.target = target;
    this.#intake = intake;
  }

  /** The file gave it another url or rhythm: the session stays, the misses of before do not count. */
  retarget(target: Target): void {
    this.target = target;
    this.#misses = 0;
  }

  heard(said: Said, leaseMs: number): void {
    const { user, device, address } = this.target;
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
    this.#misses++;
    if (this.#misses !== this.target.failures) return false;
    const session = this.#live();
    if (session !== undefined) this.#intake.giveUp(session);
    this.#session = undefined;
    return true;
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

  /** Another part of the hub may have ended it, and an ended session never comes back. */
  #live(): Session | undefined {
    return this.#session?.phase === 'live' ? this.#session : undefined;
  }
}
