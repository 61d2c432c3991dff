/**
 * The guard: what must stay true of a hub whatever it is sent. It runs, answers /healthz in time, logs no error, loses no
 * good connection, tells no good user offline, and does not grow. Says what failed; does not know what was sent.
 */
import { median } from '../../bench/lib/histogram.ts';
import { ask, probeHealth, readMetrics } from '../../bench/lib/hub-http.ts';
import { until } from '../../bench/lib/pacing.ts';
import { megabytes } from '../../bench/lib/proc.ts';
import { startRole, type Role } from '../../bench/lib/roles.ts';
import type { Server } from '../../bench/lib/server.ts';
import type { ObserverCommands } from '../../bench/roles/observer.ts';
import type { SteadfastCommands } from '../../bench/roles/steadfast.ts';

const COUNTED = /^presence_hub_(heartbeats|bad_frames|refused|changes)_total/;
const HERE_WITHIN_MS = 10_000;
/** Growth of the second half over the first, after a quarter for warming up. */
export const MARGIN_MB = 24;
/** A young process grows by itself: shorter runs say nothing of growth. */
const JUDGED_FROM_SAMPLES = 120;

export class Guard {
  readonly #hub: Server;
  readonly #healthyWithinMs: number;
  readonly #observer: Role<ObserverCommands>;
  readonly #steadfast: Role<SteadfastCommands>;
  readonly #good: readonly string[];
  readonly #rssMb: number[] = [];
  slowestHealthMs = 0;

  private constructor(hub: Server, good: readonly string[], healthyWithinMs: number) {
    this.#hub = hub;
    this.#healthyWithinMs = healthyWithinMs;
    this.#good = good;
    this.#observer = startRole<ObserverCommands>(new URL('../../bench/roles/observer.js', import.meta.url));
    this.#steadfast = startRole<SteadfastCommands>(new URL('../../bench/roles/steadfast.js', import.meta.url));
  }

  /** Brings the good users and waits until all of them are shown. */
  static async start(hub: Server, healthyWithinMs: number): Promise<Guard> {
    const named = (kind: string, count: number): string[] =>
      Array.from({ length: count }, (_, no) => `steadfast-${kind}-${no}`);
    const [tcp, ws, http] = [named('tcp', 20), named('ws', 20), named('http', 5)];
    const { port, tcpPort } = hub;
    const guard = new Guard(hub, [...tcp, ...ws, ...http], healthyWithinMs);
    await guard.#steadfast.call('open', { port, tcpPort, tcp, ws, http });
    if (!(await until(() => guard.#areHere(), HERE_WITHIN_MS)))
      throw new Error('the good users did not all come online');
    await guard.#observer.call('watch', { port, users: guard.#good });
    return guard;
  }

  /** A look, about once a second. @returns what failed. */
  async look(): Promise<string[]> {
    const ended = this.#hub.ended();
    if (ended !== null) return [`the hub ended: ${ended}`, ...this.#hub.errors];
    this.#rssMb.push(megabytes(this.#hub.rssBytes()));
    const failures = this.#hub.errors.map((line) => `the hub logged an error: ${line}`);
    const healthMs = await probeHealth(this.#hub.port, this.#healthyWithinMs);
    if (healthMs === null) failures.push(`/healthz was not answered within ${this.#healthyWithinMs} ms`);
    else this.slowestHealthMs = Math.max(this.slowestHealthMs, healthMs);
    const { offline, lost, errors } = await this.#observer.call('ledger');
    for (const { user } of offline) failures.push(`${user} was told offline while it was beating`);
    if (lost > 0) failures.push(`the observer lost its connection: ${errors.join(', ')}`);
    const figures = await this.#steadfast.call('figures');
    if (figures.lost > 0) failures.push(`${figures.lost} good connections ended`);
    if (figures.unanswered > 0) failures.push(`${figures.unanswered} good HTTP heartbeats were not answered with 200`);
    return failures;
  }

  /** The last look: all good users are here still, and memory has not grown. */
  async judge(): Promise<string[]> {
    const failures = await this.look();
    if (this.#hub.ended() !== null) return failures;
    if (!(await this.#areHere())) failures.push('not all good users are shown at the end');
    const { firstMb, secondMb, isJudged } = this.memory;
    if (isJudged && secondMb - firstMb > MARGIN_MB) failures.push(`memory grew from ${firstMb} to ${secondMb} MB`);
    return failures;
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
      firstMb: median(settled.slice(0, half)),
      secondMb: median(settled.slice(half)),
      lastMb: this.#rssMb.at(-1) ?? Number.NaN,
      isJudged: this.#rssMb.length >= JUDGED_FROM_SAMPLES,
    };
  }

  async #areHere(): Promise<boolean> {
    const { body } = await ask(this.#hub.port, 'POST', '/v1/presence', { users: this.#good });
    const { entries } = JSON.parse(body) as { readonly entries: readonly { readonly status: string }[] };
    return entries.length === this.#good.length && entries.every(({ status }) => status === 'online');
  }
}
