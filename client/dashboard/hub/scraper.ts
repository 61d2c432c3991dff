/**
 * Reads /metrics and /readyz, again and again, into the history; tries on while the hub is away, and waits while a token
 * is wanted. Draws nothing. Started by main.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { History } from '../metrics/history.ts';
import type { Access } from './access.ts';
import { detailOf, type Calls } from './calls.ts';
import { metricsRequest, readyRequest } from './request-line.ts';

export const SCRAPE_EVERY_MS = [1000, 2000] as const;

export interface Readiness {
  readonly isReady: boolean;
  /** The failing part, named by the hub. */
  readonly failing: string;
}

export interface Scraper {
  readonly everyMs: Signal<number>;
  /** Counts scrapes, good and bad: what is drawn has changed. */
  readonly turns: Signal<number>;
  /** Null until the hub has said. */
  readonly readiness: Signal<Readiness | null>;
  start(): void;
}

export function createScraper(access: Access, calls: Calls, history: History): Scraper {
  const everyMs = createSignal<number>(SCRAPE_EVERY_MS[0]);
  const turns = createSignal(0);
  const readiness = createSignal<Readiness | null>(null);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isAsking = false;

  const ask = async (): Promise<void> => {
    const [metrics, ready] = await Promise.all([calls.send(metricsRequest), calls.send(readyRequest)]);
    if (ready.kind === 'answered') {
      const isReady = ready.status === 200;
      readiness.set({ isReady, failing: isReady ? '' : detailOf(ready.text) });
    }
    if (metrics.kind === 'answered' && metrics.status === 200) {
      access.letIn();
      history.add(metrics.text, now());
    } else if (metrics.kind !== 'refused') {
      history.hole(now());
    }
    turns.set(turns.get() + 1);
  };
  const turn = async (): Promise<void> => {
    if (isAsking) return;
    clearTimeout(timer);
    if (!access.mayAsk) return;
    isAsking = true;
    const startedAt = performance.now();
    await ask();
    isAsking = false;
    timer = setTimeout(() => void turn(), Math.max(0, everyMs.get() - (performance.now() - startedAt)));
  };
  return {
    everyMs,
    turns,
    readiness,
    start: () => {
      access.state.watch(() => void turn());
      everyMs.watch(() => void turn());
      // Timers of a hidden page are slowed down to one a minute.
      document.addEventListener('visibilitychange', () => void turn());
      void turn();
    },
  };
}

/** The time of day on a clock that never steps: rates are made of its differences. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
