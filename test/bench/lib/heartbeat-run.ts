/**
 * One candidate's run of heartbeats: opens the connections, beats, and measures a window in the middle. The cost is the
 * server's CPU time divided by the heartbeats that the server itself counted.
 */
import type { HeartbeatSendersCommands, HeartbeatSendersTask } from '../roles/heartbeat-senders.ts';
import type { RunResult } from './comparison.ts';
import { sleep, until } from './pacing.ts';
import { megabytes } from './proc.ts';
import { round } from './report.ts';
import { startRole } from './roles.ts';
import type { Server } from './server.ts';
import type { Goal } from './comparison-results.ts';

export const PRICE = 'cpu µs';

/** The hub without idle sessions, compared with one that has `idle` of them: idle sessions must not cost anything. */
const ALONE = 'hub:none-idle';
const IDLE_RATIO = 1.05;

export function hubsBeside(idle: number): readonly string[] {
  return idle > 0 ? [ALONE] : [];
}

export function idleGoals(idle: number): readonly Goal[] {
  return idle > 0 ? [{ against: ALONE, atMost: IDLE_RATIO }] : [];
}

export function idleOf(candidate: string, idle: number): number {
  return candidate === ALONE ? 0 : idle;
}

export interface HeartbeatLoad extends HeartbeatSendersTask {
  readonly ratePerS: number;
  readonly warmSeconds: number;
  readonly seconds: number;
}

const TAKEN_WITHIN_MS = 5000;
const TOLERANCE = 0.02;
const SATURATED_PERCENT = 97;
/** The heartbeat senders never sleep. Less than this share of a core means that another program used it. */
const UNDISTURBED_PERCENT = 88;

export async function runHeartbeats(server: Server, load: HeartbeatLoad): Promise<RunResult> {
  const heartbeatSenders = startRole<HeartbeatSendersCommands>(
    new URL('../roles/heartbeat-senders.js', import.meta.url),
  );
  try {
    await heartbeatSenders.call('open', load);
    // Over TCP each began with a frame.
    const before = load.wire === 'xml' ? load.connections + load.idle : await server.heartbeats();
    await heartbeatSenders.call('startSending', load.ratePerS);
    await sleep(load.warmSeconds * 1000);
    const from = await sample(server);
    await heartbeatSenders.call('figures');
    await sleep(load.seconds * 1000);
    const { sent, heldBack, lost, worstLateMs, cpuPercent } = await heartbeatSenders.call('figures');
    const to = await sample(server);
    const sentInAll = await heartbeatSenders.call('rest');
    const ms = to.atMs - from.atMs;
    const cpuMs = to.cpuMs - from.cpuMs;
    const taken = to.heartbeats - from.heartbeats;
    const perS = (1000 * taken) / ms;
    const serverPercent = (100 * cpuMs) / ms;
    const failures = lost > 0 ? [`${lost} connections were lost`] : [];
    // What waits before a server that is behind may take minutes.
    if (isAbout(perS, sent / load.seconds)) failures.push(...(await notTaken(server, before + sentInAll)));
    return {
      figures: {
        [PRICE]: (1000 * cpuMs) / taken,
        'heartbeats/s': round(perS, 0),
        'cpu %': round(serverPercent, 1),
        'rss MB': megabytes(server.rssBytes()),
        'load late ms': round(worstLateMs, 1),
      },
      remarks: remarksOn(load, { sentPerS: sent / load.seconds, heldBack, perS, serverPercent }),
      failures,
      // A flood that waits costs the load's core in the kernel, and a saturated server has had all of its own.
      disturbed:
        cpuPercent < UNDISTURBED_PERCENT && serverPercent <= SATURATED_PERCENT
          ? `the load had ${round(cpuPercent, 0)}% of its core`
          : undefined,
    };
  } finally {
    heartbeatSenders.stop();
  }
}

function remarksOn(
  { ratePerS }: HeartbeatLoad,
  found: { sentPerS: number; heldBack: number; perS: number; serverPercent: number },
): string[] {
  const remarks: string[] = [];
  const sentPerS = round(found.sentPerS, 0);
  if (!isAbout(sentPerS, ratePerS))
    remarks.push(`RATE NOT KEPT: ${sentPerS}/s of ${ratePerS}/s were sent, ${found.heldBack} held back`);
  if (found.serverPercent > SATURATED_PERCENT) remarks.push('SERVER SATURATED: its ceiling, not its price');
  else if (!isAbout(found.perS, sentPerS))
    remarks.push(found.perS < sentPerS ? 'the server fell behind' : 'the server caught up with what had waited');
  return remarks;
}

function isAbout(value: number, expected: number): boolean {
  return Math.abs(value / expected - 1) <= TOLERANCE;
}

/** Every heartbeat that was sent is taken in the end, and none twice. */
async function notTaken(server: Server, expected: number): Promise<readonly string[]> {
  let taken = 0;
  const areAll = await until(async () => (taken = await server.heartbeats()) === expected, TAKEN_WITHIN_MS);
  return areAll ? [] : [`${expected} heartbeats were sent, ${taken} were taken`];
}

/** CPU before the count at both ends: they are equally far apart. */
async function sample(server: Server) {
  const atMs = performance.now();
  const cpuMs = server.cpuMs();
  return { atMs, cpuMs, heartbeats: await server.heartbeats() };
}
