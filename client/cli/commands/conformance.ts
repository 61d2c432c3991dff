/**
 * `presence-hub conformance`: checks any hub against the rules of PROTOCOL.md, over its real ports, and knows nothing
 * else of it. The checks are in client/cli/conformance/. They leave users with ids that begin with `conf-`.
 */
import { fail, ok, type Result } from '../../../shared/result.ts';
import { runChecks, type Outcome } from '../conformance/check.ts';
import { httpChecks } from '../conformance/http-checks.ts';
import type { Targets } from '../conformance/kit.ts';
import { tcpChecks } from '../conformance/tcp-checks.ts';
import { watchChecks } from '../conformance/watch-checks.ts';
import { wsChecks } from '../conformance/ws-checks.ts';
import { readToken } from '../hub/token.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, say, type Io } from '../terminal/io.ts';
import { harmless, jsonLine } from '../terminal/terminal-text.ts';
import { readNoMore, readWhole, runCommand, type CommandLine, type Flags } from './command-line.ts';

const help = [
  'presence-hub conformance --ws URL [--tcp HOST:PORT] [--http URL]    checks any hub against PROTOCOL.md',
  '',
  'Prints each check with the ids of its rules. Exits with 1 if one fails. The hub must take users without a token',
  '(HUB_AUTH=open), and must not be one that people use: the checks create users whose ids begin with conf-.',
  '',
  '  --ws URL          its WebSocket, such as ws://127.0.0.1:8080/ws',
  '  --tcp HOST:PORT   its TCP port; without it, TCP is not checked',
  '  --tls             TLS on the TCP port',
  '  --http URL        its HTTP address (the host and port of --ws)',
  '  --rule ID         runs only the checks of this rule',
  '  --json            one JSON object per check',
  '  --token-file FILE the token of an admin, for HTTP requests, if the hub asks for one; else PRESENCE_HUB_TOKEN',
  '  --token TOKEN     the token itself (visible to others on this machine)',
  '  --help            this text',
].join('\n');

const flags = {
  ws: 'text',
  tcp: 'text',
  tls: 'switch',
  http: 'text',
  rule: 'text',
  json: 'switch',
  token: 'text',
  'token-file': 'text',
} as const satisfies Flags;

export const allChecks = [...tcpChecks, ...wsChecks, ...watchChecks, ...httpChecks];

interface Order {
  readonly targets: Targets;
  readonly checks: typeof allChecks;
  readonly isJson: boolean;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: examine }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<Order> {
  const noMore = readNoMore(words, 0);
  if (!noMore.ok) return noMore;
  const { ws, rule } = given;
  if (ws === undefined) return fail('--ws is missing: the WebSocket of the hub, such as ws://127.0.0.1:8080/ws');
  if (!isUrl(ws, /^wss?:$/)) return fail(`--ws is ${JSON.stringify(ws)}: it must be like ws://127.0.0.1:8080/ws`);
  const http = given.http ?? new URL(ws.replace(/^ws/i, 'http')).origin;
  if (!isUrl(http, /^https?:$/))
    return fail(`--http is ${JSON.stringify(http)}: it must be like http://127.0.0.1:8080`);
  const tcp = given.tcp === undefined ? ok(null) : readTcp(given.tcp, given.tls === true);
  if (!tcp.ok) return tcp;
  const source = readToken(given, env);
  if (!source.ok) return source;
  const token = source.value.read();
  if (!token.ok) return token;
  const checks = allChecks.filter(({ rules }) => rule === undefined || rules.includes(rule));
  if (checks.length === 0) return fail(`--rule is ${JSON.stringify(rule)}: no check tests such a rule`);
  const targets = { ws, http: http.replace(/\/+$/, ''), tcp: tcp.value, token: token.value };
  return ok({ targets, checks, isJson: given.json === true });
}

function isUrl(text: string, protocol: RegExp): boolean {
  return URL.canParse(text) && protocol.test(new URL(text).protocol);
}

function readTcp(text: string, isTls: boolean): Result<NonNullable<Targets['tcp']>> {
  const [, host = '', given = ''] = /^(.+):(\d+)$/.exec(text) ?? [];
  if (host === '') return fail(`--tcp is ${JSON.stringify(text)}: it must be like 127.0.0.1:60001`);
  const port = readWhole('the port of --tcp', given, 1, 65_535);
  return port.ok ? ok({ host: host.replace(/^\[|\]$/g, ''), port: port.value, isTls }) : port;
}

async function examine({ targets, checks, isJson }: Order, io: Io): Promise<number> {
  const outcomes = await runChecks(checks, targets, io.interrupted, (outcome) => {
    say(io, isJson ? jsonLine(outcome) : render(outcome));
  });
  if (io.interrupted.aborted) return EXIT_INTERRUPTED;
  const count = (wanted: Outcome['result']): number => outcomes.filter(({ result }) => result === wanted).length;
  const skipped = count('skip') === 0 ? '' : `, ${count('skip')} were skipped`;
  if (!isJson) say(io, `${count('pass')} checks passed, ${count('fail')} failed${skipped}`);
  return count('fail') === 0 ? EXIT_OK : EXIT_FAILED;
}

const RESULT_COLUMNS = 5;
const RULES_COLUMNS = 20;

function render({ rules, title, result, reason }: Outcome): string {
  const why = reason === null ? '' : `: ${reason}`;
  return harmless(`${result.padEnd(RESULT_COLUMNS)}${rules.join(' ').padEnd(RULES_COLUMNS)}${title}${why}`);
}
