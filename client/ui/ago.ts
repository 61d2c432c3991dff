/** Formats instants in words: ages and times of day. Pure. `now` is by the hub's clock, like the instants. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** From this age on, a date says more than a number of days. */
const LONG_AGO_MS = 30 * DAY_MS;

const inWords = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const asTime = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const asDate = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });

/**
 * Returns an age such as `3 minutes ago`. An instant may seem to lie in the future, because the hub's clock is only
 * estimated. It then counts as just now.
 */
export function ago(at: number, now: number): string {
  const ms = now - at;
  if (ms < MINUTE_MS) return 'just now';
  if (ms < HOUR_MS) return inWords.format(-Math.floor(ms / MINUTE_MS), 'minute');
  if (ms < DAY_MS) return inWords.format(-Math.floor(ms / HOUR_MS), 'hour');
  if (ms < LONG_AGO_MS) return inWords.format(-Math.floor(ms / DAY_MS), 'day');
  return `on ${asDate.format(at)}`;
}

/** Returns `12:03`, with the date if it was another day. */
export function timeOf(at: number, now: number): string {
  const isToday = asDate.format(at) === asDate.format(now);
  return isToday ? asTime.format(at) : `${asTime.format(at)} on ${asDate.format(at)}`;
}
