/** The timekeeper of a single hub: its own clock, and what its store knows of earlier runs. */
import type { Timekeeper } from '../../fanout/timekeeper.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { VersionClock } from '../../presence/version-clock.ts';
import type { Store } from '../../storage/port.ts';

export class OwnTimekeeper implements Timekeeper {
  readonly #clock: Clock;
  readonly #versions: VersionClock;
  readonly #store: Pick<Store, 'state' | 'forgottenAt'>;

  constructor(clock: Clock, versions: VersionClock, store: Pick<Store, 'state' | 'forgottenAt'>) {
    this.#clock = clock;
    this.#versions = versions;
    this.#store = store;
  }

  sentUpTo(): number {
    return this.#versions.sentUpTo(this.#clock.now().wallMs);
  }

  /**
   * The store cannot answer a `since` before `certainFrom`, nor one between the end of the last run and this start. The
   * hub issued nothing in that time, unless the store was replaced by an older backup. A `since` in the future is not
   * this hub's either.
   */
  canAnswer(since: number): boolean {
    const { certainFrom, lastRunEndedBy, clockFloor } = this.#store.state;
    const isForeign = lastRunEndedBy !== null && since > lastRunEndedBy && since < clockFloor;
    return since >= certainFrom && !isForeign && since <= this.#versions.now(this.#clock.now().wallMs);
  }

  mayHaveForgotten(since: number): boolean {
    return since <= this.#store.forgottenAt;
  }
}
