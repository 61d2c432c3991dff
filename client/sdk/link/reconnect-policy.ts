/**
 * How long to wait before a reconnect, by the meaning of the contract's close codes. Pure: `random` is in [0, 1), and
 * `failures` counts those since the last connection that lasted.
 */

/** Returns whether the hub has no capacity for now. Nothing may shorten the wait then. */
export function isPaced(code: number): boolean {
  return code === 1013 || code === 4429;
}

/** Returns whether a retry is useless: the hub refuses what was sent, or an admin ended the session. */
export function isFinal(code: number): boolean {
  return [1008, 1009, 4400, 4403].includes(code);
}

/**
 * Uses full jitter up to 30 s, because all clients return to a restarted hub. If the hub has no capacity, uses between
 * half and all of up to a minute.
 */
export function waitMs(code: number, failures: number, random: number): number {
  return isPaced(code)
    ? ((1 + random) / 2) * Math.min(60_000, 5_000 * 2 ** failures)
    : random * Math.min(30_000, 500 * 2 ** failures);
}
