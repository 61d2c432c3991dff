/**
 * What attacks are made of: many raw connections that write at wire speed, drip, hold still, or come and go; and the count
 * of what they did. From addresses of their own where the system has them (Linux routes all of 127.0.0.0/8). Knows
 * nothing of what the bytes mean.
 */
import { connect, type Socket } from 'node:net';

export interface Door {
  readonly port: number;
  readonly localAddress: string | undefined;
}

export interface CrowdCounts {
  readonly opened: number;
  readonly sentBytes: number;
  readonly writes: number;
  /** Ended by the hub, or by an error. */
  readonly ended: number;
  readonly open: number;
}

const REOPEN_AFTER_MS = 20;
const DRIP_MS = 1000;
const OPEN_EACH_TICK = 100;
const TICK_MS = 10;

export class Crowd {
  readonly #door: Door;
  readonly #sockets = new Set<Socket>();
  readonly #timers: NodeJS.Timeout[] = [];
  #isOver = false;
  #opened = 0;
  #sentBytes = 0;
  #writes = 0;
  #ended = 0;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Each writes one piece after another as fast as the hub takes them; those that are cut off come again. */
  flood(connections: number, pieces: (writes: number) => Buffer, first?: Buffer, isReading = true): void {
    const open = (): void => {
      const socket = this.#open(() => this.#later(open));
      if (isReading) socket.resume();
      else socket.pause();
      const next = (): void => {
        if (this.#isOver || socket.destroyed) return;
        this.#write(socket, pieces(this.#writes), () => setImmediate(next));
      };
      if (first !== undefined) this.#write(socket, first);
      next();
    };
    for (let no = 0; no < connections; no += 1) open();
  }

  /** Each writes one byte a second of `bytes`, over and over. */
  drip(connections: number, bytes: Buffer): void {
    const drops = new Map<Socket, number>();
    const open = (): void => {
      const socket = this.#open(() => {
        drops.delete(socket);
        this.#later(open);
      });
      socket.resume();
      drops.set(socket, 0);
    };
    for (let no = 0; no < connections; no += 1) open();
    const timer = setInterval(() => {
      for (const [socket, at] of drops) {
        this.#write(socket, bytes.subarray(at, at + 1));
        drops.set(socket, (at + 1) % bytes.length);
      }
    }, DRIP_MS);
    this.#timers.push(timer);
  }

  /** Each says its first bytes, if any, and nothing more; whoever is cut off stays away. */
  hold(connections: number, firstOf: (no: number) => Buffer | undefined): void {
    let no = 0;
    const timer = setInterval(() => {
      for (let part = 0; part < OPEN_EACH_TICK && no < connections; part += 1, no += 1) {
        const socket = this.#open(() => undefined);
        socket.resume();
        const first = firstOf(no);
        if (first !== undefined) this.#write(socket, first);
      }
      if (no >= connections) clearInterval(timer);
    }, TICK_MS);
    this.#timers.push(timer);
  }

  /** Connections that end as soon as they are there. A reset leaves no port behind that has to wait. */
  storm(lanes: number, first?: Buffer): void {
    const open = (): void => {
      const socket = this.#open(() => this.#later(open, 0));
      socket.on('connect', () => {
        if (first !== undefined) this.#write(socket, first);
        setImmediate(() => socket.resetAndDestroy());
      });
    };
    for (let lane = 0; lane < lanes; lane += 1) open();
  }

  get counts(): CrowdCounts {
    const { size: open } = this.#sockets;
    return { opened: this.#opened, sentBytes: this.#sentBytes, writes: this.#writes, ended: this.#ended, open };
  }

  /** Lets go of everything at once. */
  disperse(): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #open(onEnd: () => void): Socket {
    const { port, localAddress } = this.#door;
    const socket = connect({ host: '127.0.0.1', port, ...(localAddress === undefined ? {} : { localAddress }) });
    this.#sockets.add(socket);
    socket.on('connect', () => (this.#opened += 1));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#isOver) return;
      this.#ended += 1;
      onEnd();
    });
    return socket;
  }

  #write(socket: Socket, bytes: Buffer, onWritten?: () => void): void {
    if (!socket.writable) return;
    this.#writes += 1;
    this.#sentBytes += bytes.length;
    socket.write(bytes, (error) => {
      if (!error) onWritten?.();
    });
  }

  #later(open: () => void, afterMs = REOPEN_AFTER_MS): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => {
      if (!this.#isOver) open();
    }, afterMs);
    timer.unref();
  }
}
