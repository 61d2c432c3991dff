/**
 * One WebSocket over ws. `ws` does the handshake and writes. Our own reader reads the frames, because it can be stopped.
 * An error of the connection ends this socket and nothing else.
 */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { fittingReason, MAX_BACKPRESSURE_BYTES, MAX_WAITING_PONG_BYTES } from '../http-rules.ts';
import type { ConnectionLimit, SendResult, Service, Socket, SocketEvents } from '../port.ts';
import { type FrameEvents, FrameReader } from './frame-reader.ts';

const AS_TEXT = { binary: false };

/**
 * Maximum bytes that a peer may still send after our close frame. A peer that goes on sending does not read the frame.
 */
const MAX_DISCARDED_BYTES = 256 * 1024;

export class WsSocket implements Socket, FrameEvents {
  readonly remoteAddress: string;
  readonly exceededLimit: ConnectionLimit | undefined;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;
  readonly #reader = new FrameReader(this);
  /** Undefined until `opened` has returned, or if it threw. */
  #events: SocketEvents | undefined;
  #isPaused = false;
  /** Bytes that arrived before a pause and have not been read. */
  #rest: Buffer | undefined;
  #isQueued = false;
  /** Upper bound of the waiting bytes that are the hub's own, or that waited before the first `queued`. */
  #queuedBytes = 0;
  #isLeaving = false;
  #discardedBytes = 0;

  constructor(ws: WebSocket, wire: Duplex, client: Pick<Socket, 'remoteAddress' | 'exceededLimit'>) {
    this.#ws = ws;
    this.#wire = wire;
    this.remoteAddress = client.remoteAddress;
    this.exceededLimit = client.exceededLimit;
  }

  send(message: string | Uint8Array): SendResult {
    const ws = this.#ws;
    if (ws.readyState !== WebSocket.OPEN || ws.bufferedAmount > MAX_BACKPRESSURE_BYTES) return 'dropped';
    ws.send(message, AS_TEXT);
    if (!this.#wire.writableNeedDrain) return 'sent';
    this.#queuedBytes = this.#isQueued ? this.#queuedBytes + Buffer.byteLength(message) : this.#wire.writableLength;
    this.#isQueued = true;
    return 'queued';
  }

  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }

  pause(): void {
    if (this.#isPaused || this.#isLeaving) return;
    this.#isPaused = true;
    this.#reader.stop();
    this.#wire.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isLeaving) return;
    this.#isPaused = false;
    if (this.#rest === undefined) this.#wire.resume();
    else setImmediate(() => this.#readRest());
  }

  close(code: number, reason: string): void {
    if (this.#isLeaving) return;
    this.#ws.close(code, fittingReason(reason));
    this.#leave();
  }

  terminate(): void {
    this.#isLeaving = true;
    this.#reader.end();
    this.#ws.terminate();
  }

  onOpen(service: Service): void {
    // Removes the listeners of ws, which would read everything that arrives.
    this.#wire.removeAllListeners('data');
    this.#wire.on('data', (chunk: Buffer) => {
      if (this.#isLeaving) this.#discard(chunk);
      else this.#read(chunk);
    });
    this.#wire.resume();
    this.#wire.on('drain', () => {
      this.#onDrain();
    });
    this.#wire.once('close', () => {
      this.#isLeaving = true;
      this.#rest = undefined;
      this.#events?.closed();
    });
    // ws cuts the connection itself.
    this.#ws.on('error', () => undefined);
    this.#events = service.opened(this);
  }

  onText(message: string): void {
    this.#events?.message(message);
  }

  onBinary(): void {
    this.#events?.binary();
  }

  onOversize(): void {
    this.#events?.oversize();
  }

  onFragment(): void {
    this.#events?.frame();
  }

  onPing(payload: Buffer): void {
    this.#ws.pong(payload);
    if (this.#wire.writableLength > this.#queuedBytes + MAX_WAITING_PONG_BYTES) this.terminate();
    else this.#events?.frame();
  }

  onPong(): void {
    this.#events?.pong();
  }

  onEnding(code: number | undefined): void {
    this.#ws.close(code);
    this.#leave();
  }

  onBroken(code: number): void {
    this.onEnding(code);
  }

  #read(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && !this.#isPaused && !this.#isLeaving) rest = this.#reader.read(rest);
    if (!this.#isLeaving) this.#rest = rest;
  }

  #readRest(): void {
    const rest = this.#rest;
    if (this.#isPaused || this.#isLeaving || rest === undefined) return;
    this.#rest = undefined;
    this.#read(rest);
    this.#resumeWire();
  }

  #resumeWire(): void {
    if (!this.#isPaused) this.#wire.resume();
  }

  /** Ends reading after the close frame is written. Only the end of the connection is awaited. */
  #leave(): void {
    this.#isLeaving = true;
    this.#rest = undefined;
    this.#reader.end();
    this.#wire.resume();
    this.#wire.end();
  }

  #discard(chunk: Buffer): void {
    this.#discardedBytes += chunk.length;
    if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.#ws.terminate();
  }

  #onDrain(): void {
    if (!this.#isQueued) return;
    this.#isQueued = false;
    this.#queuedBytes = 0;
    if (!this.#isLeaving) this.#events?.drained();
  }
}
