/** The numbers at the top, and one word each for whether the hub is ready and its data current. */
import { formatTime } from '../../../ui/ago.ts';
import { measures } from '../../../ui/metrics/measures.ts';
import { formatValue, type Unit } from '../../../ui/metrics/units.ts';
import type { Modules } from '../../modules.ts';
import { useSignal } from '../hooks.ts';

interface Figure {
  readonly id: string;
  readonly name: string;
  /** One series of the measure. Default: the sum of all. */
  readonly series?: string;
}

const FIGURES: readonly Figure[] = [
  { id: 'sessions', name: 'Sessions' },
  { id: 'connections', name: 'Connections' },
  { id: 'heartbeats', name: 'Heartbeats' },
  { id: 'changes', name: 'Changes' },
  { id: 'deliveries', name: 'Deliveries' },
  { id: 'loop-lag', name: 'Loop lag p99', series: 'p99' },
  { id: 'memory', name: 'Memory' },
];

export function Numbers({ modules }: { readonly modules: Modules }) {
  useSignal(modules.scraper.turns);
  return (
    <dl class="numbers">
      {FIGURES.map((figure) => {
        const { value, unit } = latest(modules, figure);
        return (
          <div key={figure.name}>
            <dt>{figure.name}</dt>
            <dd>
              <data value={value ?? ''} data-figure={figure.id}>
                {formatValue(value, unit)}
              </data>
            </dd>
          </div>
        );
      })}
      <State modules={modules} />
    </dl>
  );
}

function State({ modules }: { readonly modules: Modules }) {
  const readiness = useSignal(modules.scraper.readiness);
  const staleSince = useSignal(modules.socket.staleSince);
  const isLive = useSignal(modules.socket.state).kind === 'live';
  const isAway = useSignal(modules.calls.unreachableSince) !== null;
  const isReady = readiness?.isReady === true;
  return (
    <div class="states">
      <dt>State</dt>
      <dd>
        {readiness === null || isAway ? (
          <span class="bad" data-state="ready">
            {isAway ? 'No answer' : 'Not known'}
          </span>
        ) : (
          <span class={isReady ? 'good' : 'bad'} data-state="ready">
            {isReady
              ? 'Ready'
              : `Not ready: ${readiness.failing === '' ? 'the hub gave no reason' : readiness.failing}`}
          </span>
        )}
        {isLive && (
          <span class={staleSince === null ? 'good' : 'warn'} data-state="fresh">
            {staleSince === null ? 'Fresh' : `Stale since ${formatTime(staleSince, Date.now())}`}
          </span>
        )}
      </dd>
    </div>
  );
}

/** Returns the last value that was read. */
function latest({ history }: Modules, { id, series: only }: Figure): { value: number | null; unit: Unit } {
  const measure = measures.find((one) => one.id === id);
  if (measure === undefined) return { value: null, unit: 'count' };
  const points = history
    .latestOf(measure)
    .filter(({ label }) => only === undefined || label === only)
    .map(({ value }) => value)
    .filter((value) => value !== null);
  return { value: points.length === 0 ? null : points.reduce((sum, value) => sum + value, 0), unit: measure.unit };
}
