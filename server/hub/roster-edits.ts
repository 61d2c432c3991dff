/**
 * Edits of friend lists: one after the other, checked, stored and told, a large one in as many turns of the loop as that
 * takes. Part of hub.ts; the roster knows how to store an edit in parts, fan-out how to tell it.
 */
import type { Fanout } from '../fanout/fanout.ts';
import type { RosterEditing } from '../fanout/roster-telling.ts';
import type { TurnBudget } from '../lib/turn-budget.ts';
import type { GrowingChange, Parts, Roster, RosterEdit } from '../roster/port.ts';

/** What an edit changed, or whose list it would have made too long; nothing has changed then. */
export type Edited = { readonly added: number; readonly removed: number } | { readonly full: string };

interface RosterEditsOptions {
  readonly roster: Pick<Roster, 'overfullInParts' | 'editInParts' | 'isUnfinished' | 'finish'>;
  readonly fanout: Pick<Fanout, 'rosterChanges'>;
  readonly turns: TurnBudget;
  readonly maxFriends: number;
  /** The hub clock. */
  readonly now: () => number;
}

/** What an edge costs in the budget of a turn: 5 to 12 µs. */
const EDGE_COST = 4;
const RETRY_AFTER_MS = 1000;

export class RosterEdits {
  readonly #options: RosterEditsOptions;
  /** Those that wait for the edit that is being stored. */
  readonly #line: (() => void)[] = [];
  #isBusy = false;
  /** Why the last edit could be stored in part only. It is completed before any other. */
  #trouble: Error | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Whose list is being replaced, and those who wait to read it. */
  #replaced: { readonly user: string; readonly waiting: (() => void)[] } | null = null;

  constructor(options: RosterEditsOptions) {
    this.#options = options;
  }

  /** Commits an edit and tells it. @throws what storage throws: it has changed nothing, or will be completed. */
  async edit(edit: RosterEdit): Promise<Edited> {
    if (this.#isBusy) await new Promise<void>((goOn) => this.#line.push(goOn));
    this.#isBusy = true;
    let told: Promise<void>;
    const change: GrowingChange = { added: [], removed: [] };
    try {
      if (this.#trouble !== undefined) throw this.#trouble;
      const { roster, fanout, maxFriends, now } = this.#options;
      const full = await this.#run(roster.overfullInParts(edit, maxFriends), 1);
      if (full !== undefined) return { full };
      const atMs = now();
      const editing = fanout.rosterChanges(atMs);
      await this.#store(edit, atMs, change, editing);
      told = editing.stored(change);
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#isBusy = false;
      else next();
    }
    await told;
    return { added: change.added.length, removed: change.removed.length };
  }

  /** While the list is being replaced, what a reader waits for: it is seen as it was, or as it is then. */
  settled(user: string): Promise<void> | undefined {
    const replaced = this.#replaced;
    if (replaced?.user !== user) return undefined;
    return new Promise((goOn) => replaced.waiting.push(goOn));
  }

  stop(): void {
    clearTimeout(this.#retry);
  }

  async #store(edit: RosterEdit, atMs: number, change: GrowingChange, editing: RosterEditing): Promise<void> {
    if (edit.kind === 'replace') this.#replaced = { user: edit.user, waiting: [] };
    try {
      await this.#run(this.#options.roster.editInParts(edit, atMs, change), EDGE_COST);
    } catch (error) {
      if (this.#options.roster.isUnfinished) this.#completeLater(error, change, editing);
      else editing.failed();
      throw error;
    } finally {
      const waiting = this.#replaced?.waiting ?? [];
      this.#replaced = null;
      for (const goOn of waiting) goOn();
    }
  }

  async #run<T>(parts: Parts<T>, costOfRow: number): Promise<T> {
    for (;;) {
      const part = parts.next();
      if (part.done === true) return part.value;
      await this.#options.turns.take(costOfRow * part.value);
    }
  }

  #completeLater(error: unknown, change: GrowingChange, editing: RosterEditing): void {
    this.#trouble = error instanceof Error ? error : new Error(String(error));
    this.#retry = setTimeout(() => {
      try {
        const { added, removed } = this.#options.roster.finish();
        this.#trouble = undefined;
        void editing.stored({ added: [...change.added, ...added], removed: [...change.removed, ...removed] });
      } catch (again) {
        this.#completeLater(again, change, editing);
      }
    }, RETRY_AFTER_MS);
  }
}
