/**
 * The floods of a fuzz run: the attacks of its target, one after another in an order and at widths that the seed
 * chooses, round after round, beside the damaged inputs. Keeps a report of each attack. Does not judge.
 */
import { AttackMeter, Attackers, mergeReports, type AttackReport } from '../../bench/lib/attack-run.ts';
import type { Attack } from '../../bench/lib/attacks/attack.ts';
import type { Sighting } from '../../bench/lib/bystanders.ts';
import { sleep } from '../../bench/lib/pacing.ts';
import { openFilesLimit } from '../../bench/lib/proc.ts';
import { Random } from '../../bench/lib/random.ts';
import type { Server } from '../../bench/lib/server.ts';

export interface FloodOptions {
  readonly attacks: readonly Attack[];
  readonly seed: number;
  readonly attackMs: number;
  /** The rest after each. What an attack did may be reported as late as that, and counts as its own. */
  readonly restMs: number;
  /** Connections of each; default: chosen by the seed. */
  readonly width: number | undefined;
}

/** From one connection, which may not freeze a hub, to a hundred. */
const WIDTHS = [1, 1, 4, 20, 100];
const MOST_HELD = 2000;
const FILES_KEPT = 500;

export class Floods {
  readonly #hub: Server;
  readonly #options: FloodOptions;
  readonly #attackers: Attackers;
  readonly #reports = new Map<string, AttackReport>();
  readonly #random: Random;
  #meter: AttackMeter | undefined;
  #current = 'no attack';
  #isOver = false;

  constructor(hub: Server, options: FloodOptions) {
    this.#hub = hub;
    this.#options = options;
    this.#attackers = new Attackers(hub, 1);
    this.#random = new Random(options.seed);
  }

  prepare(): Promise<void> {
    return this.#attackers.prepare(this.#options.attacks);
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    while (!this.#hasEnded() && this.#options.attacks.length > 0) {
      for (const attack of this.#random.shuffle(this.#options.attacks)) {
        if (!this.#hasEnded()) await this.#runOne(attack);
      }
    }
  }

  note(sighting: Sighting): void {
    this.#meter?.note(sighting);
  }

  /** What runs now, with all that it takes to run it again. */
  get current(): string {
    return this.#current;
  }

  get reports(): readonly AttackReport[] {
    const reports = new Map(this.#reports);
    const last = this.#meter?.report;
    if (last !== undefined) reports.set(last.attack, this.#merged(last));
    return [...reports.values()];
  }

  /** Ends the attack that runs. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#meter?.over(await this.#attackers.stop());
  }

  async #runOne(attack: Attack): Promise<void> {
    const { attackMs, restMs } = this.#options;
    const width = this.#options.width ?? this.#random.pick(WIDTHS);
    const held = Math.max(20, Math.min(MOST_HELD, openFilesLimit() - FILES_KEPT));
    const seed = this.#random.below(1e9);
    this.#current = `${attack.name}, width ${width}`;
    const meter = new AttackMeter(attack.name, this.#hub);
    this.#meter = meter;
    await this.#attackers.start([attack], seed, { width, held });
    await sleep(attackMs);
    if (this.#hasEnded()) return;
    meter.over(await this.#attackers.stop());
    this.#current = `${this.#current}, or the rest after it`;
    await sleep(restMs);
    this.#reports.set(attack.name, this.#merged(meter.report));
    this.#meter = undefined;
  }

  /** `stop` comes while a run waits. */
  #hasEnded(): boolean {
    return this.#isOver || this.#hub.ended() !== null;
  }

  #merged(report: AttackReport): AttackReport {
    const before = this.#reports.get(report.attack);
    return before === undefined ? report : mergeReports(before, report);
  }
}
