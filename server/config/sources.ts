/**
 * The sources of settings: flags, environment and file. Turns each source into one map of given values, finds unknown
 * names, and recognizes what Kubernetes injects. This file checks names only; `config.ts` checks the values.
 */
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import type { Environment } from '../../shared/environment.ts';
import { parseFields } from '../../shared/messages/json.ts';
import { fail, ok, type Result } from '../../shared/result.ts';
import { flagOf, isSettingName, settingNames, type SettingName } from './settings.ts';

/** A value and its name in the source, for the error message. */
export interface Given {
  readonly value: string;
  readonly saidAs: string;
}
export type GivenSettings = ReadonlyMap<SettingName, Given>;

export interface CommandLine {
  readonly flags: ReadonlyMap<SettingName, string>;
  readonly wants: 'start' | 'help' | 'version';
}

/** Parses the arguments of `serve`. Reports the first fault only. */
export function readFlags(args: readonly string[]): Result<CommandLine> {
  const names = new Map(settingNames.map((name) => [flagOf(name), name]));
  const options = Object.fromEntries([...names.keys()].map((flag) => [flag, { type: 'string' as const }]));
  // Not `strict`, because its errors span several lines and suggest nothing. The loop below checks the tokens.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const flags = new Map<SettingName, string>();
  let wants: CommandLine['wants'] = 'start';
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') return fail(`"${token.value}" is neither a command nor a flag: see --help`);
    const name = names.get(token.name);
    if (name !== undefined && token.rawName.startsWith('--')) {
      if (token.value === undefined) return fail(`--${token.name} lacks a value: write --${token.name} VALUE`);
      flags.set(name, token.value);
    } else if (token.rawName === '--help' || token.rawName === '-h') wants = 'help';
    else if (token.rawName === '--version' || token.rawName === '-v') wants = wants === 'help' ? 'help' : 'version';
    else return fail(`${token.rawName} is not a flag: ${suggest(token.name, [...names.keys()], '--')}`);
  }
  return ok({ flags, wants });
}

/** Reads the `HUB_` names of the environment. Names that Kubernetes injected are listed separately. */
export function readEnvironment(env: Environment): Result<{ given: GivenSettings; injected: readonly string[] }> {
  const given = new Map<SettingName, Given>();
  const injected: string[] = [];
  for (const name of Object.keys(env).sort()) {
    const value = env[name];
    if (!name.startsWith('HUB_') || value === undefined) continue;
    if (isInjected(name, value)) injected.push(name);
    else if (isSettingName(name)) give(given, name, value, name);
    else return fail(`${name} is not a setting: ${orAnothers(name)}`);
  }
  return ok({ given, injected });
}

/** Parses a settings file: one JSON object. A name may be written HUB_TCP_PORT, tcp-port, tcpPort or tcp_port. */
export function readSettingsFile(json: string, path: string): Result<GivenSettings> {
  const fields = parseFields(json.replace(/^\uFEFF/, ''));
  if (fields === undefined) return fail(`HUB_CONFIG is "${path}": the file must hold one JSON object`);
  const given = new Map<SettingName, Given>();
  const seen = new Map<SettingName, string>();
  for (const [key, value] of Object.entries(fields)) {
    const name = settingNameOf(key);
    const where = `${quoted(key)} in ${path}`;
    if (!isSettingName(name)) return fail(`${where} is not a setting: ${suggest(name, settingNames)}`);
    if (name === 'HUB_CONFIG') return fail(`HUB_CONFIG cannot be set in the file that it names (${path}): remove it`);
    const other = seen.get(name);
    if (other !== undefined)
      return fail(`${name} is set twice in ${path}, as ${quoted(other)} and ${quoted(key)}: keep one`);
    seen.set(name, key);
    const text = textOf(name, value);
    if (text === undefined) return fail(`${name} (${where}) must be text, a number, true or false`);
    give(given, name, text, where);
  }
  return ok<GivenSettings>(given);
}

/** Treats empty text as unset, as in `HUB_PORT= npm start`. */
export function give(given: Map<SettingName, Given>, name: SettingName, value: string, saidAs: string): void {
  if (value.trim() !== '') given.set(name, { value: value.trim(), saidAs });
}

/** The variables of a Service `hub-x` begin with `HUB_X`. */
const SERVICE = 'HUB(_[A-Z0-9_]+)?';
const isUrl = (value: string): boolean => /^(tcp|udp|sctp):\/\//.test(value);
const isAddress = (value: string): boolean => isIP(value) !== 0;
const isPort = (value: string): boolean => /^\d{1,5}$/.test(value);
const injectedForms: readonly (readonly [name: RegExp, isForm: (value: string) => boolean])[] = [
  [new RegExp(`^${SERVICE}_SERVICE_HOST$`), isAddress],
  [new RegExp(`^${SERVICE}_SERVICE_PORT(_[A-Z0-9_]+)?$`), isPort],
  [new RegExp(`^${SERVICE}_PORT(_\\d+_(TCP|UDP|SCTP))?$`), isUrl],
  [new RegExp(`^${SERVICE}_PORT_\\d+_(TCP|UDP|SCTP)_PROTO$`), (value) => /^(tcp|udp|sctp)$/.test(value)],
  [new RegExp(`^${SERVICE}_PORT_\\d+_(TCP|UDP|SCTP)_PORT$`), isPort],
  [new RegExp(`^${SERVICE}_PORT_\\d+_(TCP|UDP|SCTP)_ADDR$`), isAddress],
];

/**
 * Returns whether Kubernetes injected the variable for a Service whose name is `hub` or begins with `hub-`. Checks the
 * value too, so that a mistyped setting still stops the start.
 */
function isInjected(name: string, value: string): boolean {
  return injectedForms.some(([form, isForm]) => form.test(name) && isForm(value));
}

function settingNameOf(key: string): string {
  if (key.startsWith('HUB_')) return key;
  return `HUB_${key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()}`;
}

/** Returns a value of the file in the form of the environment. A table may be written as JSON in place. */
function textOf(name: SettingName, value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  return name === 'HUB_CODES' || name === 'HUB_TCP_NAMES' ? JSON.stringify(value) : undefined;
}

const MAX_QUOTED_CHARS = 80;

/** Quotes the operator's text on one short line, whatever it contains. */
export function quoted(given: string): string {
  const text = given.replace(/:\/\/[^/?#]*@/, '://…@');
  return JSON.stringify(text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text);
}

function orAnothers(name: string): string {
  const advice = suggest(name, settingNames);
  const end = advice.endsWith('?') ? '' : '.';
  return `${advice}${end} If another program needs it, start the hub with \`env -u ${name}\``;
}

function suggest(word: string, candidates: readonly string[], prefix = ''): string {
  // No name is that long, and the cost of a distance is the product of both lengths.
  if (word.length > MAX_QUOTED_CHARS) return 'see --help for the list';
  const candidate = nearest(word, candidates);
  return candidate === undefined ? 'see --help for the list' : `did you mean ${prefix}${candidate}?`;
}

/** Returns the candidate that takes the fewest edits, if it is similar enough to be a plausible correction. */
function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editsBetween(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best !== undefined && best.edits <= Math.max(3, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

/** The Levenshtein distance, row by row. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const swap = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
