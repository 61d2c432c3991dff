/**
 * Whether what is shown may be behind, and since when: after a restart, or while a mass lapse is doubted. Watchers are
 * told `stale` when the first reason begins and `fresh` when the last one is over. Part of hub.ts.
 */

export interface Reason {
  /** The last moment of which the hub is sure, on the wall clock. */
  readonly since: number;
  readonly isOver: (monoMs: number) => boolean;
}

interface StalenessOptions {
  readonly onStale: (since: number) => void;
  /** All is known again, and told. */
  readonly onFresh: () => void;
}

export class Staleness {
  readonly #options: StalenessOptions;
  #reasons: Reason[] = [];

  constructor(options: StalenessOptions) {
    this.#options = options;
  }

  /** Since when what is shown may be behind, on the wall clock; null where nothing is. */
  get since(): number | null {
    return this.#reasons.length === 0 ? null : Math.min(...this.#reasons.map(({ since }) => since));
  }

  begin(reason: Reason): void {
    this.#reasons.push(reason);
    if (this.#reasons.length === 1) this.#options.onStale(reason.since);
  }

  /** The lease timer came by. */
  look(monoMs: number): void {
    if (this.#reasons.length === 0) return;
    this.#reasons = this.#reasons.filter(({ isOver }) => !isOver(monoMs));
    if (this.#reasons.length === 0) this.#options.onFresh();
  }
}
