/**
 * Time: beats spread evenly over a period, waits, and the monotonic clock that all processes of one machine share.
 * Knows nothing of what is sent.
 */
export { setTimeout as sleep } from 'node:timers/promises';

const TICK_MS = 10;

/** Milliseconds with fractions, comparable between the processes of one machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface Pace {
  stop(): void;
  /** Maximum delay of a heartbeat caused by the generator itself. */
  readonly worstLateMs: number;
}

/** Calls `beat` for each index below `count` once in `everyMs`, evenly spread; `count` is asked for at each tick. */
export function paceEvenly(count: () => number, everyMs: number, beat: (index: number) => void): Pace {
  let due = 0;
  let next = 0;
  let lastAt = performance.now();
  let worstLateMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    const total = count();
    worstLateMs = Math.max(worstLateMs, now - lastAt - TICK_MS);
    due += (total * (now - lastAt)) / everyMs;
    lastAt = now;
    // After a stall one round is enough, because a second heartbeat of a user adds nothing.
    due = Math.min(due, total);
    for (; due >= 1; due -= 1) {
      if (next >= total) next = 0;
      beat(next);
      next += 1;
    }
  }, TICK_MS);
  return {
    stop: () => clearInterval(timer),
    get worstLateMs() {
      return worstLateMs;
    },
  };
}

/** Asks until the answer is yes; false if that did not happen within the time. */
export async function until(isSo: () => boolean | Promise<boolean>, withinMs: number, everyMs = 50): Promise<boolean> {
  const endAt = performance.now() + withinMs;
  for (;;) {
    if (await isSo()) return true;
    if (performance.now() > endAt) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Runs `task` for each item, `width` at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const lane = async (): Promise<void> => {
    for (const item of rest) await task(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
