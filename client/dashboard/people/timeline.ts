/** Divides a span into equal parts, and formats the time with each status in them. Pure. */
import { formatDuration } from '../../ui/ago.ts';

const HOUR_MS = 3_600_000;

export interface Span {
  readonly name: string;
  readonly ms: number;
  readonly parts: number;
}

export const SPANS: readonly [Span, ...Span[]] = [
  { name: 'last 24 hours', ms: 24 * HOUR_MS, parts: 24 },
  { name: 'last hour', ms: HOUR_MS, parts: 12 },
  { name: 'last 7 days', ms: 168 * HOUR_MS, parts: 28 },
  { name: 'last 30 days', ms: 720 * HOUR_MS, parts: 30 },
];

/** The statuses of a timeline, from the bottom to the top. */
export const TIMED = ['online', 'away', 'busy', 'offline', 'unknown'] as const;

/** The answer of the uptime, in milliseconds. */
export type Uptime = Readonly<Record<`${(typeof TIMED)[number]}Ms`, number>>;

export interface Part extends Uptime {
  readonly from: number;
  readonly to: number;
}

export function partsOf({ ms, parts }: Span, now: number): readonly { readonly from: number; readonly to: number }[] {
  const size = ms / parts;
  return Array.from({ length: parts }, (_, i) => ({ from: now - ms + i * size, to: now - ms + (i + 1) * size }));
}

export function sumOf(parts: readonly Uptime[]): Uptime {
  const sum = (status: (typeof TIMED)[number]): number => parts.reduce((all, part) => all + part[`${status}Ms`], 0);
  return {
    onlineMs: sum('online'),
    awayMs: sum('away'),
    busyMs: sum('busy'),
    offlineMs: sum('offline'),
    unknownMs: sum('unknown'),
  };
}

/** "online 3 h, unknown 21 h". */
export function describeUptime(uptime: Uptime): string {
  return TIMED.filter((status) => uptime[`${status}Ms`] > 0)
    .map((status) => `${status} ${formatDuration(uptime[`${status}Ms`])}`)
    .join(', ');
}
