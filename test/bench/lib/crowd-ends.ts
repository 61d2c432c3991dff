/**
 * How the connections of an attack ended: reads it from the last bytes that each received, and counts it by name. Pure.
 */
export type Ends = Readonly<Record<string, number>>;

/** Number of bytes at the end that are examined. They contain a close frame, or the head of an error answer. */
export const TAIL_BYTES = 1024;
const CLOSE_OPCODE = 0x88;
const MAX_CLOSE_BYTES = 125;
const SWITCHING_PROTOCOLS = '101';

/** `WS 4408`, `HTTP 413`, `reset` or `closed`. */
export function describeEnd(received: Buffer, errorCode: string | undefined): string {
  const tail = received.subarray(Math.max(0, received.length - TAIL_BYTES));
  const code = closeCode(tail);
  if (code !== undefined) return `WS ${code}`;
  const status = [...tail.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3})/g)].at(-1)?.[1];
  // If the server closes after a successful answer, the reason is unknown. An error status is the reason.
  if (status !== undefined && status !== SWITCHING_PROTOCOLS && status >= '400') return `HTTP ${status}`;
  return errorCode === undefined ? 'closed' : 'reset';
}

/** `WS 4408 ×12, reset ×3`; the most frequent first. */
export function printEnds(ends: Ends): string {
  const sorted = Object.entries(ends).sort(([, a], [, b]) => b - a);
  return sorted.length === 0 ? '-' : sorted.map(([end, count]) => `${end} ×${count}`).join(', ');
}

export function addEnds(into: Record<string, number>, ends: Ends): void {
  for (const [end, count] of Object.entries(ends)) into[end] = (into[end] ?? 0) + count;
}

/** A close frame is the last that a server sends, so it reaches to the very end. */
function closeCode(tail: Buffer): number | undefined {
  const from = Math.max(0, tail.length - 2 - MAX_CLOSE_BYTES);
  for (let at = tail.length - 4; at >= from; at -= 1) {
    if (tail[at] !== CLOSE_OPCODE || tail[at + 1] !== tail.length - at - 2) continue;
    const code = tail.readUInt16BE(at + 2);
    if (code >= 1000 && code < 5000) return code;
  }
  return undefined;
}
