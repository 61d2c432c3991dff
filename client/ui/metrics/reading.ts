/** One scrape, with access by metric, label and bucket. Pure. */
import { parsePrometheusText, type Sample } from './prometheus-text.ts';

/** Cumulative counts by upper bound, in ascending order. The last bound is Infinity. */
export type Buckets = readonly (readonly [bound: number, count: number])[];

export class Reading {
  /** When it was read, in milliseconds of the page's clock. */
  readonly at: number;
  readonly #byName = new Map<string, Sample[]>();

  constructor(text: string, at: number) {
    this.at = at;
    for (const sample of parsePrometheusText(text)) {
      const same = this.#byName.get(sample.name);
      if (same === undefined) this.#byName.set(sample.name, [sample]);
      else same.push(sample);
    }
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /**
   * Returns the value of a metric without labels, or the sum over its labels; undefined if the hub has no such metric.
   */
  total(name: string): number | undefined {
    return this.#byName.get(name)?.reduce((sum, { value }) => sum + value, 0);
  }

  /** Returns the values by one label, in the hub's order, each the sum over the other labels (the workers). */
  by(name: string, label: string): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, value } of this.#byName.get(name) ?? []) {
      const key = labels[label] ?? '';
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return sums;
  }

  buckets(name: string): Buckets {
    return [...this.by(`${name}_bucket`, 'le')]
      .map(([le, count]) => [le === '+Inf' ? Infinity : Number(le), count] as const)
      .sort(([a], [b]) => a - b);
  }
}
