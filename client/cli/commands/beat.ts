/**
 * `presence-hub beat USER`: sends heartbeats for one user over WebSocket, TCP or HTTP until Ctrl-C, then says goodbye.
 * Prints what it sends and receives. This file parses the command line; senders.ts sends.
 */
import { defaultCodes, MAX_CODE, sessionStatus, type SessionStatus } from '../../../shared/status.ts';
import { MAX_TTL_MS } from '../../../shared/limits.ts';
import { ok, fail, type Result } from '../../../shared/result.ts';
import { readAccess } from '../hub/access.ts';
import {
  sendOverHttp,
  sendOverTcp,
  sendOverWebSocket,
  type Heartbeats,
  type Sender,
  type SenderEvents,
} from '../hub/senders.ts';
import {
  commonFlags,
  commonHelp,
  readDevice,
  readNoMore,
  readText,
  readUserId,
  readWhole,
  runCommand,
  tcpFlags,
  tcpHelp,
  type CommandLine,
  type Flags,
} from './command-line.ts';
import { EXIT_OK, exitWith, say, untilStopped, type Io } from '../terminal/io.ts';
import { formatTime } from '../../ui/ago.ts';
import { harmless } from '../terminal/terminal-text.ts';

const TCP_EVERY_MS = 1_000;
const HTTP_EVERY_MS = 10_000;
/** Two heartbeats may be lost before the lease ends. */
const HTTP_BEATS_PER_TTL = 3;
const MAX_EVERY_MS = MAX_TTL_MS / HTTP_BEATS_PER_TTL;

const help = [
  'presence-hub beat USER [--ws | --tcp | --http]     sends heartbeats for USER until Ctrl-C, then says goodbye',
  '',
  '  --ws              over WebSocket (the default), at the interval that the hub sets',
  '  --tcp             as XML over TCP, every second',
  '  --http            over HTTP, every 10 s; each heartbeat is valid for 30 s',
  '  --status STATUS   online, away, busy or invisible (not over TCP)',
  '  --code N          the legacy integer instead of a status (TCP only)',
  '  --text TEXT       the status text (not over TCP)',
  '  --device DEVICE   the label of the session',
  '  --every MS        another interval',
  '  --ttl MS          how long a heartbeat is valid (HTTP only)',
  '  --once            send one heartbeat and no goodbye: the session lasts until the hub ends it',
  ...tcpHelp,
  ...commonHelp,
  '',
  'Over TCP, a hub reports a rejected token only with HUB_TCP_ACK=1.',
].join('\n');

const flags = {
  ...commonFlags,
  ...tcpFlags,
  ws: 'switch',
  tcp: 'switch',
  http: 'switch',
  once: 'switch',
  status: 'text',
  code: 'text',
  text: 'text',
  device: 'text',
  every: 'text',
  ttl: 'text',
} as const satisfies Flags;
type Given = CommandLine<typeof flags>['flags'];

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: beat }, args, io);
}

type StartSender = (events: SenderEvents) => Sender;
interface Order {
  readonly start: StartSender;
  readonly isOnce: boolean;
}
type End = { readonly kind: 'stopped' | 'once' } | { readonly kind: 'failed'; readonly problem: string };

async function beat({ start, isOnce }: Order, io: Io): Promise<number> {
  const print = (word: string, text: string) =>
    say(io, `${formatTime(Date.now())} ${word} ${harmless(text.trimEnd())}`);
  let resolveEnd: (end: End) => void = () => undefined;
  const ended = new Promise<End>((resolve) => (resolveEnd = resolve));
  const sender = start({
    onSent: (text) => print('sent', text),
    onGot: (text) => print('got ', text),
    onHeartbeat: () => isOnce && resolveEnd({ kind: 'once' }),
    onLost: (reason) => print('lost', `${reason}; reconnecting`),
    onFailed: (problem) => resolveEnd({ kind: 'failed', problem }),
  });
  void untilStopped(io).then(() => resolveEnd({ kind: 'stopped' }));
  const end = await ended;
  await (end.kind === 'stopped' ? sender.leave() : sender.end());
  return end.kind === 'failed' ? exitWith(io, harmless(end.problem)) : EXIT_OK;
}

