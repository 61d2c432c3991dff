/**
 * W5: good legacy users beat while attackers do what they can on both ports, one attack after another and then all at once.
 * No good user may be told offline or lose its connection, and nothing may be left when the attackers are gone. The hub
 * has its default limits.
 */
import { attacks } from '../lib/attacks.ts';
import type { CrowdCounts } from '../lib/crowd.ts';
import { Histogram } from '../lib/histogram.ts';
import { probeHealth, readMetrics, sumOf } from '../lib/hub-http.ts';
import { sleep, until } from '../lib/pacing.ts';
import { megabytes, openFilesLimit } from '../lib/proc.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { AttackersCommands } from '../roles/attackers.ts';
import type { ObserverCommands } from '../roles/observer.ts';
import type { SteadfastCommands } from '../roles/steadfast.ts';

const knobs = {
  good: { fallback: 1000, help: 'good legacy TCP users' },
  seconds: { fallback: 15, help: 'length of each attack' },
  'all-seconds': { fallback: 60, help: 'length of all attacks at once' },
  'half-open': { fallback: 10_000, help: 'connections that hold still; fewer where the system allows no more' },
  'after-ms': { fallback: 6500, help: 'rest after an attack: a lease and more, so what it did is told in its own row' },
  width: { fallback: 40, help: 'connections of each flood' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const hostile = workload({
  name: 'hostile',
  about: 'attacks on both ports, while good users beat: none may be told offline (W5)',
  knobs,
  run,
});

const ATTACKING_PROCESSES = 3;
const GONE_WITHIN_MS = 20_000;
const PROBE_EVERY_MS = 250;
const PROBE_WITHIN_MS = 5000;
/** Descriptors that the generator and the hub need for all else. */
const FILES_KEPT = 2500;

interface Play {
  readonly hub: Server;
  readonly observer: Role<ObserverCommands>;
  readonly steadfast: Role<SteadfastCommands>;
  readonly attackers: readonly Role<AttackersCommands>[];
  readonly failures: string[];
  readonly afterMs: number;
  readonly scale: { readonly width: number; readonly held: number };
}

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const hub = await stage.startHub();
  const held = Math.max(20, Math.min(values['half-open'], openFilesLimit() - FILES_KEPT - values.good));
  const good = Array.from({ length: values.good }, (_, index) => `good${index}`);
  const play: Play = {
    hub,
    observer: startRole<ObserverCommands>(new URL('../roles/observer.js', import.meta.url)),
    steadfast: startRole<SteadfastCommands>(new URL('../roles/steadfast.js', import.meta.url)),
    attackers: Array.from({ length: ATTACKING_PROCESSES }, () =>
      startRole<AttackersCommands>(new URL('../roles/attackers.js', import.meta.url)),
    ),
    failures: [],
    afterMs: values['after-ms'],
    scale: { width: Math.max(4, values.width), held },
  };
  const { port, tcpPort } = hub;
  await play.steadfast.call('open', { port, tcpPort, tcp: good, ws: [], http: [] });
  await play.observer.call('watch', { port, users: good });
  await until(async () => sumOf(await readMetrics(port), 'presence_hub_sessions') >= good.length, GONE_WITHIN_MS);
  const connectionsBefore = sumOf(await readMetrics(port), 'presence_hub_connections');
  progress(`${good.length} good users beat; ${held} connections will hold still (of ${values['half-open']} asked for)`);

  const rows: Row[] = [await attackRow(play, 'nothing (before)', [], values.seconds)];
  for (const { name } of attacks) rows.push(await attackRow(play, name, [name], values.seconds));
  const together = attacks.map(({ name }) => name);
  rows.push(await attackRow(play, 'all at once', together, values['all-seconds']));
  rows.push(await attackRow(play, 'nothing (after)', [], values.seconds));

  let left = 0;
  await until(async () => {
    left = sumOf(await readMetrics(port), 'presence_hub_connections') - connectionsBefore;
    return left <= 0;
  }, GONE_WITHIN_MS);
  const figures = await play.steadfast.call('figures');
  if (left > 0) play.failures.push(`${left} connections are left of the attackers`);
  if (figures.lost > 0) play.failures.push(`${figures.lost} good users lost their connection`);
  const ended = hub.ended();
  if (ended !== null) play.failures.push(`the hub ended: ${ended}`);
  for (const line of hub.errors) play.failures.push(`the hub logged an error: ${line}`);
  printTable(rows);
  progress(`connections left: ${left}; the good users' own worst lateness: ${round(figures.worstLateMs, 0)} ms`);
  await hub.stop();
  return { failures: play.failures, figures: { held, left, worstLateMs: round(figures.worstLateMs), attacks: rows } };
}

/** One stretch of attacks by name (none: peace), with what it cost the hub and what the good users felt. */
async function attackRow(play: Play, label: string, names: readonly string[], seconds: number): Promise<Row> {
  const { hub, scale } = play;
  const starts = names.map((name, index) => {
    const isTcp = attacks.find((attack) => attack.name === name)?.door === 'tcp';
    const attacker = play.attackers[index % play.attackers.length] as Role<AttackersCommands>;
    return attacker.call('start', {
      name,
      port: isTcp ? hub.tcpPort : hub.port,
      localAddress: process.platform === 'linux' ? `127.0.1.${index + 1}` : undefined,
      // All of them hold still at once: together they get what one has alone.
      scale: names.length === 1 ? scale : { width: scale.width, held: scale.held / 2 },
    });
  });
  await Promise.all(starts);
  const used = measure(hub);
  const health = await probe(hub, 1000 * seconds);
  const cost = used();
  const counts = (await Promise.all(play.attackers.map((attacker) => attacker.call('stop')))).flat();
  if (names.length > 0) await sleep(play.afterMs);
  const { offline, lost, errors, stales } = await play.observer.call('ledger');
  if (offline.length > 0) play.failures.push(`${label}: ${offline.length} good users were told offline`);
  if (lost > 0) play.failures.push(`${label}: the observer lost its connection: ${errors.join(', ')}`);
  const sum = (read: (one: CrowdCounts) => number): number => counts.reduce((total, one) => total + read(one), 0);
  progress(`${label}: ${offline.length} false lapses, hub ${cost.cpuPercent}% of a core, ${cost.rssMb} MB`);
  return {
    attack: label,
    'false lapses': offline.length,
    stales,
    'cpu %': cost.cpuPercent,
    'rss MB': cost.rssMb,
    'rss MB after': megabytes(hub.rssBytes()),
    'health p50 ms': round(health.times.percentile(0.5)),
    'health max ms': round(health.times.maxMs, 1),
    unanswered: health.unanswered,
    opened: sum((one) => one.opened),
    'ended by hub': sum((one) => one.ended),
    'open at end': sum((one) => one.open),
    'sent MB': round(sum((one) => one.sentBytes) / 1_048_576, 1),
  };
}

async function probe(hub: Server, forMs: number): Promise<{ times: Histogram; unanswered: number }> {
  const times = new Histogram();
  let unanswered = 0;
  const endAt = performance.now() + forMs;
  while (performance.now() < endAt) {
    const ms = await probeHealth(hub.port, PROBE_WITHIN_MS);
    if (ms === null) unanswered += 1;
    else times.add(ms);
    await sleep(PROBE_EVERY_MS);
  }
  return { times, unanswered };
}
