/** The frames of a client, byte for byte, well formed or not. Knows no rule of RFC 6455 and no hub, but for its heartbeat. */

const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export type Bytes = string | readonly number[] | Buffer;
const bufferOf = (bytes: Bytes): Buffer => (typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes));

/** The mask of the RFC's own examples (section 5.7). */
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

interface Shape {
  readonly isLast?: boolean;
  /** The three reserved bits as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** How many more bytes the length takes than its first. As few as possible unless given. */
  readonly lengthBytes?: 0 | 2 | 8;
}

export function frame(opcode: number, payload: Bytes = '', shape: Shape = {}): Buffer {
  const { isLast = true, reserved = 0, isMasked = true } = shape;
  const bytes = bufferOf(payload);
  const lengthBytes = shape.lengthBytes ?? (bytes.length < 126 ? 0 : bytes.length < 65_536 ? 2 : 8);
  const head = headOf((isLast ? 0x80 : 0) | (reserved << 4) | opcode, isMasked, bytes.length, lengthBytes);
  return Buffer.concat(isMasked ? [head, MASK, masked(bytes)] : [head, bytes]);
}

/** The start of a masked text frame that says it is that long. */
export function headAlone(length: number): Buffer {
  return Buffer.concat([headOf(0x80 | TEXT, true, length, 8), MASK]);
}

function headOf(first: number, isMasked: boolean, length: number, lengthBytes: 0 | 2 | 8): Buffer {
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = first;
  head[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

function masked(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, i) => byte ^ (MASK[i & 3] ?? 0)));
}

export const first = (opcode: number, payload: Bytes): Buffer => frame(opcode, payload, { isLast: false });
export const more = (payload: Bytes): Buffer => first(CONTINUATION, payload);
export const last = (payload: Bytes): Buffer => frame(CONTINUATION, payload);

/** A text message in fragments of that many bytes. */
export function fragmented(payload: Buffer, bytes: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < payload.length; at += bytes) {
    const opcode = at === 0 ? TEXT : CONTINUATION;
    frames.push(frame(opcode, payload.subarray(at, at + bytes), { isLast: at + bytes >= payload.length }));
  }
  return frames;
}

/** A masked frame that says it is not masked. */
export function withoutMaskBit(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[1] = (copy[1] ?? 0) & 0x7f;
  return copy;
}

/** A short text frame whose mask changes nothing. */
export function zeroMasked(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | TEXT, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

export function closeBody(code: number, reason: Bytes = ''): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), bufferOf(reason)]);
}

export const closeFrame = (code: number, reason: Bytes = ''): Buffer => frame(CLOSE, closeBody(code, reason));

/** Everything in a heartbeat before its id. */
export const HEARTBEAT = '{"type":"heartbeat","id":"';
const HEARTBEAT_END = '"}';

/** A message that the hub answers with `ok` and the id. The id's bytes need not be valid UTF-8. */
export const heartbeat = (id: Bytes): Buffer =>
  Buffer.concat([Buffer.from(HEARTBEAT), bufferOf(id), Buffer.from(HEARTBEAT_END)]);
export const ask = (id: string, shape: Shape = {}): Buffer => frame(TEXT, heartbeat(id), shape);

/** The id that makes a heartbeat this long. */
export const idForBytes = (bytes: number): string => 'x'.repeat(bytes - HEARTBEAT.length - HEARTBEAT_END.length);
