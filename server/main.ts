/**
 * The process: arguments, signals and exit code. Reads the settings, starts the hub through hub.ts, prints where it
 * serves, and stops it on a signal. Knows no other part of the hub. Other modules receive what they need of `process`.
 * The exceptions are sockets/load-engine.ts, which picks the binary for this Node.js, and lib/sqlite.ts, which checks
 * the SQLite of this Node.js. The hub and each other command are loaded only when needed, so that no command pays for
 * another.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE } from '../client/cli/terminal/io.ts';
import {
  describeSettings,
  readConfig,
  readFlags,
  type Config,
  type ConfigSources,
  type Settings,
} from './config/config.ts';
import type { Hub } from './hub.ts';
import { systemClock } from './lib/time/system-clock.ts';
import { LineSink } from './lib/log/line-sink.ts';
import { createLog, droppedLogLines, stderrLines, type Logger } from './lib/log/log.ts';
import { QuietLog } from './lib/log/quiet-log.ts';
import { handleSignals, watchTerminal } from './lib/signals.ts';
import { StartError } from './lib/start-error.ts';

const STOP_WITHIN_MS = 2000;
/** How long an exit waits for a paused reader of stdout, and again for one of stderr. */
const LAST_LINES_WITHIN_MS = 500;
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
await run(process.argv.slice(2));

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
  const starting = import('./hub.ts').then(({ startHub }) => startHub(config, { log, droppedLogLines, interrupted }));
  let { drainMs } = config;
  const reload = async (): Promise<void> => {
    const again = readSettingsOf(flags);
    if (!again.ok) {
      log.error(`nothing was reloaded: ${again.problem}; the previous settings stay in use`);
      return;
    }
    for (const warning of again.value.warnings) if (!warnings.includes(warning)) log.warn(warning);
    const hub = await starting.catch(() => undefined);
    if (hub === undefined) return; // `serve` reports why
    await hub.reload(again.value.config);
    ({ drainMs } = again.value.config);
  };
  stopOnSignals(starting, { interruptStart: () => ending.abort(), drainMs: () => drainMs, reload }, log);
  try {
    const hub = await starting;
    say(describeStart(hub, config, warnings));
  } catch (error) {
    if (interrupted.aborted && error instanceof StartError) process.exit(0);
    if (error instanceof StartError) fail(error.message);
    if (isSystemError(error)) fail(`the start failed (${error.message}): fix what it names, and start again`);
    failOnBug(error);
  }
}

function readSettingsOf(flags: ConfigSources['flags']): ReturnType<typeof readConfig> {
  return readConfig({ flags, env: process.env, readFile: (path) => readFileSync(path, 'utf8') });
}

function readSettings(flags: ConfigSources['flags']): Settings {
  const settings = readSettingsOf(flags);
  return settings.ok ? settings.value : fail(settings.problem);
}

function describeStart(hub: Hub, config: Config, warnings: readonly string[]): string {
  const rows = [
    ['page', `${hub.addresses.http}/`],
    ['websocket', hub.addresses.ws],
    ['tcp + xml', hub.addresses.tcp ?? 'off'],
    ['engine', hub.engine],
    ...(hub.engineLimit === null ? [] : [['limit', hub.engineLimit]]),
    ['storage', hub.storage],
    ...(hub.cluster === null ? [] : [['cluster', hub.cluster]]),
    ['sessions', hub.sessions],
    ['auth', describeAuth(config)],
    ...[...warnings, ...hub.warnings].map((warning) => ['warning', warning]),
  ];
  const lines = rows.map(([name = '', value = '']) => `  ${name.padEnd(10)} ${value}`);
  return [`presence-hub ${version()}`, ...lines, 'Ctrl-C stops'].join('\n');
}

function describeAuth({ auth, adminToken, tcpAuth }: Config): string {
  if (auth === 'open') {
    const who =
      adminToken === null ? 'everyone is admin' : 'anyone can claim to be any user, and HUB_ADMIN_TOKEN is admin';
    return `open: ${who}, so keep it to your own machine`;
  }
  return `jwt: a token says who a client is${tcpAuth === 'none' ? ', but not over TCP (HUB_TCP_AUTH=none)' : ''}`;
}

interface SignalActions {
  readonly interruptStart: () => void;
  readonly drainMs: () => number;
  readonly reload: () => Promise<void>;
}

/**
 * SIGTERM drains the hub. SIGINT stops it at once, also during a drain. SIGHUP reloads the settings, unless the terminal
 * of the hub was closed. A repeated signal to end changes nothing, because npm forwards a second one and an impatient
 * operator sends more.
 */
function stopOnSignals(starting: Promise<Hub>, { interruptStart, drainMs, reload }: SignalActions, log: Logger): void {
  const isTerminalGone = watchTerminal();
  let reloading = Promise.resolve();
  let isDraining = false;
  let isStopping = false;
  const endWithin = (ms: number, end: (hub: Hub) => Promise<void>) => {
    interruptStart();
    setTimeout(() => fail(`the hub did not stop within ${ms} ms and was cut off`), ms).unref();
    // `serve` reports a start that failed.
    starting.then(
      (hub) => end(hub).then(() => process.exit(0), failOnBug),
      () => undefined,
    );
  };
  const stop = () => {
    if (isStopping) return;
    isStopping = true;
    endWithin(STOP_WITHIN_MS, (hub) => hub.stop());
  };
  process.on('SIGTERM', () => {
    if (isDraining || isStopping) return;
    isDraining = true;
    endWithin(drainMs() + STOP_WITHIN_MS, (hub) => hub.drain());
  });
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
    if (isTerminalGone()) stop();
    else if (!isDraining && !isStopping) reloading = reloading.then(reload).catch(failOnBug);
  });
  const quiet = new QuietLog(systemClock);
  handleSignals(process, {
    stop,
    onIgnored: (signal) => {
      quiet.maybe((leftOut) => {
        log.warn({ signal, leftOut }, 'a signal was ignored: SIGTERM or Ctrl-C stops the hub');
      });
    },
    isProfiled: /--(cpu-)?prof\b/.test([...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')),
  });
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

function version(): string {
  const { version: text } = createRequire(import.meta.url)('presence-hub/package.json') as { version: string };
  return text;
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

/**
 * Whether the system refused something, such as a file that cannot be read or a limit that is reached. The operator can
 * fix that.
 */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function failOnBug(error: unknown): never {
  errors.write(`presence-hub: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
