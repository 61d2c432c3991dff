/**
 * W5: well-behaved users beat while attackers do what they can on both ports, one attack after another and then all at
 * once. No well-behaved user may be reported offline or lose its connection, /healthz must be answered in time, and nothing may
 * be left when the attackers are gone. The hub has its default limits. A hub that was harmed is replaced, so that each
 * attack meets a sound one.
 */
import { rmSync } from 'node:fs';
import { AttackMeter, Attackers, harmOf, rowOf, type AttackReport } from '../lib/attack-run.ts';
import type { Attack, AttackScale } from '../lib/attacks/attack.ts';
import { attacksNamed, describeAttacks } from '../lib/attacks/index.ts';
import { Bystanders, type Sighting } from '../lib/bystanders.ts';
import { readMetrics, sumOf } from '../lib/hub-http.ts';
import { sleep, until } from '../lib/pacing.ts';
import { openFilesLimit } from '../lib/proc.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import type { HubServer, Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';

const knobs = {
  good: { fallback: 1000, help: 'well-behaved legacy TCP users' },
  'good-ws': { fallback: 20, help: 'well-behaved WebSocket users' },
  'good-http': { fallback: 5, help: 'well-behaved HTTP users' },
  seconds: { fallback: 10, help: 'length of each attack' },
  'all-seconds': { fallback: 60, help: 'length of all attacks at once; 0 leaves that row out' },
  'half-open': { fallback: 10_000, help: 'connections that hold still; fewer if the system allows no more' },
  'after-ms': {
    fallback: 6500,
    help: 'rest after an attack: longer than a lease, so that what it did is in its own row',
  },
  width: { fallback: 40, help: 'connections of each flood' },
  'health-ms': { fallback: 250, help: 'longest answer of /healthz beside one attack' },
  seed: { fallback: 5, help: 'seed of what the attacks send' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const hostile = workload({
  name: 'hostile',
  about: 'attacks on both ports, while well-behaved users beat: none may be reported offline (W5)',
  knobs,
  notes: ['--attack NAME,…: only these, or those whose names begin so (ws-); all without it:', ...describeAttacks()],
  run,
});

const GONE_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 500;
const CALM_WITHIN_MS = 120_000;
/** Descriptors that the generator and the hub need for all else. */
const FILES_KEPT = 2500;
/** All at once is more than the promise about /healthz: only the users are judged. */
const NO_LIMIT = Number.POSITIVE_INFINITY;

/** A hub, those whom it must serve, and those who attack it. */
interface Scene {
  readonly hub: HubServer;
  readonly bystanders: Bystanders;
  readonly attackers: Attackers;
}

interface Act {
  readonly label: string;
  readonly attacks: readonly Attack[];
  readonly seconds: number;
  readonly limitMs: number;
}

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const chosen = attacksNamed(stage.attacks);
  const { seconds, 'all-seconds': allSeconds, 'health-ms': limitMs } = values;
  const peace = { attacks: [], seconds, limitMs };
  const acts: Act[] = [
    { ...peace, label: 'nothing (before)' },
    ...chosen.map((attack) => ({ label: attack.name, attacks: [attack], seconds, limitMs })),
  ];
  if (allSeconds > 0) acts.push({ label: 'all at once', attacks: chosen, seconds: allSeconds, limitMs: NO_LIMIT });
  acts.push({ ...peace, label: 'nothing (after)' });

  const held = Math.max(20, Math.min(values['half-open'], openFilesLimit() - FILES_KEPT - values.good));
  const scale = { width: values.width, held };
  progress(
    `${values.good} legacy users beat; ${held} connections will hold still (of ${values['half-open']} asked for)`,
  );
  const failures: string[] = [];
  const rows: Row[] = [];
  let scene = await open(stage, values);
  let worstLateMs = 0;
  for (const [index, act] of acts.entries()) {
    const seed = values.seed + 1000 * index;
    const { report, lateMs } = await play(scene, act, { seed, scale, afterMs: values['after-ms'] });
    const harm = harmOf(report, act.limitMs);
    failures.push(...harm);
    rows.push(rowOf(report, stage.engine));
    worstLateMs = Math.max(worstLateMs, lateMs);
    progress(`${act.label}: ${harm.length === 0 ? 'no harm' : harm.join('; ')}`);
    if (harm.length === 0) continue;
    failures.push(...(await close(scene, 'kill')));
    scene = await open(stage, values);
  }
  const left = await connectionsLeft(scene.hub, values);
  if (left > 0) failures.push(`${left} connections are left of the attackers`);
  failures.push(...(await close(scene, 'stop')));
  printTable(rows);
  progress(`connections left: ${left}; the well-behaved users' own worst lateness: ${round(worstLateMs, 0)} ms`);
  return { failures, figures: { held, left, worstLateMs: round(worstLateMs), attacks: rows } };
}

async function open(stage: Stage, values: Values): Promise<Scene> {
  const hub = await stage.startHub();
  const counts = { tcp: values.good, ws: values['good-ws'], http: values['good-http'] };
  const bystanders = await Bystanders.start(hub, counts);
  return { hub, bystanders, attackers: new Attackers(hub) };
}

/** @returns what is wrong with the hub at its end. */
async function close({ hub, bystanders, attackers }: Scene, how: 'kill' | 'stop'): Promise<string[]> {
  attackers.leave();
  bystanders.leave();
  if (hub.ended() === null && how === 'stop') await hub.stop();
  else if (hub.ended() === null) rmSync((await hub.crash()).folder, { recursive: true, force: true });
  return hub.errors.map((line) => `the hub logged an error: ${line}`);
}

/** One stretch of attacks (none: peace), with what it cost the hub and what the bystanders felt. */
async function play(
  { hub, bystanders, attackers }: Scene,
  { label, attacks, seconds }: Act,
  { seed, scale, afterMs }: { readonly seed: number; readonly scale: AttackScale; readonly afterMs: number },
): Promise<{ readonly report: AttackReport; readonly lateMs: number }> {
  await attackers.prepare(attacks);
  // What the preparation did to the probe is not the attack's.
  await bystanders.look();
  const meter = new AttackMeter(label, hub);
  let lateMs = 0;
  const watch = async (forMs: number, isOver?: (sighting: Sighting) => boolean): Promise<void> => {
    const endAt = performance.now() + forMs;
    do {
      await sleep(Math.min(LOOK_EVERY_MS, forMs));
      const sighting = await bystanders.look();
      lateMs = sighting.worstLateMs;
      meter.note(sighting);
      if (isOver?.(sighting) === true) return;
    } while (performance.now() < endAt && hub.ended() === null);
  };
  await attackers.start(attacks, seed, scale);
  await watch(1000 * seconds);
  meter.over(await attackers.stop());
  if (attacks.length > 0) {
    // A hub that still works through what it was sent has not reported it yet.
    await watch(CALM_WITHIN_MS, ({ probe }) => probe.answers > 0 && probe.waiting <= 1);
    await watch(afterMs);
  }
  return { report: meter.report, lateMs };
}

async function connectionsLeft(hub: Server, values: Values): Promise<number> {
  const wanted = values.good + values['good-ws'] + 1;
  let left = 0;
  await until(async () => {
    const metrics = await readMetrics(hub.port);
    left = sumOf(metrics, 'presence_hub_connections') - wanted;
    return left <= 0;
  }, GONE_WITHIN_MS);
  return Math.max(0, left);
}
