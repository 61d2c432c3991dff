/**
 * The result of a comparison: the order of turns, medians with their spread, ratios of the hub to each reference,
 * and goals reached or missed. Plain values in and out; runs nothing and prints nothing.
 */
import { median } from './histogram.ts';
import { round } from './report.ts';

export type Figures = Readonly<Record<string, number>>;

export interface Run {
  readonly candidate: string;
  readonly round: number;
  readonly figures: Figures;
  readonly remarks: readonly string[];
  /** Something else had the machine: kept, but it does not count. */
  readonly isDisturbed: boolean;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The hub's figure by a reference's: of the medians, and the smallest and largest within one round. */
export interface Ratio extends Spread {
  readonly against: string;
}

/** What the hub should reach, relative to a reference's figure, or as an absolute value if `against` is omitted. */
export interface Goal {
  readonly against?: string;
  /** Default: the comparison's main figure. */
  readonly figure?: string;
  readonly atMost: number;
}

export interface Verdict extends Goal {
  readonly figure: string;
  /** Null if the reference had no run, or the figure is not available here. */
  readonly value: number | null;
  readonly isReached: boolean | null;
}

export const HUB = 'hub';

/**
 * Each round starts with another candidate, so that a slow minute of the machine, or being the first, hits all alike.
 */
export function inTurn<Item>(items: readonly Item[], turn: number): Item[] {
  const first = items.length === 0 ? 0 : turn % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: median(sorted), least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN };
}

/** The runs that count; if there are none, a candidate has no figures. */
export function counting(runs: readonly Run[]): Run[] {
  return runs.filter(({ isDisturbed }) => !isDisturbed);
}

export function valuesOf(runs: readonly Run[], candidate: string, figure: string): number[] {
  const own = counting(runs).filter((run) => run.candidate === candidate);
  return own.flatMap(({ figures }) => figures[figure] ?? []);
}

/** Undefined if one of the two has no such figure. */
export function ratioOf(runs: readonly Run[], against: string, figure: string): Ratio | undefined {
  const values = [HUB, against].map((name) => median(valuesOf(runs, name, figure)));
  const ofRounds = [...new Set(runs.map((run) => run.round))]
    .map((no) => runs.filter((run) => run.round === no))
    .map((sameRound) => only(valuesOf(sameRound, HUB, figure)) / only(valuesOf(sameRound, against, figure)))
    .filter((ratio) => !Number.isNaN(ratio));
  const ratio = (values[0] ?? Number.NaN) / (values[1] ?? Number.NaN);
  return Number.isNaN(ratio) ? undefined : { ...spreadOf(ofRounds), against, median: ratio };
}

export function judge(runs: readonly Run[], goals: readonly Goal[], mainFigure: string): Verdict[] {
  return goals.map((goal) => {
    const figure = goal.figure ?? mainFigure;
    const value =
      goal.against === undefined
        ? median(valuesOf(runs, HUB, figure))
        : (ratioOf(runs, goal.against, figure)?.median ?? Number.NaN);
    if (Number.isNaN(value)) return { ...goal, figure, value: null, isReached: null };
    return { ...goal, figure, value: round(value, 3), isReached: value <= goal.atMost };
  });
}

export function sentenceOf({ against, figure, atMost, value, isReached }: Verdict): string {
  const what = against === undefined ? `${figure} at most ${atMost}` : `${figure} at most ${atMost} × ${against}`;
  if (value === null) return `goal not judged: ${what}`;
  return `goal ${isReached === true ? 'reached' : 'MISSED'}: ${what}: ${value}`;
}

function only(values: readonly number[]): number {
  return values[0] ?? Number.NaN;
}
