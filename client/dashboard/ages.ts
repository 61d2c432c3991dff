/** Formats ages, remaining times and times of day. Pure. */

const STEPS = [
  { ms: 86_400_000, unit: 'd' },
  { ms: 3_600_000, unit: 'h' },
  { ms: 60_000, unit: 'min' },
  { ms: 1000, unit: 's' },
] as const;

/** Returns "3 s", "4 min 5 s" or "2 h 10 min": the two largest units, not finer than a second. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.floor(ms / 1000)) * 1000;
  const first = STEPS.findIndex((step) => whole >= step.ms);
  if (first === -1) return '0 s';
  const parts = STEPS.slice(first, first + 2).map(({ ms: size, unit }, index) => {
    const count = Math.floor((index === 0 ? whole : whole % (STEPS[first]?.ms ?? 1)) / size);
    return count === 0 ? '' : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}

export function formatAgo(at: number, now: number): string {
  return now - at < 1000 ? 'just now' : `${formatDuration(now - at)} ago`;
}

/** Returns the time left until then, to a tenth of a second if little is left. */
export function formatLeft(until: number, now: number): string {
  const left = until - now;
  if (left <= 0) return 'due';
  return left < 10_000 ? `${(left / 1000).toFixed(1)} s` : formatDuration(left);
}

/** Returns the local time of day, with the date if it is not today's. */
export function formatTime(at: number, now: number, withMs = false): string {
  const moment = new Date(at);
  const pad = (part: number, length = 2): string => String(part).padStart(length, '0');
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map((part) => pad(part)).join(':');
  const precise = withMs ? `${time}.${pad(moment.getMilliseconds(), 3)}` : time;
  if (new Date(now).toDateString() === moment.toDateString()) return precise;
  return `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())} ${precise}`;
}
