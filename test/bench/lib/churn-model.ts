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
  readonly toldTwice: number;
  readonly neverTold: readonly string[];
  readonly offlineTold: number;
}

const KEPT = 20;

export class ChurnModel {
  readonly #states = new Map<string, State>();
  readonly #lastDeeds = new Map<string, string>();
  readonly #falseOffline: string[] = [];
  readonly #neverTold: string[] = [];
  #toldTwice = 0;
  #offlineTold = 0;

  isAbsent(user: string): boolean {
    return (this.#states.get(user)?.name ?? 'absent') === 'absent';
  }

  isHere(user: string): boolean {
    return this.#states.get(user)?.name === 'here';
  }

  /** Here, and told so. */
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

  /** Something that must not show: a change, a reload. */
  did(user: string, deed: string): void {
    this.#lastDeeds.set(user, deed);
  }

  went(user: string, how: string, dueMs: number): void {
    this.#states.set(user, { name: 'going', how, dueMs });
  }

  toldPresent(user: string): void {
    if (this.isHere(user)) this.#states.set(user, { name: 'here', isSeen: true });
  }

  toldOffline(user: string): void {
    const state = this.#states.get(user);
    this.#offlineTold += 1;
    if (state?.name === 'going') this.#states.set(user, { name: 'absent' });
    else if (state?.name === 'here') {
      if (this.#falseOffline.length < KEPT)
        this.#falseOffline.push(`${user} after it ${this.#lastDeeds.get(user) ?? ''}`);
    } else this.#toldTwice += 1;
  }

  /** Whoever is overdue is noted once, and counts as absent from then on. */
  look(nowMs: number): void {
    for (const [user, state] of this.#states) {
      if (state.name !== 'going' || nowMs < state.dueMs) continue;
      if (this.#neverTold.length < KEPT) this.#neverTold.push(`${user} (${state.how})`);
      this.#states.set(user, { name: 'absent' });
    }
  }

  get verdict(): Verdict {
    const { offlineTold, toldTwice } = { offlineTold: this.#offlineTold, toldTwice: this.#toldTwice };
    return { falseOffline: this.#falseOffline, neverTold: this.#neverTold, toldTwice, offlineTold };
  }
}
