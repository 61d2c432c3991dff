/**
 * Finds out whether this node alone does not reach the store of the cluster: asks the other nodes at their HUB_NODE_URL.
 * If one of them reaches it, this node is alone. It then sends its clients to the others, because nobody hears of them
 * here. An address may be that of several workers, so an answer may come from any of them, even from this one. That is
 * sound, because only a node that reaches the store says so.
 */
import type { MemberList } from '../members.ts';
import type { Logger } from '../../lib/log/log.ts';

interface AloneOptions {
  readonly members: Pick<MemberList, 'urls'>;
  readonly inc: () => string;
  /** Whether another worker behind the same ports reaches the store. */
  readonly siblingReaches: () => Promise<boolean>;
  readonly isUp: () => boolean;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Sends all clients away, and new ones too, or no longer. */
  readonly onAlone: (isAlone: boolean) => void;
}

/** How long the store may be away before the others are asked. */
const ASK_AFTER_MS = 2500;
const ASK_EVERY_MS = 1000;
const ANSWERED_WITHIN_MS = 1000;
const MOST_ASKED = 5;
/** Of an answer. */
const MOST_CHARS = 10_000;

export class Alone {
  readonly #options: AloneOptions;
  #upAtMs: number;
  #asksAtMs = 0;
  #isAlone = false;

  constructor(options: AloneOptions) {
    this.#options = options;
    this.#upAtMs = options.nowMs();
  }

  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Does what is due. Must be called about ten times a second. */
  tick(): void {
    const { isUp, nowMs } = this.#options;
    const now = nowMs();
    if (isUp()) {
      this.#upAtMs = now;
      this.#set(false);
    } else if (now - this.#upAtMs >= ASK_AFTER_MS && now >= this.#asksAtMs && !this.#isAlone) {
      this.#asksAtMs = now + ASK_EVERY_MS;
      void this.#ask();
    }
  }

  async #ask(): Promise<void> {
    const { members, inc, siblingReaches, isUp } = this.#options;
    const urls = [...new Set(members.urls(inc()))].slice(0, MOST_ASKED);
    const answers = await Promise.all([siblingReaches(), ...urls.map(reachesStore)]);
    if (answers.includes(true) && !isUp()) this.#set(true);
  }

  #set(isAlone: boolean): void {
    if (isAlone === this.#isAlone) return;
    this.#isAlone = isAlone;
    const { log, onAlone } = this.#options;
    if (isAlone) log.warn('this hub alone cannot reach Redis: it sends its clients to the other hubs');
    else log.info('this hub reaches Redis again: it takes clients');
    onAlone(isAlone);
  }
}

/** The address comes from the store, so the answer counts only as yes or no. */
async function reachesStore(url: string): Promise<boolean> {
  try {
    const answer = await fetch(new URL('/readyz', url), {
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    });
    let text = '';
    for await (const part of answer.body ?? []) {
      text += Buffer.from(part as Uint8Array).toString();
      if (text.length > MOST_CHARS) return false;
    }
    return (JSON.parse(text) as { redis?: unknown } | null)?.redis === 'up';
  } catch {
    return false;
  }
}
