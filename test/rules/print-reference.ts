/**
 * Prints the tables of shared/PROTOCOL.md out of the code: schemas, codes, limits, settings, routes, metrics. Each
 * stands between `<!-- printed: NAME -->` and `<!-- end -->`; all else in that file is prose and is left alone. Reads
 * sources and returns text. The test of the reference calls it, and with UPDATE_REFERENCE=1 writes what it returns.
 */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { clientMessages } from '../../shared/messages/client-messages.ts';
import {
  badFrameReasons,
  closeCodes,
  errorCodes,
  problemCodes,
  refusalReasons,
  type BadFrameReason,
  type RefusalReason,
} from '../../shared/reasons.ts';
import { entry } from '../../shared/messages/entry.ts';
import { explainedSession, explanation, transition, transitionCauses } from '../../shared/messages/explain.ts';
import { shownCauses } from '../../shared/messages/shown-cause.ts';
import { friendsBody, heartbeatBody, importBody, presenceBody, problem } from '../../shared/messages/http-bodies.ts';
import { hubMessages, tailedChange } from '../../shared/messages/hub-messages.ts';
import * as limits from '../../shared/limits.ts';
import { defaultCodes } from '../../shared/status.ts';
import { flagOf, settings, writtenDefault, type SettingName } from '../../server/config/settings.ts';
import { Histogram } from '../../server/lib/histogram.ts';
import { zeroCounts } from '../../server/lib/zero-counts.ts';
import { createMetrics } from '../../server/metrics/metrics.ts';
import { Transitions } from '../../server/metrics/transitions.ts';
import { describeFields } from './describe-schema.ts';
import { describeRoutes } from './describe-routes.ts';

const limitsFile = new URL('../../shared/limits.ts', import.meta.url);

/** Every printed table by its name. */
export const sections: Readonly<Record<string, () => string>> = {
  entry: () => table(['field', 'form'], describeFields(entry)),
  codes: () =>
    table(
      ['status', '`code`'],
      Object.entries(defaultCodes).map(([status, code]) => [mono(status), code]),
    ),
  'client messages': () => table(['message', 'fields'], Object.entries(clientMessages).map(messageRow)),
  'hub messages': () => table(['message', 'fields'], Object.entries(hubMessages).map(messageRow)),
  'error codes': () => table(['code', 'meaning'], rowsOf(errorCodes)),
  'close codes': () =>
    table(
      ['code', 'meaning'],
      Object.values(closeCodes).map(({ code, meaning }) => [code, meaning]),
    ),
  'problem codes': () =>
    table(
      ['status', 'code', 'meaning'],
      Object.entries(problemCodes).map(([code, { status, meaning }]) => [status, mono(code), meaning]),
    ),
  'bad frame reasons': () => table(['reason', 'meaning'], rowsOf(badFrameReasons)),
  'refusal reasons': () => table(['reason', 'meaning'], rowsOf(refusalReasons)),
  routes: () => table(['request', 'answer'], describeRoutes()),
  'http bodies': () => table(['body of', 'fields'], Object.entries(bodies).map(bodyRow)),
  explanation: () => table(['what', 'fields'], Object.entries(explanations).map(bodyRow)),
  'transition causes': () => table(['cause', 'meaning'], rowsOf(transitionCauses)),
  'shown causes': () => table(['cause', 'meaning'], rowsOf(shownCauses)),
  metrics: printMetrics,
  settings: printSettings,
  limits: printLimits,
};

const bodies = {
  'POST /v1/heartbeat': heartbeatBody,
  'POST /v1/presence': presenceBody,
  'PUT /v1/users/{user}/friends': friendsBody,
  'POST /v1/friends/import': importBody,
  'application/problem+json': problem,
};

const explanations = {
  answer: explanation,
  decision: explanation.shape.decision,
  hidden: explanation.shape.hidden,
  session: explainedSession,
  transition,
  'tailed change': tailedChange,
};

const PRINTED = /(<!-- printed: ([a-z ]+) -->\n)[^]*?(<!-- end -->)/g;

/** The reference with its tables printed again. */
export function printInto(markdown: string): string {
  return markdown.replace(PRINTED, (_all, begin: string, name: string, end: string) => {
    const print = sections[name];
    if (print === undefined) throw new Error(`there is no table ${JSON.stringify(name)} to print`);
    return `${begin}\n${print()}\n\n${end}`;
  });
}

