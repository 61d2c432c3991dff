/** The rows of the tail that pass the filter, newest first, limited to some hundreds. Pure except for its own state. */
import type { TailedChange } from '../hub/wire.ts';

/** The limit of all rows, and of rows that pass the filter. */
export const MAX_ROWS = 300;

export interface TailFilter {
  /** Part of a user id. */
  readonly user: string;
  /** The new status. Empty matches any, in this and the other fields. */
  readonly status: string;
  readonly cause: string;
  readonly adapter: string;
}

export const NO_FILTER: TailFilter = { user: '', status: '', cause: '', adapter: '' };

export interface TailRow extends TailedChange {
  /** Counts from 1, in the order of arrival. */
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
  /** The number of all changes that arrived. */
  get count(): number {
    return this.#count;
  }
  /** The causes that were seen, sorted: the choices of the filter. */
  get causes(): readonly string[] {
    return this.#causes;
  }
  get adapters(): readonly string[] {
    return this.#adapters;
  }
  get filter(): TailFilter {
    return this.#filter;
  }

  /** Adds changes, given in the order in which they happened. */
  add(changes: readonly TailedChange[]): void {
    const rows = changes.map((change) => ({ ...change, number: (this.#count += 1) })).reverse();
    this.#recent = [...rows, ...this.#recent].slice(0, MAX_ROWS);
    const passing = rows.filter((row) => passes(row, this.#filter));
    if (passing.length > 0) this.#passing = [...passing, ...this.#passing].slice(0, MAX_ROWS);
    this.#causes = withNew(this.#causes, changes, ({ cause }) => cause);
    this.#adapters = withNew(this.#adapters, changes, ({ adapter }) => adapter);
  }

  /** A narrower filter keeps only the matching rows. A wider one restores those that are still stored. */
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
 * Returns the rows to show next if a browser cannot lay out all new ones in one frame: those already shown and the
 * newest `atMost` of the others. Returns `rows` itself once all are shown.
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
