/**
 * Draws one plot on a canvas with uPlot: defines its appearance, rebuilds it if its series or colors change, and moves
 * its cursor with all others. Does not know what a measure means.
 */
import uPlot from 'uplot';
import type { PlotData } from '../../metrics/history.ts';
import { WINDOW_MS } from '../../metrics/history.ts';
import { formatValue, type Unit } from '../../../ui/metrics/units.ts';
import { colourOf, resolveColour } from './colours.ts';

/** Plots with the same key move their cursors together. */
const SYNC_KEY = 'plots';
const HEIGHT = 132;
/** The minimum time span, so that the plot is not empty at first. It grows with the data. */
const LEAST_SPAN_S = 60;
const MiB = 2 ** 20;
/** A position outside of the plot, for no cursor. */
const OUTSIDE = -10;

export interface Drawing {
  show(data: PlotData): void;
  /** Rebuilds the plot, because colors may have changed. */
  readonly restyle: () => void;
  resize(): void;
  /** Moves the cursor of all plots by this many points. */
  step(by: number): void;
  /** Removes the cursor from all plots. */
  release(): void;
  destroy(): void;
}

export interface DrawingOptions {
  readonly host: HTMLElement;
  readonly unit: Unit;
  /** The point under the cursor; null if there is none. */
  readonly onCursor: (index: number | null) => void;
}

export function createDrawing({ host, unit, onCursor }: DrawingOptions): Drawing {
  let data: PlotData = { times: [], series: [] };
  let plot: uPlot | undefined;
  let labels = '';

  const build = (): void => {
    plot?.destroy();
    labels = labelsOf(data);
    const options = optionsOf({ host, unit, data, onCursor });
    plot = new uPlot(options, alignedOf(data), host);
  };
  return {
    show: (next) => {
      data = next;
      if (plot === undefined || labelsOf(data) !== labels) build();
      else plot.setData(alignedOf(data));
    },
    restyle: build,
    resize: () => {
      const width = host.clientWidth;
      if (plot !== undefined && width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    },
    step: (by) => {
      if (plot === undefined || data.times.length === 0) return;
      const last = data.times.length - 1;
      const index = Math.min(last, Math.max(0, (plot.cursor.idx ?? (by < 0 ? last + 1 : -1)) + by));
      const moment = data.times[index] ?? 0;
      moveAll((each) => each.valToPos(moment, 'x'));
    },
    release: () => {
      moveAll(() => OUTSIDE);
    },
    destroy: () => {
      plot?.destroy();
    },
  };
}

function moveAll(leftOf: (plot: uPlot) => number): void {
  for (const plot of uPlot.sync(SYNC_KEY).plots) {
    const left = leftOf(plot);
    plot.setCursor({ left, top: left < 0 ? OUTSIDE : 0 });
  }
}

function optionsOf({ host, unit, data, onCursor }: DrawingOptions & { readonly data: PlotData }): uPlot.Options {
  const [faint, line] = [resolveColour(host, '--faint'), resolveColour(host, '--line')];
  const font = `11px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: faint, font, ticks: { show: false } };
  return {
    width: Math.max(120, host.clientWidth),
    height: HEIGHT,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC_KEY }, y: false, drag: { x: false, y: false, setScale: false }, points: { size: 6 } },
    scales: {
      x: { time: true, range: spanOf },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.08 : smallest(unit)] },
    },
    axes: [
      { ...axis, size: 22, space: 64, grid: { show: false }, values: (_plot, splits) => splits.map(formatClock) },
      {
        ...axis,
        size: 54,
        space: 30,
        gap: 6,
        grid: { stroke: line, width: 1 },
        ...incrementsOf(unit),
        values: (_plot, splits) => splits.map((value) => formatValue(value, unit === 'perSecond' ? 'count' : unit)),
      },
    ],
    series: [{}, ...data.series.map(({ label }, index) => seriesOf(host, label, index, data.series.length))],
    hooks: {
      setCursor: [({ cursor }) => onCursor(cursor.left === undefined || cursor.left < 0 ? null : (cursor.idx ?? null))],
    },
  };
}

function seriesOf(host: HTMLElement, label: string, index: number, count: number): uPlot.Series {
  const stroke = resolveColour(host, colourOf(label, index));
  return {
    label,
    stroke,
    width: 1.5,
    ...(count === 1 && { fill: stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.1)') }),
    // A point between two gaps would not be visible as a line.
    points: { show: true, size: 4, fill: stroke, filter: lonely },
  };
}

const lonely: uPlot.Series.Points.Filter = (plot, series) => {
  const points = plot.data[series] ?? [];
  const isHole = (index: number): boolean => (points[index] ?? null) === null;
  const found: number[] = [];
  for (let index = 0; index < points.length; index++) {
    if (!isHole(index) && isHole(index - 1) && isHole(index + 1)) found.push(index);
  }
  return found;
};

function spanOf(_plot: uPlot, first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1000;
  return [Math.max(end - WINDOW_MS / 1000, Math.min(first ?? end, end - LEAST_SPAN_S)), end];
}

/** Returns the top of a plot whose values are all zero. */
function smallest(unit: Unit): number {
  if (unit === 'seconds') return 0.001;
  return unit === 'bytes' ? MiB : 1;
}

/** Uses integers for counts and powers of two for bytes. Otherwise uPlot decides. */
function incrementsOf(unit: Unit): Pick<uPlot.Axis, 'incrs'> {
  if (unit === 'count')
    return { incrs: [...Array(9).keys()].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power)) };
  if (unit === 'bytes') return { incrs: [...Array(24).keys()].map((power) => (MiB / 8) * 2 ** power) };
  return {};
}

function formatClock(seconds: number): string {
  const moment = new Date(seconds * 1000);
  const parts = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  return parts[2] === '00' ? parts.slice(0, 2).join(':') : parts.join(':');
}

function labelsOf({ series }: PlotData): string {
  return series.map(({ label }) => label).join('\n');
}

function alignedOf({ times, series }: PlotData): uPlot.AlignedData {
  return [times as number[], ...series.map(({ points }) => points as (number | null)[])];
}
