/**
 * `npm run fuzz -- tcp|ws|http [--minutes N] [--seed N]`: sends damaged input and floods to a hub of its own, while good
 * users beat and a guard looks at them. Keeps the damaged input sent before a failure, for `--replay FILE`.
 */
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { rowOf } from '../bench/lib/attack-run.ts';
import { attacksNamed, describeAttacks } from '../bench/lib/attacks/index.ts';
import { PROBE_EVERY_MS } from '../bench/lib/bystanders.ts';
import { chooseAuth } from '../bench/lib/credentials.ts';
import { startHub } from '../bench/lib/hub-server.ts';
import { sleep } from '../bench/lib/pacing.ts';
import { root } from '../bench/lib/places.ts';
import { canPin, pinSelf } from '../bench/lib/proc.ts';
import { printTable, progress, round, say } from '../bench/lib/report.ts';
import { startRole, stopRoles, type Role } from '../bench/lib/roles.ts';
import { killServers } from '../bench/lib/server-process.ts';
import type { Server } from '../bench/lib/server.ts';
import { Floods, type FloodOptions } from './lib/floods.ts';
import { Guard, MARGIN_MB } from './lib/guard.ts';
import { keep, readKept, targetNames, type Found, type TargetName } from './lib/input.ts';
import type { FuzzerCommands } from './roles/fuzzer.ts';

const EXIT_USAGE = 2;
const PROGRESS_EVERY_MS = 10_000;
/** After the last input, what it did may take a lease to be reported. */
const AFTERMATH_MS = 6500;
/**
 * Where there is room, V8 lets 100 MB of what connections leave behind lie before it looks at the old space: with room for
 * little more than lives (45 MB), what grows is what is kept.
 */
