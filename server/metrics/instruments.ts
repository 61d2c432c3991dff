/**
 * Makes instruments whose values are read from elsewhere on request: modules count in plain fields. prom-client can only add
 * to a counter, so each is reset before it is read.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Histogram } from '../lib/histogram.ts';
import { delayHistogram } from './delay-histogram.ts';

export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
}

type ByLabel = () => Readonly<Partial<Record<string, number>>>;

export class Instruments {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    const instrument: Gauge = new Gauge({ name, help, registers, collect: () => instrument.set(read()) });
  }

  /** A gauge with one label. */
  gaugeBy(name: string, help: string, label: string, read: ByLabel): void {
    const collect = (): void => {
      instrument.reset();
      for (const [value, count] of Object.entries(read())) instrument.set({ [label]: value }, count ?? 0);
    };
    const instrument: Gauge = new Gauge({ name, help, labelNames: [label], registers: [this.#registry], collect });
  }

  total(name: string, help: string, read: () => number): void {
    this.totals(name, help, [], () => [{ labels: {}, count: read() }]);
  }

  /** A counter with one label. */
  totalBy(name: string, help: string, label: string, read: ByLabel): void {
    this.totals(name, help, [label], () =>
      Object.entries(read()).map(([value, count]) => ({ labels: { [label]: value }, count: count ?? 0 })),
    );
  }

  /** A counter with any labels. */
  totals(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Reading>): void {
    const collect = (): void => {
      instrument.reset();
      for (const { labels, count } of read()) instrument.inc(labels, count);
    };
    const instrument: Counter = new Counter({ name, help, labelNames, registers: [this.#registry], collect });
  }

  delays(name: string, help: string, delays: Histogram): void {
    this.#registry.registerMetric(delayHistogram(name, help, delays));
  }
}
