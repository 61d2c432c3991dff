/** One plot: its title, its values now or under the cursor, the drawing, and a description for screen readers. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { PlotData } from '../../metrics/history.ts';
import type { Measure } from '../../../ui/metrics/measures.ts';
import { summarise } from '../../metrics/summary.ts';
import { formatValue } from '../../../ui/metrics/units.ts';
import { colourOf } from './colours.ts';
import { createDrawing, type Drawing } from './drawing.ts';
import { drawNever, drawSoon } from './frame-queue.ts';

interface PlotProps {
  readonly measure: Measure;
  readonly data: PlotData;
  /** Receives the index of the point under the cursor, from the plot with the pointer and from all that follow it. */
  readonly onCursor: (index: number | null) => void;
}

const STEPS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };

export function Plot({ measure, data, onCursor }: PlotProps) {
  const [index, setIndex] = useState<number | null>(null);
  const { host, drawing } = useDrawing(measure, data, (at) => {
    setIndex(at);
    onCursor(at);
  });
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step !== undefined) drawing.current?.step(step);
    else if (event.key === 'Escape') drawing.current?.release();
    else return;
    event.preventDefault();
  };
  const { id, title, about } = measure;
  return (
    <figure class="plot card" data-measure={id} data-empty={data.series.length === 0}>
      <figcaption>
        <h3>{title}</h3> <span class="faint">{about}</span>
      </figcaption>
      <Legend measure={measure} data={data} index={index} />
      <div
        class="canvas"
        ref={host}
        role="img"
        tabIndex={0}
        aria-label={`Plot: ${title} ${about}`}
        aria-describedby={`summary-${id}`}
        onKeyDown={onKeyDown}
        onBlur={() => drawing.current?.release()}
      />
      <p class="unseen" id={`summary-${id}`}>
        {summarise(measure, data)}
      </p>
    </figure>
  );
}

function Legend({ measure, data, index }: Omit<PlotProps, 'onCursor'> & { readonly index: number | null }) {
  if (data.series.length === 0) {
    const isNone = measure.isSparse === true && data.times.length > 0;
    return <p class="legend faint">{isNone ? 'none' : data.times.length === 0 ? '–' : 'not reported by this hub'}</p>;
  }
  return (
    <ul class="legend" aria-hidden="true">
      {data.series.map(({ label, points }, position) => {
        const value = points[index ?? points.length - 1];
        return (
          <li key={label}>
            <span class="swatch" style={{ background: `var(${colourOf(label, position)})` }} />
            {label} <data value={value ?? ''}>{formatValue(value, measure.unit)}</data>
          </li>
        );
      })}
    </ul>
  );
}

/** Draws new data when there is time, and nothing while the plot is out of sight. */
function useDrawing(measure: Measure, data: PlotData, onCursor: (index: number | null) => void) {
  const host = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing>();
  const latest = useRef(data);
  const isInSight = useRef(false);
  const latestOnCursor = useRef(onCursor);
  latest.current = data;
  latestOnCursor.current = onCursor;
  const draw = (): void => {
    if (isInSight.current && drawing.current !== undefined) drawing.current.show(latest.current);
  };
  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    // A plot that is out of sight was drawn earlier, so its points are not the current ones.
    const report = (index: number | null): void => {
      if (isInSight.current) latestOnCursor.current(index);
    };
    const made = createDrawing({ host: element, unit: measure.unit, onCursor: report });
    drawing.current = made;
    const sight = new IntersectionObserver((seen) => {
      isInSight.current = seen.at(-1)?.isIntersecting === true;
      drawSoon(made, draw);
    });
    const size = new ResizeObserver(() => {
      made.resize();
    });
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', made.restyle);
    sight.observe(element);
    size.observe(element);
    return () => {
      drawNever(made);
      sight.disconnect();
      size.disconnect();
      scheme.removeEventListener('change', made.restyle);
      made.destroy();
    };
  }, [measure]);
  useEffect(() => {
    if (drawing.current !== undefined) drawSoon(drawing.current, draw);
  }, [data]);
  return { host, drawing };
}