/** The tables as the reference has them, by name. */
export function printedIn(markdown: string): ReadonlyMap<string, string> {
  const blocks = [...markdown.matchAll(PRINTED)];
  return new Map(
    blocks.map(([all = '', begin = '', name = '', end = '']) => [name, all.slice(begin.length, -end.length).trim()]),
  );
}

type Cell = string | number;

function table(head: readonly Cell[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function rowsOf(meanings: Readonly<Record<string, string>>): Cell[][] {
  return Object.entries(meanings).map(([name, meaning]) => [mono(name), meaning]);
}

/** The type of a message is its name, so it is no field of the row. */
function messageRow([name, schema]: [string, z.ZodObject]): Cell[] {
  const [type = '', variant] = name.split(' (');
  const fields = describeFields(schema).filter(([field]) => field !== '`type`');
  return [variant === undefined ? mono(type) : `${mono(type)} (${variant}`, joinFields(fields)];
}

function bodyRow([name, schema]: [string, z.ZodObject]): Cell[] {
  return [mono(name), joinFields(describeFields(schema))];
}

function joinFields(fields: ReturnType<typeof describeFields>): string {
  return fields.map((field) => field.join(': ')).join('; ');
}

interface Instrument {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

function printMetrics(): string {
  const registry = createMetrics({
    sessions: () => ({ 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 }),
    connections: () => ({}),
    heartbeats: () => ({ 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 }),
    changes: () => 0,
    deliveries: () => 0,
    parsedFrames: () => 0,
    badFrames: () => zeroCounts(Object.keys(badFrameReasons) as BadFrameReason[]),
    refusals: () => zeroCounts(Object.keys(refusalReasons) as RefusalReason[]),
    limitsUsed: () => ({ connections: 0, sessions_total: 0 }),
    droppedLogLines: () => 0,
    delivery: new Histogram([]),
    heartbeatDelay: new Histogram([]),
    lapse: new Histogram([]),
    loopLag: new Histogram([]),
    transitions: new Transitions(),
    resyncs: () => ({ slow_reader: 0, viewer: 0 }),
    resumes: () => ({ changes: 0, snapshot: 0 }),
    massLapses: () => ({ 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 }),
    extendedLeases: () => ({ mass_lapse: 0, unread_input: 0 }),
    stalled: () => ({ count: 0, totalMs: 0 }),
    isStale: () => false,
    storage: {
      waitingCount: () => 0,
      behindMs: () => 0,
      writes: new Histogram([]),
      failingCount: () => 0,
      errorCount: () => 0,
    },
    webhooks: null,
    cluster: { nodes: () => ({ live: 0, silent: 0, left: 0, dead: 0 }), isUp: () => true, bus: new Histogram([]) },
  });
  // What prom-client's types leave out of an instrument.
  const instruments = registry.getMetricsAsArray() as unknown as readonly Instrument[];
  const rows = instruments.map(({ name, type, help, labelNames }) => {
    const labels = labelNames.length === 0 ? '' : `{${labelNames.join(',')}}`;
    return [mono(`${name}${labels}`), type, help];
  });
  return table(['name', 'kind', 'what it counts'], rows);
}

function printSettings(): string {
  const rows = Object.values(settings).map((one) => {
    const row = settingRow(one.name, writtenDefault(one), one.form.reference, one.help);
    return [...row, one.isLive ? 'applies' : ''];
  });
  return table([...settingHead, 'SIGHUP'], rows);
}

const settingHead = ['setting', 'flag', 'default', 'form', 'what it is'];

function settingRow(name: SettingName, fallback: string, form: string, help: string): Cell[] {
  return [mono(name), mono(`--${flagOf(name)}`), fallback === '' ? '' : mono(fallback), form, help];
}

/** A limit's comment is what it means: the one place where it is said. */
function printLimits(): string {
  const meanings = readFileSync(limitsFile, 'utf8').matchAll(/\/\*\* ([^]*?) \*\/\nexport const (\w+)/g);
  const values: Readonly<Record<string, number>> = limits;
  const rows = [...meanings].map(([, meaning = '', name = '']) => [mono(name), values[name] ?? '', meaning]);
  if (rows.length !== Object.keys(values).length) throw new Error('a limit in shared/limits.ts has no comment');
  return table(['limit', 'value', 'what it is'], rows);
}

function mono(text: string): string {
  return `\`${text}\``;
}
