/**
 * The WebSocket wire by hand: the upgrade request, masked client frames made ahead, and a reader of what a server sends
 * that does no more than it must. Knows no messages. The mask is one constant key: it costs the server what any key costs.
 */
const nothing = Buffer.alloc(0);
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export function upgradeRequest(port: number, path = '/ws'): Buffer {
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
}

/** `firstByte`: the opcode with its FIN and reserved bits. */
export function clientFrame(firstByte: number, payload: Buffer): Buffer {
  const head = payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(head + 4 + payload.length);
  frame[0] = firstByte;
  frame[1] = 0x80 | (head === 2 ? payload.length : head === 4 ? 126 : 127);
  if (head === 4) frame.writeUInt16BE(payload.length, 2);
  if (head === 10) frame.writeBigUInt64BE(BigInt(payload.length), 2);
  MASK.copy(frame, head);
  for (let at = 0; at < payload.length; at += 1) frame[head + 4 + at] = (payload[at] ?? 0) ^ (MASK[at & 3] ?? 0);
  return frame;
}

export function textFrame(message: unknown): Buffer {
  return clientFrame(0x80 | opcodes.text, Buffer.from(JSON.stringify(message)));
}

export function closeFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return clientFrame(0x80 | opcodes.close, payload);
}

/** Cuts a server's bytes into frames. A server does not mask, and the hub does not fragment. */
export class FrameReader {
  readonly #onFrame: (opcode: number, payload: Buffer) => void;
  #rest: Buffer = nothing;

  constructor(onFrame: (opcode: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 2) {
      const short = (bytes[at + 1] ?? 0) & 0x7f;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (bytes.length - at < head) break;
      const length =
        head === 2 ? short : head === 4 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
      const end = at + head + length;
      if (bytes.length < end) break;
      this.#onFrame((bytes[at] ?? 0) & 0x0f, bytes.subarray(at + head, end));
      at = end;
    }
    // A copy: many sockets may be read into one buffer, and a rest of some bytes must not keep a large chunk.
    this.#rest = at === bytes.length ? nothing : Buffer.from(bytes.subarray(at));
  }
}
