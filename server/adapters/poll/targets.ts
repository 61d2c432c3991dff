/**
 * Parses the file HUB_POLL: which users to poll, where, and how often. Pure: text in, targets out, or one sentence that
 * names the target, the field and what to write instead. Never repeats a url, because it may contain a password.
 */
import { urlToHttpOptions } from 'node:url';
import { DEVICE_FORM, isDevice, isUserId, USER_ID_FORM } from '../../../shared/ids.ts';
import { isFields, type Fields } from '../../../shared/messages/json.ts';
import { ok, fail, type Result } from '../../../shared/result.ts';

export type Endpoint =
  { readonly kind: 'tcp'; readonly host: string; readonly port: number } | { readonly kind: 'http'; readonly url: URL };

export interface Target {
  readonly user: string;
  readonly device: string;
  /** The url as the file has it. Must not be logged. */
  readonly url: string;
  readonly endpoint: Endpoint;
  /** Host and port, without anything secret. */
  readonly address: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly failures: number;
}

const DEFAULT_DEVICE = 'poll';
const DEFAULT_EVERY_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 2_000;
const DEFAULT_FAILURES = 3;
const EVERY_MS = { min: 100, max: 86_400_000 };
const TIMEOUT_MS = { min: 50, max: 60_000 };
const FAILURES = { min: 1, max: 100 };

const FIELDS = ['user', 'url', 'device', 'everyMs', 'timeoutMs', 'failures'];
const URL_FORM =
  'must be tcp://host:port, http://host/path or https://host/path, with a port from 1 to 65535, and a path for http only';
const LIST_FORM = 'the file must hold a JSON list of targets, or {"targets": [...]}';

/** Parses the whole file. The first fault is returned as the end of a sentence that begins with the file. */
export function parseTargets(json: string): Result<readonly Target[]> {
  const list = parseList(json);
  if (!list.ok) return list;
  const targets = new Map<string, Target>();
  for (const [index, value] of list.value.entries()) {
    const read = readTarget(value, `targets[${index}]`);
    if (!read.ok) return read;
    const key = targetKey(read.value);
    if (targets.has(key)) {
      const first = [...targets.keys()].indexOf(key);
      const { user, device } = read.value;
      return fail(
        `targets[${index}] has the user ${user} and the device ${JSON.stringify(device)} of targets[${first}]: give one of them another device, or remove it`,
      );
    }
    targets.set(key, read.value);
  }
  return ok([...targets.values()]);
}

/** User and device identify the session, so they identify the target too. */
export function targetKey({ user, device }: Pick<Target, 'user' | 'device'>): string {
  return `${user}\n${device}`; // neither can contain a line end
}

/** Whether nothing about a target has changed, so that its polls go on. */
export function isSameTarget(a: Target, b: Target): boolean {
  return (
    targetKey(a) === targetKey(b) &&
    a.url === b.url &&
    a.everyMs === b.everyMs &&
    a.timeoutMs === b.timeoutMs &&
    a.failures === b.failures
  );
}

function parseList(json: string): Result<readonly unknown[]> {
  let value: unknown;
  try {
    value = JSON.parse(json.replace(/^\uFEFF/, ''));
  } catch (error) {
    return fail(`it is not JSON${lineOf(error, json)}; ${LIST_FORM}`);
  }
  if (Array.isArray(value)) return ok(value);
  if (!isFields(value) || !Array.isArray(value['targets'])) return fail(LIST_FORM);
  const other = Object.keys(value).find((name) => name !== 'targets');
  if (other !== undefined) return fail(`it has ${quote(other)} beside "targets": remove it`);
  return ok(value['targets']);
}

/**
 * The line of a fault, if the engine states its position. The engine's own message would repeat a piece of the file.
 */
function lineOf(error: unknown, json: string): string {
  const [, place] = / at position (\d+)/.exec(String(error)) ?? [];
  return place === undefined ? '' : ` (line ${json.slice(0, Number(place)).split('\n').length})`;
}

