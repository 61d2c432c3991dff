/**
 * Sends users their own true fold, on connections that asked for it, with the next flush after a change. A fold that is
 * larger than the maximum entry is sent at most every 50 ms, because it lists all devices and goes to each connection
 * of a user that may have a hundred.
 */
import { MAX_ENTRY_BYTES } from '../../shared/limits.ts';
import type { User } from '../presence/user.ts';
import { audienceOf } from './lists/watched-list.ts';
import type { Outbox } from './delivery/outbox.ts';

interface SelfMessagesOptions {
  readonly send: (outbox: Outbox, json: string) => void;
  /** Minimum time between two reports of a large fold, in milliseconds. */
  readonly reportEveryMs: number;
  /** A clock in milliseconds that never goes back. */
  readonly nowMs: () => number;
  /** Requests a flush, because a fold is due. */
  readonly onDue: () => void;
}

export class SelfMessages {
  readonly #options: SelfMessagesOptions;
  #changed = new Set<User>();
  /** When a large fold of a user was last sent. Old times are dropped. */
  readonly #sentAt = new Map<User, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SelfMessagesOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#changed.size === 0;
  }

  /** Notes that the fold of the user changed. @returns whether any connection is to be notified. */
  changed(user: User): boolean {
    const { selfWatchers: selves } = audienceOf(user);
    if (selves === null || selves.size === 0) return false;
    this.#changed.add(user);
    return true;
  }

  flush(isForced: boolean): void {
    const now = this.#options.nowMs();
    const { reportEveryMs } = this.#options;
    for (const [user, sentAt] of this.#sentAt) if (now - sentAt >= reportEveryMs) this.#sentAt.delete(user);
    const users = this.#changed;
    this.#changed = new Set();
    for (const user of users) {
      const json = selfJson(user);
      const isLarge = json.length > MAX_ENTRY_BYTES;
      if (isLarge && this.#sentAt.has(user) && !isForced) {
        this.#changed.add(user);
        continue;
      }
      if (isLarge) this.#sentAt.set(user, now);
      for (const outbox of audienceOf(user).selfWatchers ?? []) this.#options.send(outbox, json);
    }
    if (!this.isEmpty) this.#timer ??= setTimeout(this.#wake, reportEveryMs);
  }

  readonly #wake = (): void => {
    this.#timer = undefined;
    this.#options.onDue();
  };
}

export function selfJson({ fold }: User): string {
  const { status, text, devices } = fold;
  return JSON.stringify({ type: 'self', status, ...(text === '' ? {} : { text }), devices });
}
