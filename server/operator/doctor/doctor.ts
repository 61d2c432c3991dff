/**
 * `presence-hub doctor`: checks whether a hub with these settings can start and run well on this machine, or why one
 * that runs does not. Changes nothing. The checks are in the other files of this folder.
 */
import { runCommand, readNoMore, type CommandLine, type Flags } from '../../../client/cli/commands/command-line.ts';
import { EXIT_FAILED, EXIT_OK, say, type Io } from '../../../client/cli/terminal/io.ts';
import { harmless } from '../../../client/cli/terminal/terminal-text.ts';
import { ok, type Result } from '../../../shared/result.ts';
import { readOwnSettings, settingsFlags, settingsHelp } from '../own-settings.ts';
import { checkCluster } from './check-cluster.ts';
import { checkDatabases } from './check-database.ts';
import { checkData } from './check-data.ts';
import { checkCertificate, checkClock, checkDescriptors, checkEngine } from './check-machine.ts';
import { checkPorts, isHubThere } from './check-ports.ts';
import { checkFile, checkProxy, checkValues, checkWebhooks } from './check-settings.ts';
import { asFinding, type Finding } from './finding.ts';

const help = [
  'presence-hub doctor [--json]    checks the settings of this machine’s hub, and what the hub needs to run',
  '',
  'Each line is ok, warning or error, and says what to do. Exits with 1 if there is an error. Run it as the hub’s user and',
  'with the hub’s environment; the hub may be running.',
  '',
  '  --json            {"ok": …, "findings": [{"check", "level", "says", "remedy"}]}',
  ...settingsHelp,
].join('\n');

const flags = { ...settingsFlags, json: 'switch' } as const satisfies Flags;

interface Order {
  readonly isJson: boolean;
  readonly findings: () => Promise<readonly Finding[]>;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: examine }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<Order> {
  const noMore = readNoMore(words, 0);
  if (!noMore.ok) return noMore;
  return ok({ isJson: given.json === true, findings: () => findAll(given, env) });
}

async function findAll(given: CommandLine<typeof flags>['flags'], env: Io['env']): Promise<readonly Finding[]> {
  const settings = readOwnSettings(given, env);
  if (!settings.ok) return [asFinding('settings', 'error', settings.problem)];
  const { config, warnings } = settings.value;
  const isRunning = await isHubThere(config);
  return [
    ...checkValues(config, warnings),
    ...checkFile(config),
    ...(await checkPorts(config, isRunning)),
    checkEngine(config),
    checkDescriptors(config),
    ...(await checkClock(config)),
    await checkCertificate(config),
    ...checkData(config, isRunning),
    checkProxy(config),
    ...checkWebhooks(config),
    ...(await checkCluster(config)),
    ...(await checkDatabases(config)),
  ];
}

async function examine({ isJson, findings }: Order, io: Io): Promise<number> {
  const found = await findings();
  const isOk = found.every(({ level }) => level !== 'error');
  if (isJson) say(io, JSON.stringify({ ok: isOk, findings: found }));
  else for (const finding of found) for (const line of render(finding)) say(io, line);
  return isOk ? EXIT_OK : EXIT_FAILED;
}

const COLUMN = 9;

function render({ level, check, says, remedy }: Finding): readonly string[] {
  const line = harmless(`${level.padEnd(COLUMN)}${check.padEnd(COLUMN)} ${says}`);
  return remedy === null ? [line] : [line, harmless(`${' '.repeat(2 * COLUMN + 1)}${remedy}`)];
}