function readTarget(value: unknown, where: string): Result<Target> {
  if (!isFields(value)) return fail(`${where} is ${describe(value)}: it must be an object with user and url`);
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) {
    return fail(`${where} has a field ${quote(unknown)}: remove it; the fields are ${FIELDS.join(', ')}`);
  }
  const { user, url, device = DEFAULT_DEVICE } = value as { user?: unknown; url?: unknown; device?: unknown };
  if (typeof user !== 'string' || !isUserId(user)) {
    return fail(`${where}.user is ${describe(user)}: it ${USER_ID_FORM}, in quotes`);
  }
  if (typeof device !== 'string' || !isDevice(device)) {
    return fail(`${where}.device is ${describe(device)}: it ${DEVICE_FORM}`);
  }
  const place = typeof url === 'string' ? readUrl(url.trim()) : undefined;
  if (place === undefined) {
    const is = typeof url === 'string' ? 'is of another form' : `is ${describe(url)}`;
    return fail(`${where}.url (of the user ${user}) ${is}: it ${URL_FORM}`);
  }
  const rhythm = readRhythm(value, where);
  if (!rhythm.ok) return rhythm;
  return ok({ user, device, url: String(url), ...place, ...rhythm.value });
}

function readRhythm(fields: Fields, where: string): Result<Pick<Target, 'everyMs' | 'timeoutMs' | 'failures'>> {
  const everyMs = readWhole(fields['everyMs'] ?? DEFAULT_EVERY_MS, EVERY_MS, `${where}.everyMs`);
  if (!everyMs.ok) return everyMs;
  const fallbackMs = Math.min(DEFAULT_TIMEOUT_MS, everyMs.value);
  const timeoutMs = readWhole(fields['timeoutMs'] ?? fallbackMs, TIMEOUT_MS, `${where}.timeoutMs`);
  if (!timeoutMs.ok) return timeoutMs;
  // A poll must end before the next one of its target is due, so that everyMs is the true interval.
  if (timeoutMs.value > everyMs.value) {
    return fail(
      `${where}.timeoutMs is ${timeoutMs.value}, longer than its everyMs of ${everyMs.value}: give at most ${everyMs.value}, or a longer everyMs`,
    );
  }
  const failures = readWhole(fields['failures'] ?? DEFAULT_FAILURES, FAILURES, `${where}.failures`);
  if (!failures.ok) return failures;
  return ok({ everyMs: everyMs.value, timeoutMs: timeoutMs.value, failures: failures.value });
}

function readWhole(value: unknown, { min, max }: { min: number; max: number }, where: string): Result<number> {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    ? ok(value)
    : fail(`${where} is ${describe(value)}: it must be a whole number from ${min} to ${max}`);
}

function readUrl(text: string): Pick<Target, 'endpoint' | 'address'> | undefined {
  return /^https?:\/\//i.test(text) ? readHttpUrl(text) : readTcpUrl(text);
}

function readHttpUrl(text: string): Pick<Target, 'endpoint' | 'address'> | undefined {
  try {
    const url = new URL(text);
    // Throws if a user or password in the url cannot be decoded. Otherwise the first poll would throw.
    urlToHttpOptions(url);
    if (url.port === '0') return undefined;
    const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
    return { endpoint: { kind: 'http', url }, address: `${url.hostname}:${port}` };
  } catch {
    return undefined;
  }
}

/** Parses the host as that of an http url, because the host of an unknown scheme would stay undecoded. */
function readTcpUrl(text: string): Pick<Target, 'endpoint' | 'address'> | undefined {
  const [, authority = '', digits = ''] = /^tcp:\/\/([^/?#@\\\s]+):(\d{1,5})\/?$/i.exec(text) ?? [];
  const port = Number(digits);
  if (authority === '' || port < 1 || port > 65_535) return undefined;
  try {
    const { hostname, port: second } = new URL(`http://${authority}`);
    if (second !== '' || hostname === '') return undefined;
    return {
      endpoint: { kind: 'tcp', host: hostname.replace(/^\[(.*)\]$/, '$1'), port },
      address: `${hostname}:${port}`,
    };
  } catch {
    return undefined;
  }
}

/** Describes a value in a few words that fit one line. */
function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return `the number ${value}`;
  return isFields(value) ? 'an object' : JSON.stringify(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
