/**
 * The plotted data: the series of each measure, one point per scrape, for the last ten minutes. A failed scrape leaves
 * a gap, and no line crosses it. Has no timer and sends no requests.
 */
import { measures, type Measure, type Values } from '../../ui/metrics/measures.ts';
import { Reading } from '../../ui/metrics/reading.ts';

export const WINDOW_MS = 10 * 60_000;
/**
 * A longer time between scrapes leaves a gap, because a page that was suspended does not know what happened in between.
 */
const HOLE_AFTER_MS = 15_000;

export type Point = number | null;

interface Series {
  readonly label: string;
  readonly points: readonly Point[];
}

/** The data of one plot. */
export interface PlotData {
  /** Seconds since the epoch, as uPlot requires. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
}

export class History {
  readonly #times: number[] = [];
  readonly #columns = new Map<string, Map<string, Point[]>>(measures.map(({ id }) => [id, new Map()]));
  #last: Reading | undefined;

  /** Whether anything was ever read. */
  get isBegun(): boolean {
    return this.#last !== undefined;
  }

  add(text: string, at: number): void {
    const reading = new Reading(text, at);
    const before = this.#last;
    if (before !== undefined && at - before.at > HOLE_AFTER_MS) this.hole(at - 1);
    this.#push(at, ({ read }) => read(reading, before));
    this.#last = reading;
  }

  /** Adds a gap. One gap is enough, however long it lasts. */
  hole(at: number): void {
    const isHole = [...this.#columns.values()].every((columns) =>
      [...columns.values()].every((points) => points.length === 0 || points.at(-1) === null),
    );
    if (!isHole) this.#push(at, () => new Map());
  }

  /** Returns a copy, which does not change while the history continues. */
  plot(measure: Measure): PlotData {
    const columns = [...(this.#columns.get(measure.id) ?? [])];
    const shown = measure.isSparse === true ? columns.filter(([, points]) => points.some(isSomething)) : columns;
    return {
      times: this.#times.map((at) => at / 1000),
      series: shown.map(([label, points]) => ({ label, points: points.slice() })),
    };
  }

  /** Returns the last values that were read. They stay while the hub is unreachable. */
  latestOf({ id }: Measure): readonly { readonly label: string; readonly value: Point }[] {
    const index = this.#times.indexOf(this.#last?.at ?? NaN);
    return [...(this.#columns.get(id) ?? [])].map(([label, points]) => ({ label, value: points[index] ?? null }));
  }

  #push(at: number, read: (measure: Measure) => Values): void {
    const length = this.#times.push(at);
    for (const measure of measures) {
      const columns = this.#columns.get(measure.id);
      if (columns === undefined) continue;
      const values = read(measure);
      for (const label of values.keys()) {
        if (!columns.has(label)) columns.set(label, new Array<Point>(length - 1).fill(null));
      }
      for (const [label, points] of columns) points.push(values.get(label) ?? null);
    }
    this.#forget(at - WINDOW_MS);
  }

  #forget(until: number): void {
    const old = this.#times.findIndex((at) => at >= until);
    if (old <= 0) return;
    this.#times.splice(0, old);
    for (const columns of this.#columns.values()) {
      for (const [label, points] of columns) {
        points.splice(0, old);
        // Removed together with its adapter or reason.
        if (points.every((point) => point === null)) columns.delete(label);
      }
    }
  }
}

function isSomething(point: Point): boolean {
  return point !== null && point !== 0;
}
