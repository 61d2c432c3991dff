/**
 * Parses the arguments of a command into flags and words, or returns one line that names the fault. Runs every command
 * the same way: parse, check, then run, or print the help, or exit with 2. Knows no command; each brings its flags and
 * checks its words with the functions below.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { DEVICE_FORM, isDevice, isUserId, USER_ID_FORM } from '../../../shared/ids.ts';
import { MAX_TEXT_UNITS } from '../../../shared/limits.ts';
import { isWholeWithin, ok, fail, type Result } from '../../../shared/result.ts';
import { EXIT_OK, EXIT_USAGE, exitWith, say, type Io } from '../terminal/io.ts';

/** A flag with a value (`text`) or without (`switch`). */
export type Flags = Readonly<Record<string, 'text' | 'switch'>>;

export interface CommandLine<F extends Flags> {
  readonly words: readonly string[];
  readonly flags: { readonly [Name in keyof F]?: F[Name] extends 'text' ? string : boolean };
  readonly wantsHelp: boolean;
}

/** The flags of every command. */
export const commonFlags = { url: 'text', token: 'text', 'token-file': 'text' } as const satisfies Flags;
/** The flags of commands that also use TCP. */
export const tcpFlags = { 'tcp-port': 'text', tls: 'switch' } as const satisfies Flags;

export const tcpHelp = [
  '  --tcp-port PORT   its TCP port (HUB_TCP_PORT, else 60001)',
  '  --tls             TLS on the TCP port too (implied if the URL is https)',
];
export const commonHelp = [
  '  --url URL         the hub’s address, http or https (HUB_HOST and HUB_PORT, else http://127.0.0.1:8080);',
  '                    NODE_EXTRA_CA_CERTS=FILE makes a self-signed certificate trusted',
  '  --token-file FILE the token for a hub that requires one; read again whenever it is needed',
  '  --token TOKEN     the token itself (visible to others on this machine); else PRESENCE_HUB_TOKEN',
  '  --help            this text',
];

/** A command: its help, its flags, how it reads them and what it does. */
interface Command<F extends Flags, Order> {
  readonly help: string;
  readonly flags: F;
  /** Reads the whole command line and returns an order or the first fault. */
  readonly read: (line: CommandLine<F>, io: Io) => Result<Order>;
  /** Carries out the order and returns the exit code. */
  readonly run: (order: Order, io: Io) => Promise<number>;
}

export async function runCommand<F extends Flags, Order>(
  { help, flags, read, run }: Command<F, Order>,
  args: readonly string[],
  io: Io,
): Promise<number> {
  const line = readCommandLine(args, flags);
  if (!line.ok) return exitWith(io, line.problem, EXIT_USAGE);
  if (line.value.wantsHelp) {
    say(io, help);
    return EXIT_OK;
  }
  const order = read(line.value, io);
  return order.ok ? run(order.value, io) : exitWith(io, order.problem, EXIT_USAGE);
}

function readCommandLine<F extends Flags>(args: readonly string[], known: F): Result<CommandLine<F>> {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, kind] of Object.entries(known)) options[name] = { type: kind === 'text' ? 'string' : 'boolean' };
  // Not `strict`, because its errors span several sentences. The loop below checks the tokens.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const flags: Record<string, string | boolean> = {};
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    const names = Object.keys(options).map((name) => `--${name}`);
    if (option === undefined)
      return fail(`${token.rawName} is not a flag of this command: there are ${names.join(', ')}`);
    if (option.type === 'boolean' && token.value !== undefined) return fail(`${token.rawName} takes no value`);
    if (option.type === 'string' && (token.value === undefined || isMissing(token.value, token.inlineValue))) {
      return fail(`${token.rawName} needs a value: ${token.rawName}=VALUE`);
    }
    flags[token.name] = token.value ?? true;
  }
  const { help, ...given } = flags;
  return ok({ words, flags: given as CommandLine<F>['flags'], wantsHelp: help === true });
}

/** Treats `--text --once` as a missing value. `--text=--once` gives that text. */
function isMissing(value: string, isInline: boolean | undefined): boolean {
  return isInline !== true && value.startsWith('--');
}

export function readUserId(name: string, value: string | undefined): Result<string> {
  if (value === undefined) return fail(`${name} is missing: a user id ${USER_ID_FORM}`);
  return isUserId(value) ? ok(value) : fail(`${name} is ${JSON.stringify(value)}: it ${USER_ID_FORM}`);
}

export function readDevice(value: string): Result<string> {
  return isDevice(value) ? ok(value) : fail(`--device is ${JSON.stringify(value)}: it ${DEVICE_FORM}`);
}

export function readText(value: string): Result<string> {
  return value.length <= MAX_TEXT_UNITS
    ? ok(value)
    : fail(`--text is ${value.length} characters long: at most ${MAX_TEXT_UNITS} are allowed`);
}

export function readWhole(name: string, value: string, min: number, max: number): Result<number> {
  return isWholeWithin(value, min, max)
    ? ok(Number(value))
    : fail(`${name} is ${JSON.stringify(value)}: it must be a whole number from ${min} to ${max}`);
}

/** Checks that there are no more words than the command knows. */
export function readNoMore(words: readonly string[], known: number): Result<undefined> {
  const extra = words[known];
  return extra === undefined ? ok(undefined) : fail(`${JSON.stringify(extra)} is an extra argument`);
}
