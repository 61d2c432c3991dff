/**
 * What a run has at hand whichever workload it is: options of its own, and servers to start. Workloads are values of
 * `Workload`, one file each, listed in registry.ts.
 */
import { startHub } from './hub-server.ts';
import type { Outcome } from './report.ts';
import type { Place, Server } from './server.ts';

/** Options that every run has. */
export interface StageOptions {
  readonly transport: string;
  readonly hub: string | undefined;
  readonly isPinned: boolean;
}

export interface Knob {
  readonly fallback: number;
  readonly help: string;
}

export type Knobs<Names extends string> = Readonly<Record<Names, Knob>>;

export interface Workload {
  readonly name: string;
  readonly about: string;
  readonly knobs: Readonly<Record<string, Knob>>;
  run(stage: Stage, values: Readonly<Record<string, number>>): Promise<Outcome>;
}

/** A workload whose `run` knows the names of its own options. */
export function workload<Names extends string>(definition: {
  readonly name: string;
  readonly about: string;
  readonly knobs: Knobs<Names>;
  readonly run: (stage: Stage, values: Readonly<Record<Names, number>>) => Promise<Outcome>;
}): Workload {
  return { ...definition, run: (stage, values) => definition.run(stage, values) };
}

export class Stage {
  readonly #options: StageOptions;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** `place`: of the hub whose next run this is. */
  startHub(settings: Readonly<Record<string, string>> = {}, place?: Place): Promise<Server> {
    const { hub, transport, isPinned } = this.#options;
    return startHub({ main: hub, transport, core: isPinned ? 0 : null, settings, place });
  }
}
