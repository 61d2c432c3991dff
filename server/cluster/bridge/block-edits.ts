/** Blocks that are set or lifted on this hub, and not yet in the record of the user who blocks. */

const NONE: ReadonlyMap<string, boolean> = new Map();

export class BlockEdits {
  /** By user, the viewers and whether each is to be blocked. */
  readonly #edits = new Map<string, Map<string, boolean>>();

  of(user: string): ReadonlyMap<string, boolean> {
    return this.#edits.get(user) ?? NONE;
  }

  add(user: string, viewer: string, isBlocked: boolean): void {
    const edits = this.#edits.get(user) ?? new Map<string, boolean>();
    this.#edits.set(user, edits.set(viewer, isBlocked));
  }

  /** Drops those that the record holds now. */
  written(user: string, hidden: ReadonlyMap<string, unknown>): void {
    const edits = this.#edits.get(user);
    if (edits === undefined) return;
    for (const [viewer, isBlocked] of edits) if (hidden.has(viewer) === isBlocked) edits.delete(viewer);
    if (edits.size === 0) this.#edits.delete(user);
  }

  forget(user: string): void {
    this.#edits.delete(user);
  }
}
