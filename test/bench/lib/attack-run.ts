/**
 * Runs attacks against a hub for a time, together with the bystanders, and reports how these were affected and what the
 * attack cost. Shared by `npm run fuzz` and `npm run bench -- hostile`. Fails only for what no attack may cause.
 */
import type { AttackersCommands } from '../roles/attackers.ts';
import type { Attack, AttackScale } from './attacks/attack.ts';
import type { Sighting } from './bystanders.ts';
import { addEnds, printEnds, type Ends } from './crowd-ends.ts';
import type { CrowdCounts } from './crowd.ts';
import { megabytes, starvedMs } from './proc.ts';
import { round, type Row } from './report.ts';
import { startRole, type Role } from './roles.ts';
import { measure, type Cost, type Server } from './server.ts';

const ATTACKING_PROCESSES = 3;

/** The processes that attack, and which attacks the hub has been prepared for. */
export class Attackers {
  readonly #hub: Server;
  readonly #roles: readonly Role<AttackersCommands>[];
  readonly #prepared = new Set<string>();

  constructor(hub: Server, processes = ATTACKING_PROCESSES) {
    this.#hub = hub;
    const module = new URL('../roles/attackers.js', import.meta.url);
    this.#roles = Array.from({ length: processes }, () => startRole<AttackersCommands>(module));
  }

