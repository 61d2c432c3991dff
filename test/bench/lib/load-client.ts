/**
 * One WebSocket client of thousands, on a raw socket: as cheap as Node allows, so that the load measures the server and
 * not itself. Walks through a script of frames (hello, watch), then hands on whole messages as bytes that hold only
 * until the call returns, since all sockets are read into one buffer. Speaks the contract, or the same in Socket.IO's
 * framing.
 */
import { connect, type Socket } from 'node:net';
import { wires, type WireName } from './wires.ts';
import { clientFrame, FrameReader, opcodes, upgradeRequest } from './ws-frames.ts';

/** A frame to send, and how the message begins that must come before the next step. */
export interface Step {
  readonly frame: Buffer | undefined;
  readonly awaited: Buffer;
}

export interface LoadClientOptions {
  readonly port: number;
  readonly wire: WireName;
  readonly script: readonly Step[];
  readonly onReady: () => void;
  readonly onMessage?: (message: Buffer) => void;
  readonly onPong?: () => void;
  /** Ended before it was released; `why`: the server's error, if it sent one. */
  readonly onLost: (why: string) => void;
}

const BUFFER_BYTES = 262_144;
const shared = Buffer.allocUnsafe(BUFFER_BYTES);
const headEnd = Buffer.from('\r\n\r\n');
const upgraded = Buffer.from('HTTP/1.1 101');
const errorHead = Buffer.from('{"type":"error"');
const ENGINE_PING = 50;
const enginePong = clientFrame(0x80 | opcodes.text, Buffer.from('3'));
const ping = clientFrame(0x80 | opcodes.ping, Buffer.alloc(0));
/** All that this process has read from its clients. */
export const traffic = { reads: 0, bytes: 0 };

export class LoadClient {
  readonly #options: LoadClientOptions;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #head: Buffer | undefined = Buffer.alloc(0);
  #step = 0;
  #why = 'the connection ended';
  #isLetGo = false;

  constructor(options: LoadClientOptions) {
    this.#options = options;
    this.#reader = new FrameReader((opcode, payload) => this.#read(opcode, payload));
    const { port, wire } = options;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length) => {
          traffic.reads += 1;
          traffic.bytes += length;
          this.#data(shared.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.write(upgradeRequest(port, wires[wire].path));
    this.#socket.on('error', (error) => (this.#why = error.message));
    this.#socket.on('close', () => {
      if (!this.#isLetGo) options.onLost(this.#why);
    });
  }

  send(frame: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frame);
  }

  ping(): void {
    this.send(ping);
  }

  end(): void {
    this.#isLetGo = true;
    this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    if (this.#head === undefined) {
      this.#reader.push(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf(headEnd);
    if (end < 0) return;
    const head = this.#head;
    this.#head = undefined;
    if (!startsWith(head, upgraded)) {
      this.#why = head.toString('latin1', 0, head.indexOf('\r\n'));
      this.#socket.destroy();
      return;
    }
    this.#enter();
    this.#reader.push(head.subarray(end + headEnd.length));
  }

  /** Sends the frame of this step of the script. */
  #enter(): void {
    const step = this.#options.script[this.#step];
    if (step === undefined) this.#options.onReady();
    else if (step.frame !== undefined) this.send(step.frame);
  }

  #read(opcode: number, payload: Buffer): void {
    if (this.#isLetGo) return;
    if (opcode === opcodes.text) this.#message(payload);
    else if (opcode === opcodes.pong) this.#options.onPong?.();
    else if (opcode === opcodes.ping) this.send(clientFrame(0x80 | opcodes.pong, payload));
    else if (opcode === opcodes.close) {
      if (payload.length >= 2) this.#why = `${this.#why} with ${payload.readUInt16BE(0)}`;
      this.#socket.destroy();
    }
  }

  #message(payload: Buffer): void {
    const awaited = this.#options.script[this.#step]?.awaited;
    if (awaited === undefined) {
      if (this.#options.wire === 'socketio' && isEnginePing(payload)) this.send(enginePong);
      else this.#options.onMessage?.(payload);
    } else if (startsWith(payload, awaited)) {
      this.#step += 1;
      this.#enter();
    } else if (startsWith(payload, errorHead)) this.#why = payload.toString();
  }
}

/** How a message of that type begins on the wire. */
export function messageHead(wire: WireName, type: string): Buffer {
  return Buffer.from(wire === 'json' ? `{"type":"${type}"` : `42["${type}"`);
}

/** Says hello, and watches if there are users to watch. */
export function script(
  wire: WireName,
  hello: Readonly<Record<string, unknown>>,
  watch?: Readonly<Record<string, unknown>>,
): Step[] {
  const steps: Step[] = [{ frame: wires[wire].frame('hello', hello), awaited: messageHead(wire, 'welcome') }];
  if (watch !== undefined)
    steps.push({ frame: wires[wire].frame('watch', watch), awaited: messageHead(wire, 'snapshot') });
  return wire === 'json' ? steps : [...socketIoSteps, ...steps];
}

const socketIoSteps: readonly Step[] = [
  { frame: undefined, awaited: Buffer.from('0{') },
  { frame: clientFrame(0x80 | opcodes.text, Buffer.from('40')), awaited: Buffer.from('40') },
];

export function startsWith(bytes: Buffer, head: Buffer): boolean {
  if (bytes.length < head.length) return false;
  for (let at = 0; at < head.length; at += 1) if (bytes[at] !== head[at]) return false;
  return true;
}

function isEnginePing(payload: Buffer): boolean {
  return payload.length === 1 && payload[0] === ENGINE_PING;
}
