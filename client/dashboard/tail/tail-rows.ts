/**
 * The rows of the tail: which changes pass the filter, newest first, some hundreds kept and no more. Pure but for its own
 * memory. Called by the tail; shown by its view.
 */
import type { TailedChange } from '../hub/wire.ts';

/** What is kept of all that comes, and of what passes the filter. */
export const MAX_ROWS = 300;

export interface TailFilter {
  /** Part of a user id. */
  readonly user: string;
  /** The status it came to; empty for any, as the others. */
  readonly status: string;
  readonly cause: string;
  readonly adapter: string;
}

export const NO_FILTER: TailFilter = { user: '', status: '', cause: '', adapter: '' };

export interface TailRow extends TailedChange {
  /** Counts from 1, in the order in which they came. */
  readonly number: number;
}

export function passes(change: TailedChange, { user, status, cause, adapter }: TailFilter): boolean {
  return (
    change.entry.user.includes(user) &&
    (status === '' || change.entry.status === status) &&
    (cause === '' || change.cause === cause) &&
    (adapter === '' || change.adapter === adapter)
  );
}

export class TailRows {
  #recent: readonly TailRow[] = [];
  #passing: readonly TailRow[] = [];
  #filter = NO_FILTER;
  #count = 0;
  #causes: readonly string[] = [];
  #adapters: readonly string[] = [];

  /** Newest first. */
  get rows(): readonly TailRow[] {
    return this.#passing;
  }
  /** All that came. */
  get count(): number {
    return this.#count;
  }
  /** Those that were seen, sorted: what there is to choose from. */
  get causes(): readonly string[] {
    return this.#causes;
  }
  get adapters(): readonly string[] {
    return this.#adapters;
  }
  get filter(): TailFilter {
    return this.#filter;
  }

  /** In the order in which they happened. */
  add(changes: readonly TailedChange[]): void {
    const rows = changes.map((change) => ({ ...change, number: (this.#count += 1) })).reverse();
    this.#recent = [...rows, ...this.#recent].slice(0, MAX_ROWS);
    const passing = rows.filter((row) => passes(row, this.#filter));
    if (passing.length > 0) this.#passing = [...passing, ...this.#passing].slice(0, MAX_ROWS);
    this.#causes = withNew(this.#causes, changes, ({ cause }) => cause);
    this.#adapters = withNew(this.#adapters, changes, ({ adapter }) => adapter);
  }

  /** Narrower: only those of the rows that pass. Wider: what is still remembered comes back. */
  setFilter(filter: TailFilter): void {
    this.#filter = filter;
    const known = new Map([...this.#passing, ...this.#recent].map((row) => [row.number, row]));
    this.#passing = [...known.values()]
      .filter((row) => passes(row, filter))
      .sort((a, b) => b.number - a.number)
      .slice(0, MAX_ROWS);
  }

  clear(): void {
    this.#recent = [];
    this.#passing = [];
  }
}

/**
 * What is to be shown next, where more is new than a browser lays out in one frame: those that are shown already and the
 * newest `atMost` of the others. It is `rows` itself once all of them are there.
 */
export function mixIn(rows: readonly TailRow[], shown: readonly TailRow[], atMost: number): readonly TailRow[] {
  const before = new Set(shown);
  let left = atMost;
  const mixed = rows.filter((row) => before.has(row) || left-- > 0);
  return mixed.length === rows.length ? rows : mixed;
}

function withNew(
  known: readonly string[],
  changes: readonly TailedChange[],
  read: (change: TailedChange) => string | undefined,
): readonly string[] {
  const fresh = new Set(changes.map(read).filter((word) => word !== undefined && !known.includes(word)) as string[]);
  return fresh.size === 0 ? known : [...known, ...fresh].sort();
}
