/** How many users are present, over the time that this page is open. */
import { useEffect, useState } from 'preact/hooks';
import type { Measure } from '../../../ui/metrics/measures.ts';
import { countsRequest } from '../../hub/request-line.ts';
import { WINDOW_MS, type PlotData } from '../../metrics/history.ts';
import type { Modules } from '../../modules.ts';
import { Plot } from '../numbers/plot.tsx';
import { useAnswer } from './use-answer.ts';

interface CountsBody {
  readonly online: number;
  readonly away: number;
  readonly busy: number;
  readonly at: number;
}

const EVERY_MS = 2000;
const STATUSES = ['online', 'away', 'busy'] as const;
const measure: Measure = {
  id: 'counts',
  title: 'Present users',
  unit: 'count',
  about: 'by status, since this page was opened, 10 minutes at most',
  read: () => new Map(),
};

export function Counts({ modules }: { readonly modules: Modules }) {
  const asked = useAnswer<CountsBody>(modules, countsRequest, EVERY_MS);
  const [counted, setCounted] = useState<readonly CountsBody[]>([]);
  const latest = asked.kind === 'answered' ? asked.body : undefined;
  useEffect(() => {
    if (latest !== undefined) setCounted((all) => [...all.filter(({ at }) => at > latest.at - WINDOW_MS), latest]);
  }, [latest]);
  if (asked.kind === 'refused') return <p role="status">{asked.why}</p>;
  return <Plot measure={measure} data={plotOf(counted)} onCursor={() => undefined} />;
}

function plotOf(counted: readonly CountsBody[]): PlotData {
  return {
    times: counted.map(({ at }) => at / 1000),
    series: counted.length === 0 ? [] : STATUSES.map((label) => ({ label, points: counted.map((one) => one[label]) })),
  };
}