  async prepare(attacks: readonly Attack[]): Promise<void> {
    const { port, tcpPort } = this.#hub;
    for (const { name, prepare } of attacks) {
      if (prepare === undefined || this.#prepared.has(name)) continue;
      this.#prepared.add(name);
      await this.#roles[0]?.call('prepare', { name, hub: { port, tcpPort } });
    }
  }

  async start(attacks: readonly Attack[], seed: number, scale: AttackScale): Promise<void> {
    // All of them hold still at once: together they get what one has alone.
    const shared = attacks.length === 1 ? scale : { width: scale.width, held: scale.held / 2 };
    const starts = attacks.map(({ name, target }, index) => {
      const role = this.#roles[index % this.#roles.length] as Role<AttackersCommands>;
      return role.call('start', {
        name,
        seed: seed + index,
        port: target === 'tcp' ? this.#hub.tcpPort : this.#hub.port,
        localAddress: process.platform === 'linux' ? `127.0.1.${index + 1}` : undefined,
        scale: shared,
      });
    });
    await Promise.all(starts);
  }

  /** Ends all attacks. @returns what they did. */
  async stop(): Promise<CrowdCounts[]> {
    return (await Promise.all(this.#roles.map((role) => role.call('stop')))).flat();
  }

  leave(): void {
    for (const role of this.#roles) role.stop();
  }
}

/** What one attack did, over all times that it ran. */
export interface AttackReport {
  readonly attack: string;
  readonly times: number;
  readonly cpuPercent: number;
  /** Share of the time in which the hub was ready to run, but other processes used its core. */
  readonly starvedPercent: number;
  readonly longestMs: number;
  readonly ownLateMs: number;
  readonly reportedOffline: number;
  readonly lost: number;
  /** HTTP heartbeats and probes. */
  readonly unanswered: number;
  readonly stales: number;
  /** From the value before the attack to the highest during it. */
  readonly rssGrowthMb: number;
  readonly rssAfterMb: number;
  readonly opened: number;
  readonly ended: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly ends: Ends;
  /** How the hub ended, or null. */
  readonly hubEnded: string | null;
}

/** Measures the hub from the start of an attack; `note` takes each look at the bystanders. */
export class AttackMeter {
  readonly #attack: string;
  readonly #hub: Server;
  readonly #used: () => Cost;
  readonly #rssBeforeMb: number;
  readonly #starvedBeforeMs: number;
  #starvedMs = Number.NaN;
  readonly #sightings: Sighting[] = [];
  #rssPeakMb: number;
  #cost: Cost | undefined;
  #counts: readonly CrowdCounts[] = [];

  constructor(attack: string, hub: Server) {
    this.#attack = attack;
    this.#hub = hub;
    this.#used = measure(hub);
    this.#rssBeforeMb = megabytes(hub.rssBytes());
    this.#starvedBeforeMs = starvedMs(hub.pid);
    this.#rssPeakMb = this.#rssBeforeMb;
  }

  note(sighting: Sighting): void {
    this.#sightings.push(sighting);
    const rssMb = megabytes(this.#hub.rssBytes());
    if (rssMb > this.#rssPeakMb) this.#rssPeakMb = rssMb;
  }

  /** The attack is over. Its effects may still be reported. */
  over(counts: readonly CrowdCounts[]): void {
    if (this.#cost !== undefined) return;
    this.#cost = this.#used();
    this.#starvedMs = starvedMs(this.#hub.pid) - this.#starvedBeforeMs;
    this.#counts = counts;
  }

  get report(): AttackReport {
    const sum = (read: (one: Sighting) => number): number => this.#sightings.reduce((all, one) => all + read(one), 0);
    const most = (read: (one: Sighting) => number): number => Math.max(0, ...this.#sightings.map(read));
    const count = (read: (one: CrowdCounts) => number): number => this.#counts.reduce((all, one) => all + read(one), 0);
    const ends: Record<string, number> = {};
    for (const one of this.#counts) addEnds(ends, one.ends);
    return {
      attack: this.#attack,
      times: 1,
      cpuPercent: this.#cost?.cpuPercent ?? Number.NaN,
      starvedPercent: (100 * this.#starvedMs) / (this.#cost?.ms ?? Number.NaN),
      longestMs: most(({ probe }) => probe.longestMs),
      ownLateMs: most(({ probe }) => probe.ownLateMs),
      reportedOffline: sum(({ reportedOffline }) => reportedOffline.length),
      lost: sum(({ lost }) => lost),
      unanswered: sum(({ unanswered, probe }) => unanswered + probe.failed),
      stales: sum(({ stales }) => stales),
      rssGrowthMb: this.#rssPeakMb - this.#rssBeforeMb,
      rssAfterMb: megabytes(this.#hub.rssBytes()),
      opened: count(({ opened }) => opened),
      ended: count(({ ended }) => ended),
      sentBytes: count(({ sentBytes }) => sentBytes),
      receivedBytes: count(({ receivedBytes }) => receivedBytes),
      ends,
      hubEnded: this.#hub.ended(),
    };
  }
}

/** Two runs of one attack as one: the sums, and the worst. */
export function mergeReports(a: AttackReport, b: AttackReport): AttackReport {
  const ends: Record<string, number> = { ...a.ends };
  addEnds(ends, b.ends);
  const times = a.times + b.times;
  return {
    attack: a.attack,
    times,
    cpuPercent: (a.cpuPercent * a.times + b.cpuPercent * b.times) / times,
    starvedPercent: (a.starvedPercent * a.times + b.starvedPercent * b.times) / times,
    longestMs: Math.max(a.longestMs, b.longestMs),
    ownLateMs: Math.max(a.ownLateMs, b.ownLateMs),
    reportedOffline: a.reportedOffline + b.reportedOffline,
    lost: a.lost + b.lost,
    unanswered: a.unanswered + b.unanswered,
    stales: a.stales + b.stales,
    rssGrowthMb: Math.max(a.rssGrowthMb, b.rssGrowthMb),
    rssAfterMb: b.rssAfterMb,
    opened: a.opened + b.opened,
    ended: a.ended + b.ended,
    sentBytes: a.sentBytes + b.sentBytes,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    ends,
    hubEnded: b.hubEnded ?? a.hubEnded,
  };
}

/** What no attack may cause. `limitMs`: the longest allowed answer time of /healthz during it. */
export function harmOf(report: AttackReport, limitMs: number): string[] {
  const { attack, longestMs, reportedOffline, lost, unanswered, hubEnded } = report;
  const harm: string[] = [];
  if (hubEnded !== null) harm.push(`${attack}: the hub ended: ${hubEnded}`);
  if (longestMs > limitMs) harm.push(`${attack}: /healthz took ${round(longestMs, 0)} ms, limit ${limitMs} ms`);
  if (reportedOffline > 0) harm.push(`${attack}: well-behaved users reported offline: ${reportedOffline}`);
  if (lost > 0) harm.push(`${attack}: lost connections of well-behaved users or the observer: ${lost}`);
  if (unanswered > 0) harm.push(`${attack}: HTTP heartbeats or probes not answered with 200: ${unanswered}`);
  return harm;
}

export function rowOf(report: AttackReport, engine: string): Row {
  return {
    engine,
    attack: report.attack,
    'sent MB': round(report.sentBytes / 1_048_576, 1),
    'received MB': round(report.receivedBytes / 1_048_576, 1),
    'cpu %': round(report.cpuPercent, 1),
    'starved %': round(report.starvedPercent, 0),
    'health max ms': round(report.longestMs, 0),
    'probe late ms': round(report.ownLateMs, 0),
    'reported offline': report.reportedOffline,
    lost: report.lost + report.unanswered,
    stales: report.stales,
    'RSS growth MB': round(report.rssGrowthMb, 0),
    'RSS after MB': round(report.rssAfterMb, 0),
    opened: report.opened,
    'ended by': report.hubEnded === null ? printEnds(report.ends) : `HUB ENDED: ${report.hubEnded}`,
  };
}
