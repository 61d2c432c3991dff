/**
 * The default maximum of sessions: as many as fit into half of the heap. The other half is for connections, watches and
 * pending writes. Only computes the number; the intake refuses sessions.
 */

/** Bytes of heap per session of a separate user, including its lease, its connection's record and its pending write. */
const SESSION_BYTES = 1024;
const HEAP_PART = 2;

export function defaultMaxSessions(heapBytes: number): number {
  return Math.max(1, Math.floor(heapBytes / HEAP_PART / SESSION_BYTES));
}
