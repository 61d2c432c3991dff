/**
 * A large edit that is durable as a whole, while its rows are still being stored in parts. Answers in their place, so that
 * nobody sees half of it: neither between two parts, nor while storage takes no more of them. Reads and writes nothing.
 */
import type { Edge, ListChanges, RosterChange } from './port.ts';

export class UnsettledEdit {
  readonly #atMs: number;
  readonly #added = new Edges();
  readonly #removed = new Edges();

  constructor(atMs: number) {
    this.#atMs = atMs;
  }

  get change(): RosterChange {
    return { added: this.#added.list, removed: this.#removed.list };
  }

  adds(edge: Edge): void {
    this.#added.add(edge);
  }

  removes(edge: Edge): void {
    this.#removed.add(edge);
  }

  /** The list of a user, of which `stored` is what has been stored. */
  friendsOf(user: string, stored: readonly string[]): readonly string[] {
    const [added, removed] = [this.#added.of(user), this.#removed.of(user)];
    if (added.size + removed.size === 0) return stored;
    return [...new Set([...stored, ...added])].filter((friend) => !removed.has(friend)).sort();
  }

  /** Undefined if the edit does not concern that edge. */
  follows({ user, friend }: Edge): boolean | undefined {
    if (this.#added.of(user).has(friend)) return true;
    return this.#removed.of(user).has(friend) ? false : undefined;
  }

  /** What changed in a list since an instant, of which `stored` is what has been stored. */
  changesSince(user: string, sinceMs: number, stored: ListChanges): ListChanges {
    if (sinceMs >= this.#atMs) return stored;
    const [added, removed] = [this.#added.of(user), this.#removed.of(user)];
    return {
      added: [...new Set([...stored.added, ...added])].filter((friend) => !removed.has(friend)).sort(),
      removed: [...new Set([...stored.removed, ...removed])].filter((friend) => !added.has(friend)).sort(),
    };
  }
}

/** Edges in their order, each once, to be asked for by user. */
class Edges {
  readonly list: Edge[] = [];
  readonly #byUser = new Map<string, Set<string>>();

  add(edge: Edge): void {
    const friends = this.#byUser.get(edge.user);
    if (friends?.has(edge.friend) === true) return;
    this.list.push(edge);
    if (friends === undefined) this.#byUser.set(edge.user, new Set([edge.friend]));
    else friends.add(edge.friend);
  }

  of(user: string): ReadonlySet<string> {
    return this.#byUser.get(user) ?? NONE;
  }
}

const NONE: ReadonlySet<string> = new Set();
