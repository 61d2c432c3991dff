/**
 * Adds up how long a user was shown with each status in a span. Pure. The five sums add up to the span, to the
 * millisecond.
 */
import type { UserStatus } from '../../shared/status.ts';
import type { Gap, HistoryTransition } from './port.ts';

export type Sums = Record<UserStatus | 'unknown', number>;

export interface Span {
  readonly from: number;
  readonly to: number;
}

const statuses = ['online', 'away', 'busy', 'offline'] as const;

/** Adds the transitions of one user in order. */
export class Uptime {
  readonly sums: Sums = { online: 0, away: 0, busy: 0, offline: 0, unknown: 0 };
  readonly #span: Span;
  readonly #gaps: readonly Gap[];
  readonly #unknown: Coverage;
  /** With the gaps of this user. */
  readonly #unknownIfPresent: Coverage;
  #before: { readonly at: number; readonly to: UserStatus } | undefined;

  /**
   * `known`: from the begin of the history until now. `gaps` apply to all users, `ownGaps` to this user while it is not
   * offline. `before`: the last transition before the span.
   */
  constructor(
    span: Span,
    known: Span,
    gaps: readonly Gap[],
    ownGaps: readonly Gap[],
    before: HistoryTransition | undefined,
  ) {
    // The state before the history began may be incomplete, so that time counts as unknown.
    this.#span = { from: Math.min(Math.max(span.from, known.from), span.to), to: span.to };
    this.sums.unknown = this.#span.from - span.from;
    this.#gaps = [...gaps, { from: known.to, to: Infinity }];
    this.#unknown = new Coverage(this.#gaps);
    this.#unknownIfPresent = ownGaps.length === 0 ? this.#unknown : new Coverage([...this.#gaps, ...ownGaps]);
    this.#before = before;
  }

  /** Adds the time up to the next transition, and the times that are merged into it. */
  add({ at, from, to, merged }: HistoryTransition): void {
    const firstAt = Math.max(merged?.firstAt ?? at, this.#before?.at ?? -Infinity);
    this.#addUntil(firstAt, from);
    if (merged !== null) this.#addMerged(firstAt, at, merged);
    this.#before = { at, to };
  }

  /** Adds the time up to the end of the span. `status`: how the user is shown until `at`, which is not before that end. */
  end(status: UserStatus, at: number): Sums {
    this.#addUntil(at, status);
    return this.sums;
  }

  /**
   * If an unclean end lost a transition, the status after the last transition differs from the one before the next. It
   * was lost in one of the gaps between them. So the earlier status counts until the first of them, and the later one
   * from the last of them. In between it is unknown which of them held.
   */
  #addUntil(at: number, status: UserStatus): void {
    const { at: since, to: earlier } = this.#before ?? { at: -Infinity, to: status };
    if (earlier === status) return this.#addStatus(since, at, status);
    const between = this.#gaps.filter(({ from, to }) => from < at && (to ?? Infinity) > since && to !== Infinity);
    const earlierUntil = Math.max(since, between[0]?.from ?? since);
    const laterFrom = Math.max(since, between.at(-1)?.from ?? since);
    this.#addStatus(since, earlierUntil, earlier);
    this.sums.unknown += this.#measure(earlierUntil, laterFrom, this.#unknown)[1];
    this.#addStatus(laterFrom, at, status);
  }

  #addStatus(from: number, to: number, status: UserStatus): void {
    const [known, all] = this.#measure(from, to, status === 'offline' ? this.#unknown : this.#unknownIfPresent);
    this.sums[status] += known;
    this.sums.unknown += all - known;
  }

  /** If only a part of merged transitions is in the span, it is divided among the statuses proportionally. */
  #addMerged(from: number, to: number, lasted: Readonly<Record<UserStatus, number>>): void {
    const [known, all] = this.#measure(from, to, this.#unknownIfPresent);
    let done = 0;
    let counted = 0;
    for (const status of statuses) {
      done += lasted[status];
      const share = to === from ? 0 : Math.round((known * done) / (to - from));
      this.sums[status] += share - counted;
      counted = share;
    }
    this.sums.offline += known - counted;
    this.sums.unknown += all - known;
  }

  /** The milliseconds from `from` to `to` within the span: outside of the gaps, and in total. */
  #measure(from: number, to: number, unknown: Coverage): readonly [known: number, all: number] {
    const begin = Math.max(from, this.#span.from);
    const end = Math.min(to, this.#span.to);
    if (end <= begin) return [0, 0];
    return [end - begin - unknown.between(begin, end), end - begin];
  }
}

/** How much of a span gaps cover. Gaps may overlap. A question takes logarithmic time, because there may be thousands. */
class Coverage {
  /** Without overlaps, in order, and how much those before each cover. */
  readonly #parts: { readonly from: number; to: number; readonly before: number }[] = [];

  constructor(gaps: readonly Gap[]) {
    for (const gap of [...gaps].sort((a, b) => a.from - b.from)) {
      const to = gap.to ?? Infinity;
      const last = this.#parts.at(-1);
      if (last !== undefined && gap.from <= last.to) last.to = Math.max(last.to, to);
      else this.#parts.push({ from: gap.from, to, before: last ? last.before + last.to - last.from : 0 });
    }
  }

  between(from: number, to: number): number {
    return this.#until(to) - this.#until(from);
  }

  #until(at: number): number {
    let [low, high] = [0, this.#parts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#parts[middle]?.from ?? Infinity) < at) low = middle + 1;
      else high = middle;
    }
    const part = this.#parts[low - 1];
    return part === undefined ? 0 : part.before + Math.min(at, part.to) - part.from;
  }
}
