/**
 * One WebSocket client on a raw socket: upgrades, answers pings, hands on text messages, and ends in every way that a
 * connection can end. Sends only frames that were made ahead. Keeps no presence of its own: that is its owner's.
 */
import { connect, type Socket } from 'node:net';
import { clientFrame, closeFrame, FrameReader, opcodes, upgradeRequest } from './ws-frames.ts';
import { wires, type Wire, type WireName } from './wires.ts';

export interface WsClientOptions {
  readonly port: number;
  readonly localAddress?: string | undefined;
  /** Default: `json`. */
  readonly wire?: WireName;
  /** Sent once the upgrade has been answered, and whatever the wire asks for besides. */
  readonly firstFrames: readonly Buffer[];
  readonly onText: (text: string) => void;
  /** The connection is over; `code` is the close code that the hub gave, or 0. */
  readonly onEnd?: (code: number) => void;
}

export type End = 'reset' | 'fin' | 'close-frame';

export class WsClient {
  readonly #socket: Socket;
  readonly #options: WsClientOptions;
  readonly #reader: FrameReader;
  readonly #wire: Wire;
  #head: Buffer | undefined = Buffer.alloc(0);
  #isOpen = false;
  /** What was to be sent before it was open. */
  readonly #early: Buffer[] = [];
  #closeCode = 0;
  /** The one who ends it needs no notification. */
  #isLetGo = false;

  constructor(options: WsClientOptions) {
    this.#options = options;
    this.#reader = new FrameReader((opcode, payload) => this.#read(opcode, payload));
    const { port, localAddress, wire = 'json' } = options;
    this.#wire = wires[wire];
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#socket.write(upgradeRequest(port, this.#wire.path));
    this.#socket.on('data', (chunk: Buffer) => this.#data(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      if (!this.#isLetGo) options.onEnd?.(this.#closeCode);
    });
  }

  send(frame: Buffer): void {
    if (!this.#isOpen) this.#early.push(frame);
    else if (this.#socket.writable) this.#socket.write(frame);
  }

  /** Whether something that it sent has yet to be taken by the kernel. */
  get isBehind(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** Stops reading, as a client does whose tab is frozen; it still can write. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(how: End): void {
    this.#isLetGo = true;
    switch (how) {
      case 'reset':
        this.#socket.resetAndDestroy();
        return;
      case 'close-frame':
        this.#socket.end(closeFrame(1001));
        break;
      case 'fin':
        this.#socket.end();
        break;
      default:
        how satisfies never;
    }
    // Later messages of the hub are read and dropped. An answer that never comes must not hold the socket.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  #data(chunk: Buffer): void {
    if (this.#head === undefined) {
      this.#reader.push(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const rest = this.#head.subarray(end + 4);
    const isUpgraded = this.#head.toString('latin1', 0, 12) === 'HTTP/1.1 101';
    this.#head = undefined;
    if (!isUpgraded) {
      this.#socket.destroy();
      return;
    }
    if (this.#wire.isOpenAtOnce) this.#open();
    if (rest.length > 0) this.#reader.push(rest);
  }

  #open(): void {
    this.#isOpen = true;
    for (const frame of [...this.#options.firstFrames, ...this.#early.splice(0)]) this.send(frame);
  }

  #read(opcode: number, payload: Buffer): void {
    if (this.#isLetGo) return;
    if (opcode === opcodes.text) this.#readText(payload.toString());
    else if (opcode === opcodes.ping) this.send(clientFrame(0x80 | opcodes.pong, payload));
    else if (opcode === opcodes.close) {
      this.#closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#socket.end(closeFrame(1000));
    }
  }

  #readText(text: string): void {
    const event = this.#wire.read(text);
    if (event.kind === 'message') this.#options.onText(event.text);
    else if (event.kind === 'open') this.#open();
    else if (event.answer !== undefined) this.#socket.write(event.answer);
  }
}
