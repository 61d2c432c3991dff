/**
 * Reads /metrics and /readyz repeatedly into the history. Continues while the hub is unreachable, and pauses while the
 * page asks for a token. Draws nothing.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { History } from '../metrics/history.ts';
import type { Access } from './access.ts';
import { detailOf, type Calls } from './calls.ts';
import { metricsRequest, readyRequest } from './request-line.ts';

export const SCRAPE_EVERY_MS = [1000, 2000] as const;

interface Readiness {
  readonly isReady: boolean;
  /** The failing part, as the hub names it. */
  readonly failing: string;
}

export interface Scraper {
  readonly everyMs: Signal<number>;
  /** Counts scrapes, good and bad, so that watchers know when to redraw. */
  readonly turns: Signal<number>;
  /** Null until the hub has answered. */
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
      // Browsers limit timers of a hidden page to one a minute.
      document.addEventListener('visibilitychange', () => void turn());
      void turn();
    },
  };
}

/** Returns the time of day by a clock that never steps, because rates are computed from differences. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
