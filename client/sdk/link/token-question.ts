/**
 * Gets a token from one of several tabs. Asks the tab whose message is the latest, and another one if that fails, is
 * gone or gives no sign of life, because it may be frozen. Waits as long as needed for a tab that is alive. Loaded only
 * if the app gives tokens.
 */
import type { Port, ToTab } from '../tabs/tab-protocol.ts';

/** A tab that sends nothing for this long after a question may be frozen. */
const SIGN_OF_LIFE_WITHIN_MS = 3_000;

export interface AskedTab {
  readonly port: Port<ToTab>;
  /** When its last message arrived. */
  readonly receivedAt: number;
}

export class TokenQuestion {
  /** The first token that a tab gives. Rejected if no tab is left to ask. */
  readonly answer: Promise<string>;
  readonly #no: number;
  readonly #why: { readonly refresh: boolean };
  /** The tab whose message is the latest is last. */
  readonly #tabs: ReadonlySet<AskedTab>;
  readonly #askedAt = new Map<AskedTab, number>();
  readonly #failed = new Set<AskedTab>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resolve!: (token: string) => void;
  #reject!: (error: Error) => void;

  constructor(no: number, why: { readonly refresh: boolean }, tabs: ReadonlySet<AskedTab>) {
    this.#no = no;
    this.#why = why;
    this.#tabs = tabs;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#askNext();
  }

  /** Takes an answer. Ignores answers to an earlier question. */
  take(tab: AskedTab, no: number, token: string | null, problem?: string): void {
    if (no !== this.#no || this.#failed.has(tab)) return;
    clearTimeout(this.#timer);
    if (token !== null) return this.#resolve(token);
    this.#failed.add(tab);
    this.#askNext(problem);
  }

  #askNext(problem = 'no tab provided a token'): void {
    const owing = [...this.#tabs].reverse().filter((tab) => !this.#failed.has(tab));
    const next = owing.find((tab) => !this.#askedAt.has(tab)) ?? owing[0];
    if (next === undefined) this.#reject(new Error(problem));
    else this.#ask(next);
  }

  #ask(tab: AskedTab): void {
    // A frozen tab receives all its messages at once when it resumes, so one question is enough.
    if (this.#lives(tab)) {
      this.#askedAt.set(tab, performance.now());
      tab.port.postMessage(['getToken', this.#no, this.#why]);
      // The app may take long. Until then, the answer to this shows that the tab is not frozen.
      tab.port.postMessage(['ask']);
    }
    this.#timer = setTimeout(() => {
      if (this.#tabs.has(tab) && this.#lives(tab)) this.#ask(tab);
      else this.#askNext();
    }, SIGN_OF_LIFE_WITHIN_MS);
  }

  #lives(tab: AskedTab): boolean {
    return tab.receivedAt >= (this.#askedAt.get(tab) ?? -Infinity);
  }
}
