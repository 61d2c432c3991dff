/**
 * Counts observer connections by user. They have no session that could be counted, but each receives what it watches,
 * so a user may have as many observers as sessions. Observers without a user, which only an open hub allows, are not
 * counted.
 */
export class Observers {
  readonly #limits: { readonly maxSessions: number };
  readonly #counts = new Map<string, number>();

  constructor(limits: { readonly maxSessions: number }) {
    this.#limits = limits;
  }

  /** @returns false, and counts nothing, if the user is at the limit. */
  enter(user: string): boolean {
    const count = this.#counts.get(user) ?? 0;
    if (count >= this.#limits.maxSessions) return false;
    this.#counts.set(user, count + 1);
    return true;
  }

  leave(user: string): void {
    const left = (this.#counts.get(user) ?? 0) - 1;
    if (left > 0) this.#counts.set(user, left);
    else this.#counts.delete(user);
  }
}
