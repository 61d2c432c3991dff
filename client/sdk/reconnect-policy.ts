/**
 * How long to wait after a connection has ended, by the meanings of the contract's close codes. Pure: `random` is in [0, 1),
 * and `failures` counts those since the last connection that lasted.
 */

/** The hub has no room for now: nothing may shorten the wait. */
export function isPaced(code: number): boolean {
  return code === 1013 || code === 4429;
}

/** No retry mends it: what was sent is refused, or an admin has ended it. */
export function isFinal(code: number): boolean {
  return [1008, 1009, 4400, 4403].includes(code);
}

/** Full jitter up to 30 s, for a hub that came back with all its clients; half of it, and up to a minute, if it is paced. */
export function waitMs(code: number, failures: number, random: number): number {
  return isPaced(code)
    ? ((1 + random) / 2) * Math.min(60_000, 5_000 * 2 ** failures)
    : random * Math.min(30_000, 500 * 2 ** failures);
}
