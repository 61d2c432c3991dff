/**
 * `npm run bench -- WORKLOAD [--OPTION VALUE …]`: reads the options, pins the processes, runs the workload, prints the
 * JSON line, and exits with 1 if the workload found a failure. Run it through bench.mjs, which builds first.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { chooseAuth } from './lib/credentials.ts';
import { canPin, pinSelf } from './lib/proc.ts';
import { referenceNames, unknownReferences } from './lib/references.ts';
import { say } from './lib/report.ts';
import { stopRoles } from './lib/roles.ts';
import { killServers } from './lib/server-process.ts';
import { Stage, type Workload } from './lib/stage.ts';
import { workloads } from './registry.ts';

const EXIT_USAGE = 2;
const common = {
  transport: { type: 'string', default: 'auto' },
  hub: { type: 'string' },
  references: { type: 'string' },
  attack: { type: 'string' },
  out: { type: 'string' },
  auth: { type: 'string', default: 'open' },
  'no-pin': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

process.exitCode = await run(process.argv.slice(2));

async function run([name, ...args]: readonly string[]): Promise<number> {
  const chosen = workloads.find((workload) => workload.name === name);
  if (chosen === undefined) {
    say(usage());
    return name === undefined || name === '--help' ? 0 : EXIT_USAGE;
  }
  try {
    return await runWorkload(chosen, args);
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  } finally {
    stopRoles();
    killServers();
  }
}

async function runWorkload(chosen: Workload, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { ...knobOptions(chosen), ...common } });
  if (values.help) {
    say(describe(chosen));
    return 0;
  }
  chooseAuth(values.auth);
  const knobs = readKnobs(chosen, values);
  const references = readReferences(values.references);
  const isPinned = canPin && !values['no-pin'];
  if (isPinned) pinSelf(1);
  say(`${chosen.name}: ${chosen.about}`);
  say(`  ${JSON.stringify(knobs)}; ${isPinned ? 'the hub on core 0, the load on core 1' : 'not pinned to cores'}`);
  const stage = new Stage({
    transport: values.transport,
    hub: values.hub,
    isPinned,
    references,
    attacks: values.attack,
  });
  const { failures, figures } = await chosen.run(stage, knobs);
  for (const failure of failures) say(`FAILED: ${failure}`);
  const hasPassed = failures.length === 0;
  const at = new Date().toISOString();
  const line = JSON.stringify({
    bench: chosen.name,
    at,
    node: process.version,
    isPinned,
    knobs,
    hasPassed,
    failures,
    figures,
  });
  say(line);
  if (values.out !== undefined) writeFileSync(values.out, `${line}\n`, { flag: 'a' });
  return hasPassed ? 0 : 1;
}

function knobOptions({ knobs }: Workload): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(Object.keys(knobs).map((knob) => [knob, { type: 'string' as const }]));
}

function readKnobs({ knobs }: Workload, given: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(knobs).map(([knob, { fallback, least = 0 }]) => {
      const value = given[knob] === undefined ? fallback : Number(given[knob]);
      if (!Number.isFinite(value) || value < least)
        throw new Error(`--${knob}: must be a number of at least ${least}, not ${String(given[knob])}`);
      return [knob, value];
    }),
  );
}

function readReferences(given: string | undefined): readonly string[] | undefined {
  if (given === undefined) return undefined;
  const chosen = given === 'none' ? [] : given.split(',');
  const unknown = unknownReferences(chosen);
  if (unknown.length > 0)
    throw new Error(`--references: ${unknown.join(', ')}: there are ${referenceNames.join(', ')}`);
  return chosen;
}

function usage(): string {
  const lines = workloads.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`);
  return ['npm run bench -- WORKLOAD [--help] [--OPTION VALUE …]', '', ...lines].join('\n');
}

function describe({ name, about, knobs, notes = [] }: Workload): string {
  const lines = Object.entries(knobs).map(
    ([knob, { fallback, help }]) => `  --${knob.padEnd(14)} ${help} (${fallback})`,
  );
  const shared = [
    '  --transport      auto, uws or ws (auto)',
    '  --hub            another hub’s dist/server/main.js, as it is',
    `  --references     servers to compare with where the workload compares, or none: ${referenceNames.join(',')}`,
    '  --auth           open, or jwt in hostile and freeze: the good users have tokens (open)',
    '  --out            a file to which the line of JSON is added',
    '  --no-pin         let the system choose the cores',
  ];
  return [`npm run bench -- ${name}: ${about}`, ...lines, ...shared, ...notes.map((note) => `  ${note}`)].join('\n');
}
