/**
 * A comparison: the hub and reference servers take turns at the same load, each time in a fresh process, and the ratio
 * counts. A missed goal is reported but fails no run; only wrong results do. Knows no load: the workload gives `run`.
 */
import { sleep } from './pacing.ts';
import { printTable, progress, round, say, type Outcome, type Row } from './report.ts';
import type { Candidate, Server } from './server.ts';
import type { Stage } from './stage.ts';
import {
  counting,
  HUB,
  inTurn,
  judge,
  ratioOf,
  sentenceOf,
  spreadOf,
  valuesOf,
  type Figures,
  type Goal,
  type Ratio,
  type Run,
} from './comparison-results.ts';

export interface RunResult {
  readonly figures: Figures;
  /** What a reader of the figures must know: the rate was not reached, the server was saturated. */
  readonly remarks?: readonly string[];
  /** What was wrong (lost changes): of the hub, it fails the bench; of a reference, it is a remark. */
  readonly failures?: readonly string[];
  /** Why the run is not valid, such as another program on the load's core. It is then repeated. */
  readonly disturbed?: string | undefined;
}

export interface ComparisonOptions {
  /** The default of --references. */
  readonly references: readonly string[];
  readonly rounds: number;
  /** The name of the figure that the ratios are made of. */
  readonly mainFigure: string;
  readonly goals?: readonly Goal[];
  /** Settings of the hub in addition to `comparisonSettings`. */
  readonly hub?: Readonly<Record<string, string>>;
  /** Names of candidates that are the hub once more, under another load: the hub is compared with them, too. */
  readonly hubsBeside?: readonly string[];
  readonly run: (server: Server, candidate: Candidate) => Promise<RunResult>;
}

/** No limit restricts the load, nothing is stored, and idle users do not lapse. */
export const comparisonSettings: Readonly<Record<string, string>> = {
  HUB_DATA: ':memory:',
  HUB_LOG_LEVEL: 'warn',
  HUB_MESSAGES_PER_S: '2000000',
  HUB_MAX_CONNECTIONS: '2000000',
  HUB_MAX_PER_ADDRESS: '2000000',
  HUB_MAX_SESSIONS: '2000000',
  HUB_MAX_WATCHES: '2000000',
  HUB_HEARTBEAT_MS: '60000',
  HUB_TIMEOUT_MS: '600000',
  HUB_TCP_TIMEOUT_MS: '600000',
  NODE_ENV: 'production',
};

/** A runtime that has just started still compiles and collects. */
const SETTLE_MS = 400;
const TRIES = 3;

export async function compareServers(stage: Stage, options: ComparisonOptions): Promise<Outcome> {
  const { rounds, mainFigure, goals = [] } = options;
  const hubs = [HUB, ...(options.hubsBeside ?? [])];
  const candidates = await stage.candidates(hubs, options.references, { ...comparisonSettings, ...options.hub });
  const runs: Run[] = [];
  const failures: string[] = [];
  for (let no = 1; no <= rounds; no += 1) {
    for (const candidate of inTurn(candidates, no - 1)) {
      const { name } = candidate;
      const result = await runOf(candidate, options.run);
      const wrong = result.failures ?? [];
      if (hubs.includes(name)) failures.push(...wrong.map((failure) => `round ${no}, ${name}: ${failure}`));
      const remarks = [...(result.remarks ?? []), ...wrong.map((failure) => `WRONG: ${failure}`)];
      if (result.disturbed !== undefined) remarks.push(`disturbed: ${result.disturbed}`);
      runs.push({
        candidate: name,
        round: no,
        figures: result.figures,
        remarks,
        isDisturbed: result.disturbed !== undefined,
      });
      const shown = Object.entries(result.figures).map(([figure, value]) => `${figure} ${round(value)}`);
      progress(`round ${no} of ${rounds}, ${name}: ${[...shown, ...remarks].join(', ')}`);
    }
  }
  const names = candidates.map(({ name }) => name);
  const ratios = names.slice(1).flatMap((name) => ratioOf(runs, name, mainFigure) ?? []);
  const verdicts = judge(runs, goals, mainFigure);
  printRatios(mainFigure, ratios);
  for (const verdict of verdicts) say(sentenceOf(verdict));
  printTable(names.map((name) => rowOf(runs, name)));
  return { failures, figures: { mainFigure, ratios, goals: verdicts, runs } };
}

/** What was wrong stays wrong however often it is repeated. */
async function runOf(candidate: Candidate, run: ComparisonOptions['run']): Promise<RunResult> {
  const failures: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const result = await runOnce(candidate, run);
    failures.push(...(result.failures ?? []));
    if (result.disturbed === undefined || attempt === TRIES) return { ...result, failures };
    progress(`${candidate.name}: disturbed (${result.disturbed}), once more`);
  }
}

/** A run that fails has no figures; the other runs continue. */
async function runOnce(candidate: Candidate, run: ComparisonOptions['run']): Promise<RunResult> {
  let server: Server | undefined;
  try {
    server = await candidate.start();
    await sleep(SETTLE_MS);
    const result = await run(server, candidate);
    const failures = [...(result.failures ?? []), ...server.errors.map((line) => `logged an error: ${line}`)];
    const ended = server.ended();
    if (ended !== null) failures.push(`the server ended: ${ended}`);
    return { ...result, failures };
  } catch (error) {
    return { figures: {}, failures: [`not measured: ${error instanceof Error ? error.message : String(error)}`] };
  } finally {
    await server?.stop();
  }
}

function printRatios(mainFigure: string, ratios: readonly Ratio[]): void {
  if (ratios.length === 0) return;
  say(`\n${mainFigure} of the hub by that of each reference: of the medians, and the spread of single rounds`);
  const rows = ratios.map(({ against, median, least, most }) => ({
    'hub by': against,
    ratio: round(median, 3),
    least: round(least, 3),
    most: round(most, 3),
  }));
  printTable(rows);
}

/** Medians, and in brackets the smallest and the largest, of the runs that count. */
function rowOf(runs: readonly Run[], candidate: string): Row {
  const own = runs.filter((run) => run.candidate === candidate);
  const figures = [...new Set(own.flatMap((run) => Object.keys(run.figures)))];
  const cells = new Map<string, string>();
  for (const figure of figures) {
    const values = valuesOf(own, candidate, figure);
    if (values.length === 0) continue;
    const { median, least, most } = spreadOf(values);
    cells.set(figure, `${round(median)} (${round(least)}-${round(most)})`);
  }
  const disturbed = own.length - counting(own).length;
  const remarked = own.filter(({ remarks }) => remarks.length > 0).length;
  return {
    server: candidate,
    ...(Object.fromEntries(cells) as Record<string, string>),
    disturbed: disturbed === 0 ? '-' : `${disturbed} of ${own.length} runs, not counted`,
    remarks: remarked === 0 ? '-' : `in ${remarked} of ${own.length} runs`,
  };
}
