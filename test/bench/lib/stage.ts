/**
 * What a run has at hand whichever workload it is: options of its own, and servers to start. Workloads are values of
 * `Workload`, one file each, listed in registry.ts.
 */
import { startHub } from './hub-server.ts';
import { prepareReference, unfitReferences } from './references.ts';
import { say, type Outcome } from './report.ts';
import type { Candidate, HubServer, Place } from './server.ts';

/** Options that every run has. */
export interface StageOptions {
  readonly transport: string;
  readonly hub: string | undefined;
  readonly isPinned: boolean;
  /** By name; undefined: those that the workload has. */
  readonly references: readonly string[] | undefined;
  /** Names of attacks with commas; undefined: all. */
  readonly attacks?: string | undefined;
}

export interface Knob {
  readonly fallback: number;
  /** 0 if it is left out. */
  readonly least?: number;
  readonly help: string;
}

export type Knobs<Names extends string> = Readonly<Record<Names, Knob>>;

export interface Workload {
  readonly name: string;
  readonly about: string;
  readonly knobs: Readonly<Record<string, Knob>>;
  /** More lines for `--help`. */
  readonly notes?: readonly string[];
  run(stage: Stage, values: Readonly<Record<string, number>>): Promise<Outcome>;
}

/** A workload whose `run` knows the names of its own options. */
export function workload<Names extends string>(definition: {
  readonly name: string;
  readonly about: string;
  readonly knobs: Knobs<Names>;
  readonly notes?: readonly string[];
  readonly run: (stage: Stage, values: Readonly<Record<Names, number>>) => Promise<Outcome>;
}): Workload {
  return { ...definition, run: (stage, values) => definition.run(stage, values) };
}

export class Stage {
  readonly #options: StageOptions;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  get engine(): string {
    return this.#options.transport;
  }

  get attacks(): string | undefined {
    return this.#options.attacks;
  }

  /** `place`: of the hub whose next run this is. */
  startHub(settings: Readonly<Record<string, string>> = {}, place?: Place): Promise<HubServer> {
    const { hub, transport, isPinned } = this.#options;
    return startHub({ main: hub, transport, core: isPinned ? 0 : null, settings, place });
  }

  /** The hubs first, then the references that can run here: those chosen, else those given. */
  async candidates(
    hubs: readonly string[],
    references: readonly string[],
    settings: Readonly<Record<string, string>>,
  ): Promise<Candidate[]> {
    const candidates: Candidate[] = hubs.map((name) => ({ name, wire: 'json', start: () => this.startHub(settings) }));
    const chosen = this.#options.references ?? references;
    const unfit = unfitReferences(chosen, references);
    if (unfit.length > 0) throw new Error(`--references: ${unfit.join(', ')}: not for this workload`);
    for (const name of chosen) {
      const prepared = await prepareReference(name, this.#options.isPinned ? 0 : null);
      if ('trouble' in prepared) say(`!!! ${name} is left out: ${prepared.trouble}`);
      else candidates.push(prepared);
    }
    return candidates;
  }
}
