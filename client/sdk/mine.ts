/**
 * What I say of myself: what the app set, away while nobody gives input, and what of it the hub has heard. Pure but for the
 * clock that its caller reads. Called by hub-link.
 */
import type { SessionStatus } from '../../shared/status.ts';
import type { MyStatus } from './types.ts';

export class Mine {
  #status: SessionStatus;
  #text: string;
  #said: MyStatus = {};
  isAway = false;

  constructor({ status = 'online', text = '' }: MyStatus) {
    this.#status = status;
    this.#text = text;
  }

  set({ status, text }: MyStatus): void {
    this.#status = status ?? this.#status;
    this.#text = text ?? this.#text;
  }

  /** For a hello: all of it. */
  whole(): MyStatus {
    this.#said = this.#now();
    return { status: this.#said.status, ...(this.#text !== '' && { text: this.#text }) };
  }

  /** For a heartbeat: what the hub has not heard yet. */
  news(): MyStatus {
    const { status, text } = this.#said;
    const now = (this.#said = this.#now());
    return { ...(now.status !== status && { status: now.status }), ...(now.text !== text && { text: now.text }) };
  }

  #now(): MyStatus {
    return { status: this.isAway && this.#status === 'online' ? 'away' : this.#status, text: this.#text };
  }
}
