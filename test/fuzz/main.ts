/**
 * `npm run fuzz -- tcp|ws|http [--minutes N] [--seed N]`: sends damaged input to a hub of its own, while good users beat
 * and a guard looks at them; keeps what was sent before a failure, for `--replay FILE`. Called through fuzz.mjs.
 */
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { startHub } from '../bench/lib/hub-server.ts';
import { sleep } from '../bench/lib/pacing.ts';
import { root } from '../bench/lib/places.ts';
import { canPin, pinSelf } from '../bench/lib/proc.ts';
import { progress, round, say } from '../bench/lib/report.ts';
import { startRole, stopRoles, type Role } from '../bench/lib/roles.ts';
import { killServers } from '../bench/lib/server-process.ts';
import type { Server } from '../bench/lib/server.ts';
import { Guard, MARGIN_MB } from './lib/guard.ts';
import { keep, readKept, targetNames, type Found, type TargetName } from './lib/input.ts';
import type { FuzzerCommands } from './roles/fuzzer.ts';

const EXIT_USAGE = 2;
const PROGRESS_EVERY_MS = 10_000;
/** After the last input, what it did may take a lease to be told. */
const AFTERMATH_MS = 6500;
/**
 * Where there is room, V8 lets 100 MB of what connections leave behind lie before it looks at the old space: with room for
 * little more than lives (45 MB), what grows is what is kept.
 */
const OLD_SPACE_MB = 96;
const LARGEST_SEED = 2_000_000_000;
const USAGE = `npm run fuzz -- ${targetNames.join('|')} [--minutes N] [--seed N] [--transport auto|uws|ws] [--hub FILE] [--no-pin]
      [--lanes N: connections at once] [--health-ms N: /healthz must be answered within that]
npm run fuzz -- --replay FILE   sends the inputs of a kept failure once more`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    transport: { type: 'string', default: 'auto' },
    'health-ms': { type: 'string', default: '2000' },
    lanes: { type: 'string', default: '12' },
    replay: { type: 'string' },
    hub: { type: 'string' },
    'no-pin': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const replayed = values.replay === undefined ? undefined : readKept(values.replay);
  const target = replayed?.target ?? targetNames.find((name) => name === positionals[0]);
  const minutes = Number(values.minutes);
  const seed = replayed?.seed ?? Number(values.seed ?? Date.now() % LARGEST_SEED);
  if (values.help || target === undefined || !(minutes > 0) || !Number.isSafeInteger(seed)) {
    say(USAGE);
    return values.help ? 0 : EXIT_USAGE;
  }
  const isPinned = canPin && !values['no-pin'];
  if (isPinned) pinSelf(1);
  const { transport, hub: hubFile } = values;
  try {
    const core = isPinned ? 0 : null;
    const hub = await startHub({ main: hubFile, transport, core, settings: {}, oldSpaceMb: OLD_SPACE_MB });
    return await fuzz(hub, { target, seed, minutes, replayed });
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  } finally {
    stopRoles();
    killServers();
  }
}

interface Run {
  readonly target: TargetName;
  readonly seed: number;
  readonly minutes: number;
  readonly replayed: Found | undefined;
}

async function fuzz(hub: Server, run: Run): Promise<number> {
  const { target, seed, minutes, replayed } = run;
  const guard = await Guard.start(hub, Number(values['health-ms']));
  const fuzzer = startRole<FuzzerCommands>(new URL('./roles/fuzzer.js', import.meta.url));
  const addresses = process.platform === 'linux' ? Array.from({ length: 16 }, (_, no) => `127.0.2.${no + 1}`) : [];
  const door = { port: target === 'tcp' ? hub.tcpPort : hub.port, addresses };
  const startedAt = performance.now();
  if (replayed === undefined) {
    say(`fuzz ${target}: seed ${seed}, ${minutes} minutes, engine ${values.transport}`);
    await fuzzer.call('start', { target, seed, door, lanes: Number(values.lanes) });
  } else {
    say(`replay of ${replayed.inputs.length} inputs that were followed by: ${replayed.failures.join('; ')}`);
    await fuzzer.call('replay', { door, inputs: replayed.inputs });
  }
  const failures = await watchOver(guard, fuzzer, replayed === undefined ? minutes * 60_000 : 0);
  const seconds = (performance.now() - startedAt) / 1000;
  await fuzzer.call('stop');
  if (failures.length === 0) {
    await sleep(AFTERMATH_MS);
    failures.push(...(await guard.judge()));
  }
  const { inputs, parts, bytes } = await fuzzer.call('figures');
  const taken = await guard.taken().catch(() => ({}));
  if (failures.length > 0 && replayed === undefined) await keepFailure(fuzzer, run, failures, inputs);
  else if (failures.length === 0) failures.push(...(await stopped(hub)));
  for (const failure of failures) say(`FAILED: ${failure}`);
  const perS = { inputsPerS: round(inputs / seconds, 0), partsPerS: round(parts / seconds, 0) };
  const memory = { ...guard.memory, marginMb: MARGIN_MB };
  const figures = { inputs, parts, bytes, ...perS, slowestHealthMs: round(guard.slowestHealthMs), memory, taken };
  say(
    JSON.stringify({
      fuzz: target,
      seed,
      seconds: round(seconds, 0),
      hasPassed: failures.length === 0,
      failures,
      ...figures,
    }),
  );
  return failures.length === 0 ? 0 : 1;
}

/** Looks once a second until something failed or the time is over. */
async function watchOver(guard: Guard, fuzzer: Role<FuzzerCommands>, forMs: number): Promise<string[]> {
  const startedAt = performance.now();
  let saidAt = startedAt;
  while (performance.now() - startedAt < forMs) {
    await sleep(Math.min(1000, forMs));
    const failures = await guard.look();
    if (failures.length > 0) return failures;
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = performance.now();
    const { inputs, parts } = await fuzzer.call('figures');
    const health = `slowest /healthz ${round(guard.slowestHealthMs, 0)} ms`;
    progress(`${inputs} inputs with ${parts} frames, messages or requests; ${guard.memory.lastMb} MB; ${health}`);
  }
  return [];
}

async function keepFailure(
  fuzzer: Role<FuzzerCommands>,
  run: Run,
  failures: readonly string[],
  no: number,
): Promise<void> {
  const { target, seed } = run;
  const path = join(root, 'test/fuzz/found', `${target}-${seed}-${no}.json`);
  keep(path, { target, seed, failures, inputs: await fuzzer.call('recent') });
  const name = relative(root, path);
  say(`the last inputs before the failure are in ${name}; to send them again: npm run fuzz -- --replay ${name}`);
}

/** A hub that was only sent bytes still stops as it should. */
async function stopped(hub: Server): Promise<string[]> {
  await hub.stop();
  const end = hub.ended();
  return end === 'exit code 0' ? [] : [`the hub did not stop well: ${end ?? 'it still runs'}`];
}
