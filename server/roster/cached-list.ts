/** One friend list in memory, with its latest changes. Reads nothing. */
import type { Edge, ListChanges, RosterChange } from './port.ts';
import type { ReadList } from './remote.ts';

/** Changes of one list that are remembered, so that a client that reconnects need not be sent the whole list. */
const MAX_NEWS = 100;

interface News {
  readonly atMs: number;
  readonly friend: string;
  readonly isAdded: boolean;
}

export class CachedList {
  readonly #owner: string;
  readonly #friends: Set<string>;
  #sorted: readonly string[] | undefined;
  #position: number;
  /** All changes since this instant on the hub clock are in `#news`. */
  #knownFromMs: number;
  readonly #news: News[] = [];

  constructor(owner: string, { friends, position }: ReadList, nowMs: number) {
    this.#owner = owner;
    this.#friends = new Set(friends);
    this.#position = position;
    this.#knownFromMs = nowMs;
  }

  get size(): number {
    return this.#friends.size;
  }

  /** Number of the last change that the list contains. */
  get position(): number {
    return this.#position;
  }

  get friends(): readonly string[] {
    return (this.#sorted ??= [...this.#friends].sort());
  }

  has(friend: string): boolean {
    return this.#friends.has(friend);
  }

  /** Returns how a list that was read later differs from this one. */
  differenceTo({ friends }: ReadList): RosterChange {
    const now = new Set(friends);
    return {
      added: [...now].filter((friend) => !this.#friends.has(friend)).map((friend) => this.#edgeTo(friend)),
      removed: [...this.#friends].filter((friend) => !now.has(friend)).map((friend) => this.#edgeTo(friend)),
    };
  }

  /** Applies one change. @returns whether it changed the list. */
  apply(friend: string, isAdded: boolean): boolean {
    if (this.#friends.has(friend) === isAdded) return false;
    if (isAdded) this.#friends.add(friend);
    else this.#friends.delete(friend);
    this.#sorted = undefined;
    return true;
  }

  /** Notes the number of the last change that the list contains. */
  reached(position: number): void {
    this.#position = Math.max(this.#position, position);
  }

  /** Remembers when a change was made known. */
  note(atMs: number, friend: string, isAdded: boolean): void {
    this.#news.push({ atMs, friend, isAdded });
    if (this.#news.length > MAX_NEWS) this.#knownFromMs = Math.max(this.#knownFromMs, this.#news.shift()?.atMs ?? 0);
  }

  /**
   * Undefined if the changes are not known back to that instant, or if one was made within `slackMs` of it, so that
   * another hub may have reported it on the other side of the instant.
   */
  changesSince(sinceMs: number, slackMs: number): ListChanges | undefined {
    if (sinceMs - slackMs < this.#knownFromMs) return undefined;
    if (slackMs > 0 && this.#news.some(({ atMs }) => Math.abs(atMs - sinceMs) <= slackMs)) return undefined;
    const changed = new Set(this.#news.filter(({ atMs }) => atMs > sinceMs).map(({ friend }) => friend));
    const sorted = [...changed].sort();
    return {
      added: sorted.filter((friend) => this.#friends.has(friend)),
      removed: sorted.filter((friend) => !this.#friends.has(friend)),
    };
  }

  #edgeTo(friend: string): Edge {
    return { user: this.#owner, friend };
  }
}
