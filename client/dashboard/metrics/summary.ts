/** Describes a plot in words, for screen readers. Pure. */
import type { PlotData, Point } from './history.ts';
import type { Measure } from '../../ui/metrics/measures.ts';
import { formatValue, type Unit } from '../../ui/metrics/units.ts';

/** "tcp-xml 42, between 40 and 50 in the last 3 minutes; ws-json 7, …". */
export function summarise({ unit, isSparse }: Measure, { times, series }: PlotData): string {
  if (times.length === 0) return 'No data yet.';
  if (series.length === 0) return isSparse === true ? `None ${span(times)}.` : 'The hub does not report it.';
  return `${series.map(({ label, points }) => `${label} ${describe(points, unit)}`).join('; ')}, ${span(times)}.`;
}

function describe(points: readonly Point[], unit: Unit): string {
  const known = points.filter((point): point is number => point !== null);
  if (known.length === 0) return 'none';
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const now = formatValue(points.at(-1), unit);
  if (least === most) return `${points.at(-1) === null ? 'none now, before ' : ''}${formatValue(most, unit)}`;
  return `${points.at(-1) === null ? 'none' : now} now, between ${formatValue(least, unit)} and ${formatValue(most, unit)}`;
}

function span(times: readonly number[]): string {
  const seconds = Math.round((times.at(-1) ?? 0) - (times[0] ?? 0));
  if (seconds < 90) return `in the last ${Math.max(1, seconds)} seconds`;
  return `in the last ${Math.round(seconds / 60)} minutes`;
}
