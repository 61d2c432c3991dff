/**
 * The process: arguments, signals and exit code. Reads the settings, starts the hub or its workers, prints where they
 * serve, and stops them on a signal. Knows no part of the hub. Other modules receive what they need of `process`.
 * The exceptions are sockets/load-engine.ts, which picks the binary for this Node.js, and lib/sqlite.ts, which checks
 * the SQLite of this Node.js. The hub and each other command are loaded only when needed, so that no command pays for
 * another.
 */
import { readFileSync } from 'node:fs';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE } from '../client/cli/terminal/io.ts';
import {
  describeSettings,
  readConfig,
  readFlags,
  type Config,
  type ConfigSources,
  type Settings,
} from './config/config.ts';
import { nothingReloaded } from './hub/reload.ts';
import { LineSink } from './lib/log/line-sink.ts';
import { createLog, droppedLogLines, stderrLines, type Logger } from './lib/log/log.ts';
import { readRegularFileSync } from './lib/regular-file.ts';
import { StartError } from './lib/start-error.ts';
import { Endings, handleEndSignals, STOP_WITHIN_MS, type Exits } from './main/endings.ts';
import { startHubService } from './main/hub-service.ts';
import type { Service } from './main/service.ts';
import { startProblem } from './main/start-problem.ts';
import { version } from './main/version.ts';

/** How long an exit waits for a paused reader of stdout, and again for one of stderr. */
const LAST_LINES_WITHIN_MS = 500;
/** Time of a parent in addition to that of its workers. */
const SPARE_MS = 1000;
const isProfiled = /--(cpu-)?prof\b/.test([...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' '));
const exits: Exits = { exit: (code) => process.exit(code), fail, failOnBug };
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const otherCommands = {
  watch: { help: 'shows the friends of USER, live', load: () => import('../client/cli/commands/watch.ts') },
  beat: {
    help: 'sends heartbeats for USER until Ctrl-C, then says goodbye',
    load: () => import('../client/cli/commands/beat.ts'),
  },
  friends: {
    help: 'adds, removes and lists friends, and imports a graph of them',
    load: () => import('../client/cli/commands/friends.ts'),
  },
  explain: { help: 'explains the status of USER', load: () => import('../client/cli/commands/explain.ts') },
  kick: { help: 'ends one session of USER, as explain shows it', load: () => import('../client/cli/commands/kick.ts') },
  webhooks: {
    help: 'lists the rules of webhooks, tests a receiver, and replays dead events',
    load: () => import('../client/cli/commands/webhooks.ts'),
  },
  tail: {
    help: 'prints every change of all users, with its cause',
    load: () => import('../client/cli/commands/tail.ts'),
  },
  top: {
    help: 'shows users, sessions, rates and delays of a hub, live',
    load: () => import('../client/cli/commands/top.ts'),
  },
  backup: {
    help: 'copies the data of a hub into FILE, also while the hub runs',
    load: () => import('./operator/backup.ts'),
  },
  restore: { help: 'puts a backup into the data folder', load: () => import('./operator/restore.ts') },
  migrate: { help: 'copies friend lists from HUB_DATA to PostgreSQL', load: () => import('./operator/migrate.ts') },
  doctor: {
    help: 'checks the settings, ports, certificate, data folder and limits of this machine',
    load: () => import('./operator/doctor/doctor.ts'),
  },
  token: { help: 'signs a token for USER with HUB_JWT_SECRET', load: () => import('./operator/token.ts') },
  conformance: {
    help: 'checks any hub against the rules of PROTOCOL.md',
    load: () => import('../client/cli/commands/conformance.ts'),
  },
  demo: {
    help: 'simulates users, on the running hub or on one that it starts',
    load: () => import('../client/cli/demo/demo.ts'),
  },
} as const;

// A closed output pipe (`presence-hub | head`) does not stop the process.
process.stdout.on('error', () => undefined);
const errors = stderrLines();
const output = new LineSink(1);
process.on('exit', () => {
  output.drain(LAST_LINES_WITHIN_MS);
  errors.drain(LAST_LINES_WITHIN_MS);
});
if (!(await serveIfWorker())) await run(process.argv.slice(2));

async function run(args: readonly string[]): Promise<void> {
  const [first, ...rest] = args;
  if (first === undefined || first.startsWith('-')) return serve(args);
  if (first === 'serve') return serve(rest);
  if (!isOtherCommand(first)) {
    const known = Object.keys(otherCommands).join(', ');
    return fail(`"${first}" is not a command: give serve, ${known}, or --help`, EXIT_USAGE);
  }
  const command = await otherCommands[first].load();
  const { stdin, stdout, stderr, env } = process;
  const startHub = (settings: NodeJS.ProcessEnv) =>
    import('./hub/memory-hub.ts').then(({ startMemoryHub }) => startMemoryHub(settings));
  process.exit(await command.run(rest, { stdin, stdout, stderr, env, interrupted: interruption(), startHub }));
}