const OLD_SPACE_MB = 96;
const MOST_FAILURES = 100;
const LARGEST_SEED = 2_000_000_000;
const USAGE = `npm run fuzz -- ${targetNames.join('|')} [--minutes N] [--seed N] [--transport auto|uws|ws] [--auth open|jwt]
      [--hub FILE] [--no-pin]
  Sends damaged input and floods at once, beside well-behaved users and a probe that asks /healthz every ${PROBE_EVERY_MS} ms.
  Ends with 1 if the hub ended, logged an error or grew, if /healthz took too long, or if a well-behaved user was reported
  offline or lost its connection.
  --lanes N            connections at once for damaged input (12); 0: floods only
  --health-ms N        longest answer of /healthz (250)
  --attack NAME,…      only these floods, or those whose names begin so; none: damaged input only
  --attack-seconds N   length of each flood (5)
  --rest-ms N          rest after each flood (1000); 7000 is longer than a lease: what a flood did is then reported in its own row
  --width N            connections of each flood; the seed chooses from 1 to 100 if it is left out
  --keep-going         report all failures, not only the first
npm run fuzz -- --replay FILE   sends the damaged inputs of a kept failure once more
The floods:
${describeAttacks().join('\n')}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    transport: { type: 'string', default: 'auto' },
    'health-ms': { type: 'string', default: '250' },
    lanes: { type: 'string', default: '12' },
    attack: { type: 'string' },
    'attack-seconds': { type: 'string', default: '5' },
    'rest-ms': { type: 'string', default: '1000' },
    width: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
    replay: { type: 'string' },
    hub: { type: 'string' },
    auth: { type: 'string', default: 'open' },
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
  chooseAuth(values.auth);
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
  const floods = new Floods(hub, floodOptions(run));
  const guard = await Guard.start(hub, Number(values['health-ms']), (sighting) => floods.note(sighting));
  await floods.prepare();
  await guard.ignoreSoFar();
  const fuzzer = startRole<FuzzerCommands>(new URL('./roles/fuzzer.js', import.meta.url));
  const startedAt = performance.now();
  await startFuzzer(fuzzer, hub, run);
  const flooding = floods.run();
  const failures = await watchOver(guard, floods, fuzzer, replayed === undefined ? minutes * 60_000 : 0);
  const seconds = (performance.now() - startedAt) / 1000;
  await fuzzer.call('stop');
  await floods.stop();
  if (failures.length === 0 || values['keep-going']) {
    await sleep(AFTERMATH_MS);
    failures.push(...(await guard.judge()));
    await flooding;
  }
  const { inputs, parts, bytes } = await fuzzer.call('figures');
  const taken = await guard.taken().catch(() => ({}));
  if (failures.length > 0 && replayed === undefined) await keepFailure(fuzzer, run, failures, inputs);
  else if (failures.length === 0) failures.push(...(await stopped(hub)));
  if (floods.reports.length > 0) printTable(floods.reports.map((report) => rowOf(report, values.transport)));
  for (const failure of failures) say(`FAILED: ${failure}`);
  summarize(guard, run, inputs);
  const perS = { inputsPerS: round(inputs / seconds, 0), partsPerS: round(parts / seconds, 0) };
  const memory = { ...guard.memory, marginMb: MARGIN_MB };
  const figures = { inputs, parts, bytes, ...perS, felt: guard.felt, memory, floods: floods.reports, taken };
  const hasPassed = failures.length === 0;
  say(JSON.stringify({ fuzz: target, seed, seconds: round(seconds, 0), hasPassed, failures, ...figures }));
  return hasPassed ? 0 : 1;
}

function floodOptions({ target, seed, replayed }: Run): FloodOptions {
  const hasNone = replayed !== undefined || values.attack === 'none';
  const chosen = hasNone ? [] : attacksNamed(values.attack).filter((attack) => attack.target === target);
  return {
    attacks: chosen,
    seed,
    attackMs: 1000 * Number(values['attack-seconds']),
    restMs: Number(values['rest-ms']),
    width: values.width === undefined ? undefined : Number(values.width),
  };
}

async function startFuzzer(fuzzer: Role<FuzzerCommands>, hub: Server, run: Run): Promise<void> {
  const { target, seed, minutes, replayed } = run;
  const addresses = process.platform === 'linux' ? Array.from({ length: 16 }, (_, no) => `127.0.2.${no + 1}`) : [];
  const door = { port: target === 'tcp' ? hub.tcpPort : hub.port, addresses };
  if (replayed === undefined) {
    say(`fuzz ${target}: seed ${seed}, ${minutes} minutes, engine ${values.transport}`);
    await fuzzer.call('start', { target, seed, door, lanes: Number(values.lanes) });
  } else {
    say(`replay of ${replayed.inputs.length} inputs that were followed by: ${replayed.failures.join('; ')}`);
    await fuzzer.call('replay', { door, inputs: replayed.inputs });
  }
}

/** The line that a reader looks for first. */
function summarize({ felt, memory }: Guard, { target, seed }: Run, cases: number): void {
  const { longestHealthMs, probeLateMs, reportedOffline, lost } = felt;
  const probe = `longest probe answer ${round(longestHealthMs, 0)} ms (limit ${values['health-ms']} ms; the probe itself was ${round(probeLateMs, 0)} ms late)`;
  const { firstMb, secondMb, peakMb } = memory;
  const rss = `RSS ${round(firstMb, 0)} -> ${round(secondMb, 0)} MB (peak ${round(peakMb, 0)}, may grow ${MARGIN_MB})`;
  const users = `reported offline ${reportedOffline}, lost connections ${lost}`;
  say(`${target}, engine ${values.transport}, seed ${seed}: ${cases} cases; ${probe}; ${users}; ${rss}`);
}

/** Looks once a second until something failed or the time is over. */
async function watchOver(guard: Guard, floods: Floods, fuzzer: Role<FuzzerCommands>, forMs: number): Promise<string[]> {
  const startedAt = performance.now();
  let saidAt = startedAt;
  const failures: string[] = [];
  while (performance.now() - startedAt < forMs) {
    const during = floods.current;
    await sleep(Math.min(1000, forMs));
    const found = (await guard.look()).map((failure) => `${failure} (${during})`);
    failures.push(...found.slice(0, MOST_FAILURES - failures.length));
    const isOver = found.length > 0 && (!values['keep-going'] || guard.hasEnded);
    if (isOver) return failures;
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = performance.now();
    const { inputs, parts } = await fuzzer.call('figures');
    const health = `longest /healthz ${round(guard.felt.longestHealthMs, 0)} ms`;
    const figures = `${inputs} inputs with ${parts} frames, messages or requests; ${guard.memory.lastMb} MB`;
    progress(`${figures}; ${health}; ${floods.current}`);
  }
  return failures;
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
