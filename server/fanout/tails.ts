/**
 * Tails: connections of admins that are sent changes of all users as they happen. A tail is a sample, not a record: at
 * most 200 changes four times a second, and the number of omitted ones. Without tails it costs nothing; with tails, an
 * omitted change costs one increment. Reads the core.
 */
import { MAX_TAIL_CHANGES, MAX_TAILS, TAIL_EVERY_MS } from '../../shared/limits.ts';
import type { Change } from '../presence/change.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { Outbox } from './delivery/outbox.ts';

/** Who is sent a tail: a connection, or another hub for one of its connections. */
export type TailReader = Pick<Outbox, 'isBehind' | 'push'>;

interface TailsOptions {
  readonly presence: Pick<Users, 'unstoredEntryOf' | 'ensureStored'>;
}

interface Tail {
  /** Part of the user's id; '' for all users. */
  match: string;
  changes: string[];
  skipped: number;
}

export class Tails {
  readonly #options: TailsOptions;
  readonly #tails = new Map<TailReader, Tail>();
  /** Users of changes that are not sent yet. They are stored together, because each transaction takes long. */
  readonly #unstored = new Set<User>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /**
   * Begins a tail, or changes the match of an existing one, whose pending changes are still sent. @returns false if the
   * maximum of tails is reached.
   */
  begin(outbox: TailReader, match: string): boolean {
    if (this.#tails.size >= MAX_TAILS && !this.#tails.has(outbox)) return false;
    const tail = this.#tails.get(outbox);
    if (tail === undefined) this.#tails.set(outbox, { match, changes: [], skipped: 0 });
    else tail.match = match;
    this.#timer ??= setInterval(() => this.#send(), TAIL_EVERY_MS);
    return true;
  }

  /** @returns whether there was one. */
  end(outbox: TailReader): boolean {
    const was = this.#tails.delete(outbox);
    if (this.#tails.size === 0) this.stop();
    return was;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unstored.clear();
  }

  changed(change: Change): void {
    if (!change.isShown || this.#tails.size === 0) return;
    let json: string | undefined;
    for (const tail of this.#tails.values()) {
      if (!change.user.id.includes(tail.match)) continue;
      if (tail.changes.length < MAX_TAIL_CHANGES) tail.changes.push((json ??= this.#jsonOf(change)));
      else tail.skipped++;
    }
  }

  #send(): void {
    for (const user of this.#unstored) this.#options.presence.ensureStored(user);
    this.#unstored.clear();
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

  /** The true entry, regardless of blocks. It is not cached with the user, because it may never be needed again. */
  #jsonOf({ user, cause, source, from, at }: Change): string {
    const entry = this.#options.presence.unstoredEntryOf(user);
    if (!user.isStored && user.v > 0) this.#unstored.add(user);
    return JSON.stringify({ at, cause, ...source, from, entry });
  }
}
