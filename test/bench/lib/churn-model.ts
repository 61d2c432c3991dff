/**
 * What must be true of users who come and go: a user who sends heartbeats is never reported offline, and one who left
 * is reported offline once, in time. Pure: takes events and the hub's messages, with the time as an argument.
 */
type State =
  | { readonly name: 'absent' }
  /** `isSeen`: the user was reported at least once. Before that, no report can be missing. */
  | { readonly name: 'here'; readonly isSeen: boolean }
  | { readonly name: 'going'; readonly how: string; readonly dueMs: number };

export interface Verdict {
  readonly falseOffline: readonly string[];
  readonly reportedTwice: number;
  readonly neverReported: readonly string[];
  readonly offlineReports: number;
}

const KEPT = 20;

export class ChurnModel {
  readonly #states = new Map<string, State>();
  readonly #lastDeeds = new Map<string, string>();
  readonly #falseOffline: string[] = [];
  readonly #neverReported: string[] = [];
  #reportedTwice = 0;
  #offlineReports = 0;

  isAbsent(user: string): boolean {
    return (this.#states.get(user)?.name ?? 'absent') === 'absent';
  }

  isHere(user: string): boolean {
    return this.#states.get(user)?.name === 'here';
  }

  /** Here, and reported as present. */
  isSeen(user: string): boolean {
    const state = this.#states.get(user);
    return state?.name === 'here' && state.isSeen;
  }

  count(name: State['name']): number {
    let count = 0;
    for (const state of this.#states.values()) if (state.name === name) count += 1;
    return count;
  }

  came(user: string): void {
    this.#states.set(user, { name: 'here', isSeen: false });
    this.#lastDeeds.set(user, 'came');
  }

  /** The user did something that must not show it offline: a change, a reload. */
  did(user: string, deed: string): void {
    this.#lastDeeds.set(user, deed);
  }

  went(user: string, how: string, dueMs: number): void {
    this.#states.set(user, { name: 'going', how, dueMs });
  }

  reportedPresent(user: string): void {
    if (this.isHere(user)) this.#states.set(user, { name: 'here', isSeen: true });
  }

  reportedOffline(user: string): void {
    const state = this.#states.get(user);
    this.#offlineReports += 1;
    if (state?.name === 'going') this.#states.set(user, { name: 'absent' });
    else if (state?.name === 'here') {
      if (this.#falseOffline.length < KEPT)
        this.#falseOffline.push(`${user} after it ${this.#lastDeeds.get(user) ?? ''}`);
    } else this.#reportedTwice += 1;
  }

  /** Records each overdue user once. It counts as absent from then on. */
  tick(nowMs: number): void {
    for (const [user, state] of this.#states) {
      if (state.name !== 'going' || nowMs < state.dueMs) continue;
      if (this.#neverReported.length < KEPT) this.#neverReported.push(`${user} (${state.how})`);
      this.#states.set(user, { name: 'absent' });
    }
  }

  get verdict(): Verdict {
    const { offlineReports, reportedTwice } = {
      offlineReports: this.#offlineReports,
      reportedTwice: this.#reportedTwice,
    };
    return { falseOffline: this.#falseOffline, neverReported: this.#neverReported, reportedTwice, offlineReports };
  }
}
