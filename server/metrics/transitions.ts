/**
 * Counts changes of shown statuses, with the causes that everybody may know: these counts must not tell an invisible user
 * from one who left.
 */
import { userStatuses, type UserStatus } from '../../shared/status.ts';
import type { ShownCause } from '../../shared/messages/shown-cause.ts';

/** What can make a visible user offline, or give it another status than before. */
const endings: readonly ShownCause[] = ['bye', 'closed', 'lapsed', 'kicked'];

export class Transitions {
  /** By the status before, then the status after, then the cause. */
  readonly #counts: Record<UserStatus, Record<UserStatus, Partial<Record<ShownCause, number>>>>;

  constructor() {
    const each = <T>(make: (status: UserStatus) => T): Record<UserStatus, T> =>
      Object.fromEntries(userStatuses.map((status) => [status, make(status)])) as Record<UserStatus, T>;
    this.#counts = each((from) => each((to) => (from === to ? {} : zeros(causesOf(from, to)))));
  }

  count(from: UserStatus, to: UserStatus, cause: ShownCause): void {
    const counts = this.#counts[from][to];
    counts[cause] = (counts[cause] ?? 0) + 1;
  }

  *entries(): Generator<{
    readonly labels: Readonly<Record<'from' | 'to' | 'cause', string>>;
    readonly count: number;
  }> {
    for (const [from, byTo] of Object.entries(this.#counts))
      for (const [to, byCause] of Object.entries(byTo))
        for (const [cause, count] of Object.entries(byCause)) yield { labels: { from, to, cause }, count };
  }
}

/** Series that start at 0, so that the first transition of a kind counts in a rate. */
function causesOf(from: UserStatus, to: UserStatus): readonly ShownCause[] {
  if (from === 'offline') return ['began'];
  return to === 'offline' ? endings : ['began', 'set', ...endings];
}

function zeros(causes: readonly ShownCause[]): Partial<Record<ShownCause, number>> {
  return Object.fromEntries(causes.map((cause) => [cause, 0]));
}
