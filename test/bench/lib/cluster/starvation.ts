/**
 * How long the processes under test, and the checker itself, were ready to run and had no core. On a machine with other
 * work, what is late by no more than that is not the fault of who was starved.
 */
import { starvedMs } from '../proc.ts';

const KEPT = 2000;

export class Starvation {
  readonly #pids: () => readonly number[];
  readonly #last = new Map<number, number>();
  readonly #samples: { readonly atMs: number; readonly totalMs: number }[] = [];
  #totalMs = 0;

  /** `pids`: of the processes that run now. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  /** Must be called a few times a second. */
  sample(): void {
    for (const pid of [process.pid, ...this.#pids()]) {
      const ms = starvedMs(pid);
      if (Number.isNaN(ms)) continue;
      this.#totalMs += Math.max(0, ms - (this.#last.get(pid) ?? ms));
      this.#last.set(pid, ms);
    }
    this.#samples.push({ atMs: performance.now(), totalMs: this.#totalMs });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** Of all processes together, in milliseconds. */
  since(atMs: number): number {
    const before = this.#samples.findLast((sample) => sample.atMs <= atMs) ?? this.#samples[0];
    return this.#totalMs - (before?.totalMs ?? this.#totalMs);
  }
}
