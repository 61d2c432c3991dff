/**
 * The restored sessions that the warm time after a restart waits for: all but those over HTTP whose lease outlasts it
 * anyway. Only counts them. Every change of a restored session's phase or end must be preceded by `remove`.
 */
import type { Session } from './session.ts';

export class WarmSessions {
  #count = 0;
  #endsAt = 0;

  get count(): number {
    return this.#count;
  }

  /** When the warm time ends, on the monotonic clock. */
  get endsAt(): number {
    return this.#endsAt;
  }

  add(session: Session, endsAt: number): void {
    this.#endsAt = endsAt;
    if (this.#isWarm(session)) this.#count++;
  }

  remove(session: Session): void {
    if (this.#isWarm(session)) this.#count--;
  }

  #isWarm({ phase, waitEndsAt }: Session): boolean {
    return phase === 'restored' && waitEndsAt <= this.#endsAt;
  }
}
