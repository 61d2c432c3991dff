/**
 * How many sessions a hub may have if no setting says so: as many as half of its heap holds. The other half is for
 * connections, watches and what waits to be written. Decides only the number; the intake refuses.
 */

/**
 * Bytes of heap for one session of a user of its own, with its lease, its place in a connection and what waits to be
 * stored of it.
 */
const SESSION_BYTES = 1024;
const HEAP_PART = 2;

export function sessionsThatFit(heapBytes: number): number {
  return Math.max(1, Math.floor(heapBytes / HEAP_PART / SESSION_BYTES));
}
