/**
 * Formats ages and times of day: in words for the people of a page, and precisely for operators. Pure. `now` is by the
 * hub's clock, like the instants.
 */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** From this age on, a date says more than a number of days. */
const LONG_AGO_MS = 30 * DAY_MS;

const inWords = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const asTime = new Intl.DateTimeFormat('en', { timeStyle: 'short', hourCycle: 'h23' });
const asDate = new Intl.DateTimeFormat('en', { dateStyle: 'long' });

/**
 * Returns an age such as `3 minutes ago`. An instant may seem to lie in the future, because the hub's clock is only
 * estimated. It then counts as just now.
 */
export function agoInWords(at: number, now: number): string {
  const ms = now - at;
  if (ms < MINUTE_MS) return 'just now';
  if (ms >= LONG_AGO_MS) return `on ${asDate.format(at)}`;
  const [size, unit] =
    ms < HOUR_MS
      ? ([MINUTE_MS, 'minute'] as const)
      : ms < DAY_MS
        ? ([HOUR_MS, 'hour'] as const)
        : ([DAY_MS, 'day'] as const);
  return inWords.format(-Math.floor(ms / size), unit);
}

/** Returns `12:03`, with the date if it was another day. */
export function timeInWords(at: number, now: number): string {
  const isToday = asDate.format(at) === asDate.format(now);
  return isToday ? asTime.format(at) : `${asTime.format(at)} on ${asDate.format(at)}`;
}

const STEPS = [
  { ms: DAY_MS, unit: 'd' },
  { ms: HOUR_MS, unit: 'h' },
  { ms: MINUTE_MS, unit: 'min' },
  { ms: 1000, unit: 's' },
] as const;

/** Returns `3 s`, `4 min 5 s` or `2 h 10 min`: the largest units, not finer than a second. */
export function formatDuration(ms: number, units = 2): string {
  let rest = Math.max(0, ms);
  const parts = STEPS.map(({ ms: size, unit }) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return { count, unit };
  });
  const first = parts.findIndex(({ count }) => count > 0);
  if (first === -1) return '0 s';
  const largest = parts.slice(first, first + units).filter(({ count }) => count > 0);
  return largest.map(({ count, unit }) => `${count} ${unit}`).join(' ');
}

export function formatAgo(at: number, now: number, units?: number): string {
  return now - at < 1000 ? 'just now' : `${formatDuration(now - at, units)} ago`;
}

/** Returns the local time of day, with the date if it is not today's. */
export function formatTime(at: number, now = at, withMs = false): string {
  const moment = new Date(at);
  const pad = (part: number, length = 2): string => String(part).padStart(length, '0');
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map((part) => pad(part)).join(':');
  const precise = withMs ? `${time}.${pad(moment.getMilliseconds(), 3)}` : time;
  if (new Date(now).toDateString() === moment.toDateString()) return precise;
  return `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())} ${precise}`;
}
