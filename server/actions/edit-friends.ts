/**
 * Edits friend lists one after another: checks, stores and announces each edit. A large edit takes several loop turns.
 * An edit takes effect as a whole or not at all, even if storage fails. The roster knows how to store an edit in
 * parts, and fan-out knows how to announce it.
 */
import type { Fanout } from '../fanout/fanout.ts';
import { UNITS_PER_TURN, type TurnBudget } from '../lib/time/turn-budget.ts';
import type { Edited, ListEdits, Parts, RosterChange, RosterEdit, StoredRoster } from '../roster/port.ts';

interface RosterEditsOptions {
  readonly roster: Omit<
    StoredRoster,
    'changesSince' | 'edit' | 'follows' | 'followersAfter' | 'forgetTombstones' | 'load' | 'overfull'
  >;
  readonly fanout: Pick<Fanout, 'beginListEdit'>;
  readonly turns: TurnBudget;
  readonly limits: { readonly maxFriends: number };
  /** The hub clock. */
  readonly now: () => number;
  /** Reports that the rows of a committed edit cannot be stored now, or can be again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

/** An edit that has taken effect. */
interface Committed {
  readonly change: RosterChange;
  /** Resolves when its watchers are notified. */
  readonly notified: Promise<void>;
}

/** Cost of one edge in the turn budget: 5 to 12 µs. */
const EDGE_COST = 4;
const RETRY_AFTER_MS = 1000;

export class RosterEdits implements ListEdits {
  readonly #options: RosterEditsOptions;
  /** Edits that wait for the one in progress. */
  readonly #queue: (() => void)[] = [];
  #isBusy = false;
  #isStopped = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RosterEditsOptions) {
    this.#options = options;
  }

  async edit(edit: RosterEdit): Promise<Edited> {
    const committed = await this.#alone(() => this.#commit(edit));
    if ('full' in committed) return committed;
    await committed.notified;
    const { added, removed } = committed.change;
    return { added: added.length, removed: removed.length };
  }

  erase<T>(user: string, then: () => Promise<T>): Promise<T> {
    const { roster, fanout, turns, now } = this.#options;
    return this.#alone(async () => {
      if (roster.isUnsettled) await this.#run(roster.settleInParts(), EDGE_COST);
      for (let edges = roster.edgesOf(user); edges.length > 0; edges = roster.edgesOf(user)) {
        const atMs = now();
        const editing = fanout.beginListEdit(
          atMs,
          edges.map((edge) => edge.user),
        );
        try {
          const change = await this.#run(roster.editInParts({ kind: 'remove', edges }, atMs), EDGE_COST);
          // Whoever watches the user by id is sent its last entry.
          await editing.stored(change, true);
        } catch (error) {
          editing.failed();
          throw error;
        }
      }
      while (roster.eraseTombstones(user, now())) await turns.take(UNITS_PER_TURN);
      return then();
    });
  }

  /** Nobody else changes the lists of this hub, and none is kept apart from them. */
  refresh(): Promise<void> {
    return Promise.resolve();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#isBusy = false;
      else next();
    }
  }

  async #commit(edit: RosterEdit): Promise<Committed | { readonly full: string }> {
    const { roster, fanout, limits, now } = this.#options;
    if (roster.isUnsettled) await this.#run(roster.settleInParts(), EDGE_COST);
    const full = await this.#run(roster.overfullInParts(edit, limits.maxFriends), 1);
    if (full !== undefined) return { full };
    const atMs = now();
    const editing = fanout.beginListEdit(atMs, this.#ownersIn(edit));
    let change: RosterChange;
    try {
      change = await this.#run(roster.editInParts(edit, atMs), EDGE_COST);
    } catch (error) {
      editing.failed();
      throw error;
    }
    const notified = editing.stored(change);
    await this.#settle();
    return { change, notified };
  }

  /** Users whose lists the edit may change. */
  #ownersIn(edit: RosterEdit): string[] {
    if (edit.kind !== 'replace') return edit.edges.map(({ user }) => user);
    const { user, friends, mutual } = edit;
    return mutual ? [user, ...friends, ...this.#options.roster.friendsOf(user)] : [user];
  }

  /** Stores the rows of a committed edit. If that fails, it is tried again later, and before the next edit. */
  async #settle(): Promise<void> {
    const { roster, onHealth } = this.#options;
    try {
      await this.#run(roster.settleInParts(), EDGE_COST);
      onHealth(undefined);
    } catch (error) {
      if (this.#isStopped) return; // the next start completes it
      onHealth(error);
      this.#retry = setTimeout(() => void this.#alone(() => this.#settle()), RETRY_AFTER_MS);
    }
  }

  async #run<T>(parts: Parts<T>, costOfRow: number): Promise<T> {
    for (;;) {
      const part = parts.next();
      if (part.done === true) return part.value;
      await this.#options.turns.take(costOfRow * part.value);
    }
  }
}
