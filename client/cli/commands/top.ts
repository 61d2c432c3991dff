/**
 * `presence-hub top`: what a hub does now, from its metrics: on a terminal live, in a pipe a block per interval. Asks
 * /metrics and, if the token allows it, /v1/counts. What is shown of the metrics is in client/ui/metrics/measures.ts.
 */
import { countsAnswer } from '../../../shared/messages/http-bodies.ts';
import { ok, type Result } from '../../../shared/result.ts';
import { measures, type Values } from '../../ui/metrics/measures.ts';
import { Reading } from '../../ui/metrics/reading.ts';
import { formatValue, type Unit } from '../../ui/metrics/units.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { askHub, failWith, type HubAnswer } from '../hub/hub-http.ts';
import { EXIT_OK, exitWith, say, untilStopped, type Io } from '../terminal/io.ts';
import { openScreen } from '../terminal/screen.ts';
import { harmless, jsonLine } from '../terminal/terminal-text.ts';
import {
  commonFlags,
  commonHelp,
  readNoMore,
  readWhole,
  runCommand,
  type CommandLine,
  type Flags,
} from './command-line.ts';

const help = [
  'presence-hub top [--once] [--json]    shows how many users, sessions and messages a hub has, and its delays',
  '',
  '  --every SECONDS   how long the rates are measured, 1 to 3600 (2)',
  '  --once            ends after one measurement',
  '  --json            one JSON object per measurement',
  ...commonHelp,
].join('\n');

const flags = { ...commonFlags, every: 'text', once: 'switch', json: 'switch' } as const satisfies Flags;

interface Order {
  readonly access: HubAccess;
  readonly everyMs: number;
  readonly isOnce: boolean;
  readonly isJson: boolean;
}

/** One measurement. `counts` is null if the token may not read them. */
interface Snapshot {
  readonly at: number;
  readonly counts: Readonly<Record<'online' | 'away' | 'busy', number>> | null;
  readonly values: readonly { readonly id: string; readonly title: string; readonly unit: Unit; readonly of: Values }[];
}

type Failure = Exclude<HubAnswer, { kind: 'ok' }>;

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: watchHub }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, io: Io): Result<Order> {
  const noMore = readNoMore(words, 0);
  if (!noMore.ok) return noMore;
  const every = readWhole('--every', given.every ?? '2', 1, 3600);
  if (!every.ok) return every;
  const access = readAccess(given, io.env);
  if (!access.ok) return access;
  return ok({
    access: access.value,
    everyMs: every.value * 1000,
    isOnce: given.once === true,
    isJson: given.json === true,
  });
}

async function watchHub({ access, everyMs, isOnce, isJson }: Order, io: Io): Promise<number> {
  const isLive = io.stdout.isTTY === true && !isOnce && !isJson;
  let lines: readonly string[] = [`reading ${access.http} …`];
  const screen = isLive ? openScreen(io.stdout, (_, rows) => lines.slice(0, rows)) : undefined;
  const show = (snapshot: Snapshot): void => {
    if (isJson) return say(io, toJson(snapshot));
    lines = render(access.http, snapshot);
    if (screen === undefined) for (const line of [...lines, '']) say(io, line);
    else screen.touch();
  };
  const stopped = untilStopped(io).then(() => true);
  const failure = await measureUntil(stopped, { access, everyMs, isOnce }, io, show);
  screen?.close();
  if (failure === undefined) return EXIT_OK;
  return 'problem' in failure ? failWith(failure, io) : exitWith(io, failure.text);
}

/** Measures until the command is stopped. A hub that restarts is waited for, if it has answered once. */
async function measureUntil(
  stopped: Promise<boolean>,
  { access, everyMs, isOnce }: Pick<Order, 'access' | 'everyMs' | 'isOnce'>,
  io: Io,
  show: (snapshot: Snapshot) => void,
): Promise<Failure | { readonly text: string } | undefined> {
  let before: Reading | undefined;
  for (;;) {
    const answer = await askHub(access, { method: 'GET', path: '/metrics', isText: true, signal: io.interrupted });
    if (io.interrupted.aborted) return undefined;
    if (answer.kind !== 'ok') {
      if (answer.kind === 'refused' || before === undefined || isOnce) return answer;
    } else {
      const reading = new Reading(String(answer.body), performance.now());
      if (!reading.has('presence_hub_sessions')) return { text: `the server at ${access.http} is not a hub` };
      if (before !== undefined) {
        show(await snapshotOf(access, reading, before, io));
        if (isOnce) return undefined;
      }
      before = reading;
    }
    if (await Promise.race([stopped, pause(everyMs, io.interrupted)])) return undefined;
  }
}

async function snapshotOf(access: HubAccess, reading: Reading, before: Reading, io: Io): Promise<Snapshot> {
  const answer = await askHub(access, { method: 'GET', path: '/v1/counts', signal: io.interrupted });
  const counts = answer.kind === 'ok' ? countsAnswer.safeParse(answer.body) : undefined;
  return {
    at: Date.now(),
    counts: counts?.success === true ? counts.data : null,
    values: measures.map(({ id, title, unit, read, isSparse }) => {
      const all = [...read(reading, before)];
      return { id, title, unit, of: new Map(isSparse === true ? all.filter(([, value]) => (value ?? 0) > 0) : all) };
    }),
  };
}

const TITLE_COLUMNS = 16;

function render(url: string, { at, counts, values }: Snapshot): readonly string[] {
  const row = (title: string, cells: readonly string[]): string =>
    harmless(`${title.padEnd(TITLE_COLUMNS)}${cells.join('   ')}`);
  const users =
    counts === null ? [] : (['online', 'away', 'busy'] as const).map((status) => `${status} ${counts[status]}`);
  return [
    harmless(`${url}   ${new Date(at).toISOString()}`),
    ...(counts === null ? [] : [row('Users', users)]),
    ...values
      .filter(({ of }) => of.size > 0)
      .map(({ title, unit, of }) =>
        row(
          title,
          [...of].map(([name, value]) => `${name} ${formatValue(value, unit)}`),
        ),
      ),
  ];
}

function toJson({ at, counts, values }: Snapshot): string {
  const users = counts && { online: counts.online, away: counts.away, busy: counts.busy };
  const measured = Object.fromEntries(values.map(({ id, of }) => [id, Object.fromEntries(of)]));
  return jsonLine({ at, users, measures: measured });
}

function pause(ms: number, signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve(false);
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
