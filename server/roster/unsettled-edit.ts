/**
 * A large edit that is durable as a whole while its rows are still being stored in parts. Answers in place of the
 * missing rows, so that no reader sees half of the edit, neither between two parts nor while storage fails. Reads and
 * writes no storage.
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

  /** Returns the list of a user. `stored` is the part in storage. */
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

  /** Returns the changes of a list since an instant. `stored` is the part in storage. */
  changesSince(user: string, sinceMs: number, stored: ListChanges): ListChanges {
    if (sinceMs >= this.#atMs) return stored;
    const [added, removed] = [this.#added.of(user), this.#removed.of(user)];
    return {
      added: [...new Set([...stored.added, ...added])].filter((friend) => !removed.has(friend)).sort(),
      removed: [...new Set([...stored.removed, ...removed])].filter((friend) => !added.has(friend)).sort(),
    };
  }
}

/** Distinct edges in order, indexed by user. */
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
