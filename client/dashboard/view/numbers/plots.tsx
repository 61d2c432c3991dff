/** All plots, with their interval, their pause, and the time under the cursor. */
import { useMemo, useState } from 'preact/hooks';
import { formatTime } from '../../../ui/ago.ts';
import { SCRAPE_EVERY_MS } from '../../hub/scraper.ts';
import { asCurl, metricsRequest, hubPrefix } from '../../hub/request-line.ts';
import type { PlotData } from '../../metrics/history.ts';
import { measures, type Measure } from '../../../ui/metrics/measures.ts';
import type { Modules } from '../../modules.ts';
import { CallLine } from '../call-line.tsx';
import { useSignal } from '../hooks.ts';
import { Plot } from './plot.tsx';

type Plotted = ReadonlyMap<Measure, PlotData>;

export function Plots({ modules }: { readonly modules: Modules }) {
  const { history, scraper, access } = modules;
  const turn = useSignal(scraper.turns);
  const [frozen, setFrozen] = useState<Plotted | null>(null);
  const [index, setIndex] = useState<number | null>(null);
  // Computed once per scrape, not once per render: the same data is the same object.
  const live: Plotted = useMemo(() => new Map(measures.map((one) => [one, history.plot(one)])), [history, turn]);
  const plotted = frozen ?? live;
  const times = [...plotted.values()][0]?.times ?? [];
  const moment = index === null ? undefined : times[index];
  const last = times.at(-1);
  return (
    <section class="plots" aria-labelledby="plots-title" id="plots">
      <div class="heading">
        <h2 id="plots-title">Plots</h2>
        <span class="moment" role="status">
          {moment === undefined
            ? frozen !== null && last !== undefined
              ? `paused at ${formatTime(last * 1000, Date.now())}`
              : 'last 10 minutes'
            : formatTime(moment * 1000, Date.now())}
        </span>
        <fieldset class="choice">
          <legend class="unseen">Read every</legend>
          {SCRAPE_EVERY_MS.map((ms) => (
            <ScrapeChoice key={ms} ms={ms} modules={modules} />
          ))}
        </fieldset>
        <button
          type="button"
          aria-pressed={frozen !== null}
          onClick={() => {
            setFrozen(frozen === null ? live : null);
          }}
        >
          {frozen === null ? 'Pause' : 'Resume'}
        </button>
        <CallLine
          text={asCurl(metricsRequest, location.origin + hubPrefix(), access.token !== undefined)}
          of="read the metrics"
        />
      </div>
      <div class="grid">
        {measures.map((measure) => (
          <Plot
            key={measure.id}
            measure={measure}
            data={plotted.get(measure) ?? history.plot(measure)}
            onCursor={setIndex}
          />
        ))}
      </div>
    </section>
  );
}

function ScrapeChoice({ ms, modules: { scraper } }: { readonly ms: number; readonly modules: Modules }) {
  const everyMs = useSignal(scraper.everyMs);
  return (
    <label>
      <input
        type="radio"
        name="scrape-every"
        checked={everyMs === ms}
        onChange={() => {
          scraper.everyMs.set(ms);
        }}
      />
      <span>{ms / 1000} s</span>
    </label>
  );
}