function readOrder(line: CommandLine<typeof flags>, io: Io): Result<Order> {
  const start = readSender(line, io);
  return start.ok ? ok({ start: start.value, isOnce: line.flags.once === true }) : start;
}

function readSender({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<StartSender> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const access = readAccess(given, env);
  if (!access.ok) return access;
  const says = readSays(given);
  if (!says.ok) return says;
  const everyMs = readOptional(given.every, (value) => readWhole('--every', value, 1, MAX_EVERY_MS));
  if (!everyMs.ok) return everyMs;
  const options = { access: access.value, user: user.value, ...says.value };
  const protocols = (['ws', 'tcp', 'http'] as const).filter((protocol) => given[protocol] === true);
  if (protocols.length > 1) return fail(`--${protocols.join(' and --')} exclude each other: give one`);
  if (protocols[0] === 'tcp') return readTcp(given, options, everyMs.value);
  if (given.code !== undefined) return fail('--code requires --tcp: otherwise use --status');
  if (protocols[0] === 'http') return readHttp(given, options, everyMs.value);
  if (given.ttl !== undefined) return fail('--ttl requires --http');
  const every = everyMs.value === undefined ? {} : { everyMs: everyMs.value };
  return ok((events) => sendOverWebSocket({ ...options, ...every }, events));
}

function readTcp(given: Given, options: Heartbeats, everyMs = TCP_EVERY_MS): Result<StartSender> {
  const { text, status = 'online', ...rest } = options;
  if (text !== undefined) return fail('--text cannot be sent over TCP: use --ws or --http');
  if (given.ttl !== undefined) return fail('--ttl requires --http');
  if (status === 'invisible') return fail('--status is invisible, which cannot be sent over TCP: use --ws or --http');
  if (given.code === undefined) {
    return ok((events) => sendOverTcp({ ...rest, code: defaultCodes[status], everyMs }, events));
  }
  if (given.status !== undefined) return fail('--code and --status exclude each other: give one');
  const code = readWhole('--code', given.code, 1, MAX_CODE);
  return code.ok ? ok((events) => sendOverTcp({ ...rest, code: code.value, everyMs }, events)) : code;
}

function readHttp(given: Given, options: Heartbeats, everyMs = HTTP_EVERY_MS): Result<StartSender> {
  const ttlMs = readOptional(given.ttl, (value) => readWhole('--ttl', value, 1, MAX_TTL_MS));
  if (!ttlMs.ok) return ttlMs;
  const ttl = ttlMs.value ?? everyMs * HTTP_BEATS_PER_TTL;
  return ok((events) => sendOverHttp({ ...options, everyMs, ttlMs: ttl }, events));
}

function readSays(given: Given): Result<Pick<Heartbeats, 'status' | 'text' | 'device'>> {
  const status = readOptional(given.status, readStatus);
  if (!status.ok) return status;
  const text = readOptional(given.text, readText);
  if (!text.ok) return text;
  const device = readOptional(given.device, readDevice);
  if (!device.ok) return device;
  return ok({
    ...(status.value === undefined ? {} : { status: status.value }),
    ...(text.value === undefined ? {} : { text: text.value }),
    ...(device.value === undefined ? {} : { device: device.value }),
  });
}

function readStatus(value: string): Result<SessionStatus> {
  const read = sessionStatus.safeParse(value);
  return read.success
    ? ok(read.data)
    : fail(`--status is ${JSON.stringify(value)}: it must be one of ${sessionStatus.options.join(', ')}`);
}

function readOptional<T>(value: string | undefined, read: (value: string) => Result<T>): Result<T | undefined> {
  return value === undefined ? ok(undefined) : read(value);
}
