/**
 * Tails: connections of admins that are shown every change, of whomever, as it comes. A glance, not a record: 200 changes
 * four times a second, and how many more there were. While nobody tails it costs nothing; while somebody does, what is
 * not shown costs a count. Reads the core; called by the hub with each change, and by ws-json.
 */
import { MAX_TAIL_CHANGES, MAX_TAILS, TAIL_EVERY_MS } from '../../shared/limits.ts';
import type { Change } from '../presence/change.ts';
import type { Presence } from '../presence/presence.ts';
import type { Outbox } from './outbox.ts';

interface TailsOptions {
  readonly presence: Pick<Presence, 'entryOf'>;
  /** The id of a session by its number. */
  readonly idOf: (no: number) => string;
  /** Makes durable what must not be forgotten once it was told. */
  readonly ensureStored: () => void;
}

interface Tail {
  /** Part of the id of whom it is about; '' for everybody. */
  match: string;
  changes: string[];
  skipped: number;
}

export class Tails {
  readonly #options: TailsOptions;
  readonly #tails = new Map<Outbox, Tail>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /** Whether anybody tails. */
  get isOn(): boolean {
    return this.#tails.size > 0;
  }

  /** Begins one, or gives the one that is there another match; what waits in it is told all the same. @returns false where there are as many as may be. */
  begin(outbox: Outbox, match: string): boolean {
    if (this.#tails.size >= MAX_TAILS && !this.#tails.has(outbox)) return false;
    const tail = this.#tails.get(outbox);
    if (tail === undefined) this.#tails.set(outbox, { match, changes: [], skipped: 0 });
    else tail.match = match;
    this.#timer ??= setInterval(() => this.#tell(), TAIL_EVERY_MS);
    return true;
  }

  /** @returns whether there was one. */
  end(outbox: Outbox): boolean {
    const was = this.#tails.delete(outbox);
    if (this.#tails.size === 0) this.stop();
    return was;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  changed(change: Change): void {
    let json: string | undefined;
    for (const tail of this.#tails.values()) {
      if (!change.user.id.includes(tail.match)) continue;
      if (tail.changes.length < MAX_TAIL_CHANGES) tail.changes.push((json ??= this.#jsonOf(change)));
      else tail.skipped++;
    }
  }

  #tell(): void {
    this.#options.ensureStored();
    for (const [outbox, tail] of this.#tails) {
      const { changes } = tail;
      if (changes.length + tail.skipped === 0) continue;
      tail.changes = [];
      if (outbox.isBehind) {
        tail.skipped += changes.length;
        continue;
      }
      const { skipped } = tail;
      tail.skipped = 0;
      outbox.push(`{"type":"tail","changes":[${changes.join(',')}],"skipped":${skipped}}`);
    }
  }

  /** The truth, whoever is blocked; not kept with the user, of whom this may be all that is ever asked. */
  #jsonOf({ user, cause, session, from, at }: Change): string {
    const entry = this.#options.presence.entryOf(user);
    const { adapter, no } = session;
    return JSON.stringify({ at, cause, adapter, session: this.#options.idOf(no), from, entry });
  }
}
