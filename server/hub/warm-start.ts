/**
 * The time after a restart in which what is shown may be behind: sessions from before it wait for their users, and
 * watchers are told `stale`, then `fresh`. Ends as soon as everybody is back, or when the warm time is over. Part of
 * hub.ts; the core restores and ends the sessions.
 */
import type { Presence } from '../presence/presence.ts';

export interface WarmStartOptions {
  readonly presence: Presence;
  /** When the warm time is over, on the forward clock. */
  readonly endsAt: number;
  /** The last moment of which the hub is sure, on the wall clock. */
  readonly sureUntil: number;
  /** All is known again: tells it. */
  readonly onFresh: () => void;
}

/** The sessions that ran out are looked at up to two looks late; what became of them goes out before `fresh`. */
const SETTLED_AFTER_MS = 100;

export class WarmStart {
  readonly #options: WarmStartOptions;
  #isOver: boolean;

  constructor(options: WarmStartOptions) {
    this.#options = options;
    this.#isOver = options.presence.restoredCount === 0;
  }

  /** Since when what is shown may be behind, on the wall clock; null where nothing is. */
  get staleSince(): number | null {
    return this.#isOver ? null : this.#options.sureUntil;
  }

  /** The lease timer came by. */
  look(monoMs: number): void {
    const { presence, endsAt, onFresh } = this.#options;
    if (this.#isOver || (presence.restoredCount > 0 && monoMs < endsAt + SETTLED_AFTER_MS)) return;
    this.#isOver = true;
    onFresh();
  }
}
