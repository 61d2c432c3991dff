/**
 * The guard: what must stay true of a hub whatever it is sent. It runs, answers /healthz in time, logs no error, loses
 * no connection of a well-behaved user, reports none of them offline, and does not grow. Says what failed; does not
 * know what was sent.
 */
import { Bystanders, type Sighting } from '../../bench/lib/bystanders.ts';
import { median } from '../../bench/lib/histogram.ts';
import { readMetrics } from '../../bench/lib/hub-http.ts';
import { megabytes } from '../../bench/lib/proc.ts';
import { round } from '../../bench/lib/report.ts';
import type { Server } from '../../bench/lib/server.ts';

const COUNTED = /^presence_hub_(heartbeats|bad_frames|refused|changes)_total/;
const GOOD = { tcp: 20, ws: 20, http: 5 };
/** Growth of the second half over the first, after a quarter for warming up. */
export const MARGIN_MB = 24;
/** A young process grows by itself: shorter runs say nothing of growth. */
const JUDGED_FROM_SAMPLES = 120;

/** All that the bystanders felt since the start. */
export interface Felt {
  longestHealthMs: number;
  /** How late the probe itself was, because the machine had no core for it. */
  probeLateMs: number;
  reportedOffline: number;
  lost: number;
}

export class Guard {
  readonly #hub: Server;
  readonly #limitMs: number;
  readonly #bystanders: Bystanders;
  readonly #onSighting: (sighting: Sighting) => void;
  readonly #rssMb: number[] = [];
  #errorsSeen = 0;
  readonly felt: Felt = { longestHealthMs: 0, probeLateMs: 0, reportedOffline: 0, lost: 0 };

  private constructor(hub: Server, bystanders: Bystanders, limitMs: number, onSighting: (sighting: Sighting) => void) {
    this.#hub = hub;
    this.#bystanders = bystanders;
    this.#limitMs = limitMs;
    this.#onSighting = onSighting;
  }

  /** Brings the good users and waits until all of them are shown. `limitMs`: the longest answer of /healthz. */
  static async start(hub: Server, limitMs: number, onSighting: (sighting: Sighting) => void): Promise<Guard> {
    return new Guard(hub, await Bystanders.start(hub, GOOD), limitMs, onSighting);
  }

  /** Forgets what the probe saw so far: the hub was being prepared. */
  async ignoreSoFar(): Promise<void> {
    await this.#bystanders.look();
  }

  /** A look, about once a second. @returns what failed since the one before. */
  async look(): Promise<string[]> {
    const ended = this.#hub.ended();
    if (ended !== null) return [`the hub ended: ${ended}`, ...this.#newErrors()];
    this.#rssMb.push(megabytes(this.#hub.rssBytes()));
    const failures = this.#newErrors().map((line) => `the hub logged an error: ${line}`);
    const sighting = await this.#bystanders.look();
    this.#onSighting(sighting);
    this.#feel(sighting);
    const { probe, reportedOffline, lost, unanswered, errors } = sighting;
    if (probe.longestMs > this.#limitMs)
      failures.push(`/healthz took ${round(probe.longestMs, 0)} ms, limit ${this.#limitMs} ms`);
    if (probe.failed > 0) failures.push(`probes of /healthz not answered with 200: ${probe.failed}`);
    for (const user of reportedOffline) failures.push(`${user} was reported offline while it sent heartbeats`);
    if (lost > 0) failures.push(`good connections that ended: ${lost} ${errors.join(', ')}`.trim());
    if (unanswered > 0) failures.push(`good HTTP heartbeats not answered with 200: ${unanswered}`);
    return failures;
  }

  /** The last look: all good users are here still, and memory has not grown. */
  async judge(): Promise<string[]> {
    const failures = await this.look();
    if (this.#hub.ended() !== null) return failures;
    const areHere = await this.#bystanders.areHere().catch(() => false);
    if (!areHere) failures.push('not all good users are shown at the end');
    const { firstMb, secondMb, isJudged } = this.memory;
    if (isJudged && secondMb - firstMb > MARGIN_MB) failures.push(`memory grew from ${firstMb} to ${secondMb} MB`);
    return failures;
  }

  get hasEnded(): boolean {
    return this.#hub.ended() !== null;
  }

  /** What the hub took of all that: input that is turned away at the door shows nothing of what is behind it. */
  async taken(): Promise<Readonly<Record<string, number>>> {
    if (this.#hub.ended() !== null) return {};
    const metrics = await readMetrics(this.#hub.port);
    const counted = [...metrics].filter(([name, value]) => value > 0 && COUNTED.test(name));
    return Object.fromEntries(counted.map(([name, value]) => [name.slice('presence_hub_'.length), value]));
  }

  get memory() {
    const settled = this.#rssMb.slice(this.#rssMb.length >> 2);
    const half = settled.length >> 1;
    return {
      /** Medians of the first and second half after warming up. */
      firstMb: median(settled.slice(0, half)),
      secondMb: median(settled.slice(half)),
      peakMb: Math.max(...this.#rssMb),
      lastMb: this.#rssMb.at(-1) ?? Number.NaN,
      isJudged: this.#rssMb.length >= JUDGED_FROM_SAMPLES,
    };
  }

  #newErrors(): readonly string[] {
    const errors = this.#hub.errors.slice(this.#errorsSeen);
    this.#errorsSeen += errors.length;
    return errors;
  }

  #feel({ probe, reportedOffline, lost, unanswered }: Sighting): void {
    this.felt.longestHealthMs = Math.max(this.felt.longestHealthMs, probe.longestMs);
    this.felt.probeLateMs = Math.max(this.felt.probeLateMs, probe.ownLateMs);
    this.felt.reportedOffline += reportedOffline.length;
    this.felt.lost += lost + unanswered;
  }
}