/**
 * Returns a signal that the first interrupt aborts. A command that does not end in time is then cut off. npm forwards a
 * second interrupt.
 */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) return;
    setTimeout(() => process.exit(EXIT_INTERRUPTED), STOP_WITHIN_MS).unref();
    controller.abort();
  };
  for (const signal of endSignals) process.on(signal, interrupt);
  return controller.signal;
}

async function serve(args: readonly string[]): Promise<void> {
  const line = readFlags(args);
  if (!line.ok) return fail(line.problem, EXIT_USAGE);
  const { flags, wants } = line.value;
  if (wants === 'help') return say(help());
  if (wants === 'version') return say(version());
  const { config, warnings } = readSettings(flags);
  const log = createLog(config.logLevel);
  endOnBugs(log);
  const ending = new AbortController();
  const { signal: interrupted } = ending;
  const starting = startService(config, log, interrupted, warnings);
  let { drainMs } = config;
  const reload = async (): Promise<void> => {
    const again = readSettingsOf(flags, readRegularFileSync);
    if (!again.ok) {
      log.error(nothingReloaded(again.problem));
      return;
    }
    for (const warning of again.value.warnings) if (!warnings.includes(warning)) log.warn(warning);
    const service = await starting.catch(() => undefined);
    if (service === undefined) return; // `serve` reports why
    if (await service.reload(again.value.config)) ({ drainMs } = again.value.config);
  };
  const endings = new Endings(starting, {
    interruptStart: () => ending.abort(),
    drainMs: () => drainMs,
    spareMs: config.workers === 1 ? 0 : SPARE_MS,
    exits,
  });
  handleEndSignals(process, { endings, reload, log, isProfiled, exits });
  try {
    say((await starting).lines);
  } catch (error) {
    if (interrupted.aborted && error instanceof StartError) process.exit(0);
    fail(startProblem(error) ?? failOnBug(error));
  }
}

async function startService(
  config: Config,
  log: Logger,
  interrupted: AbortSignal,
  warnings: readonly string[],
): Promise<Service> {
  if (config.workers === 1) return startHubService(config, { log, droppedLogLines, interrupted }, warnings);
  const { startWorkersService } = await import('./main/workers-service.ts');
  return startWorkersService(config, { log, interrupted, exits }, warnings);
}

/** @returns whether this process is one of several workers, which its parent has started. */
async function serveIfWorker(): Promise<boolean> {
  if (process.env['PRESENCE_HUB_WORKER'] === undefined) return false;
  const { WorkerLink } = await import('./workers/worker-link.ts');
  const link = WorkerLink.open();
  if (link === null) return false; // inherited by accident
  const { serveAsWorker } = await import('./main/workers-service.ts');
  await serveAsWorker(link, process, { exits, endOnBugs, isProfiled });
  return true;
}

function readSettingsOf(
  flags: ConfigSources['flags'],
  readBytes: (path: string) => Buffer,
): ReturnType<typeof readConfig> {
  return readConfig({ flags, env: process.env, readFile: (path) => readBytes(path).toString('utf8') });
}

function readSettings(flags: ConfigSources['flags']): Settings {
  const settings = readSettingsOf(flags, readFileSync);
  return settings.ok ? settings.value : fail(settings.problem);
}

/**
 * Ends the process after an unexpected error. The state is unknown then, and a clean restart is better than false
 * presence.
 */
function endOnBugs(log: Logger): void {
  const end = (error: unknown) => {
    log.fatal({ err: error }, 'the hub exits because of an unhandled error');
    process.exit(1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

function help(): string {
  const commands = Object.entries(otherCommands).map(([name, { help: does }]) => `  ${name.padEnd(20)} ${does}`);
  return [
    'presence-hub [serve] [--FLAG VALUE …]     starts a hub',
    'presence-hub COMMAND [--help]',
    '',
    'Commands',
    `  ${'serve'.padEnd(20)} starts a hub (the default)`,
    ...commands,
    '',
    describeSettings(),
  ].join('\n');
}

function isOtherCommand(name: string): name is keyof typeof otherCommands {
  return Object.hasOwn(otherCommands, name);
}

function say(text: string): void {
  output.write(`${text}\n`);
}

/** Prints an operator's mistake as one line, even if a value or a system message contains line breaks. */
function fail(problem: string, exitCode: number = EXIT_FAILED): never {
  errors.write(`presence-hub: ${problem.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  process.exit(exitCode);
}

function failOnBug(error: unknown): never {
  errors.write(`presence-hub: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
