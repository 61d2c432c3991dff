/**
 * A WebSocket client on a bare socket: sends bytes in pieces of a chosen size, and reads the hub's frames as strictly as RFC 6455
 * allows. A frame that a server may not send is an error.
 */
import { isUtf8 } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Random } from '../bench/lib/random.ts';
import { CLOSE, PING, PONG, TEXT } from './client-frames.ts';

/** How the bytes of a case are cut into packets. */
export type Delivery = 'in one packet' | 'byte by byte' | 'in random pieces';
export const deliveries: readonly Delivery[] = ['in one packet', 'byte by byte', 'in random pieces'];

/** Of more bytes than this, only the ends are sent byte by byte: between them is payload. */
const MAX_SINGLE_BYTES = 2_000;
const END_BYTES = 64;
const MAX_PIECE_BYTES = 40;

export function piecesOf(bytes: Buffer, delivery: Delivery, random: Random): Buffer[] {
  if (delivery === 'in one packet') return [bytes];
  if (bytes.length > MAX_SINGLE_BYTES) {
    const [head, tail] = [bytes.subarray(0, END_BYTES), bytes.subarray(-END_BYTES)];
    const middle = bytes.subarray(END_BYTES, -END_BYTES);
    return [...piecesOf(head, delivery, random), middle, ...piecesOf(tail, delivery, random)];
  }
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = delivery === 'byte by byte' ? 1 : 1 + random.below(MAX_PIECE_BYTES);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export class RawWebSocket {
  readonly #wire: Socket;
  #received: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  #hasClosed = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    // Half open: the hub must end the connection first (RFC 6455, 7.1.1).
    this.#wire = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#wire.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    for (const event of ['end', 'close'] as const) {
      this.#wire.on(event, () => {
        this.#hasEnded = true;
        this.#wake();
      });
    }
    this.#wire.on('error', () => undefined);
  }

  /** Sends each piece in a turn of its own, so that the hub, which runs on the same loop, reads it alone. */
  async send(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#hasEnded) return;
      this.#wire.write(piece);
      await nextTurn();
    }
  }

  /** The head of the answer to the handshake. */
  async answer(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end !== -1) return this.#take(end + 4).toString('latin1');
      if (this.#hasEnded) throw new Error(`no answer: ${this.#received.toString('latin1')}`);
      await this.#more();
    }
  }

  /** The hub's next frame; undefined at the end of the connection. */
  async frame(): Promise<ServerFrame | undefined> {
    for (;;) {
      const frame = this.#readFrame();
      if (frame !== undefined) return frame;
      if (this.#hasEnded) {
        if (this.#received.length > 0) throw new Error(`half a frame: ${this.#received.toString('hex')}`);
        return undefined;
      }
      await this.#more();
    }
  }

  end(): void {
    this.#wire.destroy();
  }

  #readFrame(): ServerFrame | undefined {
    const bytes = this.#received;
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return undefined;
    const short = second & 0x7f;
    const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < headBytes) return undefined;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < headBytes + length) return undefined;
    this.#take(headBytes);
    const frame = { opcode: first & 0x0f, payload: this.#take(length) };
    const fault = this.#hasClosed ? 'a frame after the close frame' : faultOf(first, second, headBytes, frame);
    if (fault !== undefined) throw new Error(`${fault}: ${bytes.subarray(0, headBytes + length).toString('hex')}`);
    this.#hasClosed = frame.opcode === CLOSE;
    return frame;
  }

  #take(count: number): Buffer {
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/** What is wrong with a frame of a server that agreed to no extension. The hub sends no fragments, though the RFC allows them. */
function faultOf(first: number, second: number, headBytes: number, frame: ServerFrame): string | undefined {
  const { opcode, payload } = frame;
  if ((first & 0x70) !== 0) return '5.2: a reserved bit';
  if ((first & 0x80) === 0) return 'a fragment';
  if (![TEXT, CLOSE, PING, PONG].includes(opcode)) return `opcode ${opcode}`;
  if ((second & 0x80) !== 0) return '5.1: a masked frame';
  const leastBytes = payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10;
  if (headBytes !== leastBytes) return '5.2: a length in more bytes than it needs';
  if (opcode === TEXT) return isUtf8(payload) ? undefined : '5.6: text that is not UTF-8';
  if (payload.length > 125) return '5.5: a control frame over 125 bytes';
  if (opcode !== CLOSE || payload.length === 0) return undefined;
  if (payload.length === 1) return '5.5.1: half a close code';
  if (!isUtf8(payload.subarray(2))) return '5.5.1: a reason that is not UTF-8';
  const code = payload.readUInt16BE();
  const isKnown = (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code < 5000);
  return isKnown ? undefined : `7.4: close code ${code}`;
}
