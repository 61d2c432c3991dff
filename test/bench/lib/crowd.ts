/**
 * The building blocks of attacks: raw connections that write at wire speed, at a rate or byte by byte, stay silent, or
 * connect and disconnect; and counts of what they did. They use separate addresses if the system has them (Linux routes
 * all of 127.0.0.0/8). Bounded in bytes. Does not know what the bytes mean.
 */
import { connect, type Socket } from 'node:net';
import { describeEnd, TAIL_BYTES } from './crowd-ends.ts';

export interface Door {
  readonly port: number;
  readonly localAddress: string | undefined;
}

export interface CrowdCounts {
  readonly opened: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly writes: number;
  /** Ended by the hub, or by an error. */
  readonly ended: number;
  readonly open: number;
  /** The same ends, by how they came. */
  readonly ends: Readonly<Record<string, number>>;
}

/** What a connection sends before the attack proper. `no` counts the connections. */
export interface Opening {
  /** Its answer is awaited: uWebSockets.js drops what follows an upgrade in the same read. */
  readonly ask?: Buffer;
  readonly say?: (no: number) => Buffer;
}

export interface FloodOptions extends Opening {
  /** False: what the hub answers stays unread. */
  readonly isReading?: boolean;
}

export interface PaceOptions extends FloodOptions {
  /**
   * Pieces that are written at once, in one write. More than one burst: what comes while a hub is busy with the first.
   */
  readonly bursts: readonly number[];
  readonly perS: number;
}

/** The next bytes of one connection, by how many came before them. */
export type Pieces = (no: number) => Buffer;

/** All connections of one attack together. */
const MAX_SENT_BYTES = 512 * 1_048_576;
const REOPEN_AFTER_MS = 20;
const ANSWER_WITHIN_MS = 500;
const DRIP_MS = 1000;
const PACE_MS = 50;
const BETWEEN_BURSTS_MS = 400;
const OPEN_EACH_TICK = 100;
const TICK_MS = 10;

export class Crowd {
  readonly #door: Door;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #ends: Record<string, number> = {};
  #isOver = false;
  #opened = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #writes = 0;
  #ended = 0;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Each writes one piece after another as fast as the hub takes them. Those that are cut off come again. */
  flood(connections: number, pieces: Pieces, options: FloodOptions = {}): void {
    this.#keepUp(connections, options, (socket) => {
      let no = 0;
      const next = (): void => {
        if (this.#isOver || socket.destroyed) return;
        this.#write(socket, pieces(no), () => setImmediate(next));
        no += 1;
      };
      next();
    });
  }

  /** Each writes its bursts, then pieces at a rate. Those that are cut off come again. */
  pace(connections: number, pieces: Pieces, { bursts, perS, ...options }: PaceOptions): void {
    this.#keepUp(connections, options, (socket) => {
      let no = 0;
      const write = (count: number): void => {
        if (count > 0) this.#write(socket, Buffer.concat(Array.from({ length: count }, () => pieces(no++))));
      };
      const fromMs = performance.now();
      const due = (): number => {
        const ms = performance.now() - fromMs;
        const begun = bursts.slice(0, 1 + Math.floor(ms / BETWEEN_BURSTS_MS));
        return begun.reduce((sum, burst) => sum + burst, 0) + Math.floor((perS * ms) / 1000);
      };
      write(due());
      const timer = this.#every(PACE_MS, () => write(due() - no));
      socket.on('close', () => this.#forget(timer));
    });
  }

  /** Each writes one byte a second of `bytes`, over and over. */
  drip(connections: number, bytes: Buffer): void {
    const drops = new Map<Socket, number>();
    const open = (): void => {
      const socket = this.#open(() => {
        drops.delete(socket);
        this.#later(open);
      });
      drops.set(socket, 0);
    };
    for (let no = 0; no < connections; no += 1) open();
    this.#every(DRIP_MS, () => {
      for (const [socket, at] of drops) {
        this.#write(socket, bytes.subarray(at, at + 1));
        drops.set(socket, (at + 1) % bytes.length);
      }
    });
  }

  /** Each sends its first bytes, if any, and nothing more. Those that are cut off stay away. */
  hold(connections: number, firstOf: (no: number) => Buffer | undefined): void {
    let no = 0;
    const timer = this.#every(TICK_MS, () => {
      for (let part = 0; part < OPEN_EACH_TICK && no < connections; part += 1, no += 1) {
        const socket = this.#open(() => undefined);
        const first = firstOf(no);
        if (first !== undefined) this.#write(socket, first);
      }
      if (no >= connections) this.#forget(timer);
    });
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

  /** Connections that open, send their words, wait for one answer, and end. */
  visit(lanes: number, opening: Opening): void {
    let visits = 0;
    const say = (): Buffer => opening.say?.(visits++) ?? Buffer.alloc(0);
    this.#keepUp(lanes, { ...opening, say }, (socket) => {
      const timer = setTimeout(() => socket.resetAndDestroy(), ANSWER_WITHIN_MS);
      socket.once('data', () => socket.resetAndDestroy());
      socket.on('close', () => clearTimeout(timer));
    });
  }

  get counts(): CrowdCounts {
    return {
      opened: this.#opened,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      writes: this.#writes,
      ended: this.#ended,
      open: this.#sockets.size,
      ends: { ...this.#ends },
    };
  }

  /** Closes everything at once. */
  disperse(): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Opens connections, and each again when it ends; `act` is called once its opening is over. */
  #keepUp(connections: number, options: FloodOptions, act: (socket: Socket) => void): void {
    const open = (no: number): void => {
      const socket = this.#open(() => this.#later(() => open(no)));
      this.#enter(socket, no, options, () => act(socket));
    };
    for (let no = 0; no < connections; no += 1) open(no);
  }

  #enter(socket: Socket, no: number, { ask, say, isReading = true }: FloodOptions, act: () => void): void {
    const begin = (): void => {
      if (this.#isOver || socket.destroyed) return;
      if (!isReading) socket.pause();
      if (say !== undefined) this.#write(socket, say(no));
      act();
    };
    if (ask === undefined) {
      begin();
      return;
    }
    let hasBegun = false;
    const beginOnce = (): void => {
      if (!hasBegun) begin();
      hasBegun = true;
    };
    this.#write(socket, ask);
    socket.once('data', beginOnce);
    const timer = setTimeout(beginOnce, ANSWER_WITHIN_MS);
    socket.on('close', () => clearTimeout(timer));
  }

  #open(onEnd: () => void): Socket {
    const { port, localAddress } = this.#door;
    const from = localAddress === undefined ? {} : { localAddress };
    // Without delay, so that the borders between writes are borders for the hub, too.
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, ...from });
    let tail: Buffer = Buffer.alloc(0);
    let errorCode: string | undefined;
    this.#sockets.add(socket);
    socket.on('connect', () => (this.#opened += 1));
    socket.on('data', (bytes: Buffer) => {
      this.#receivedBytes += bytes.length;
      // Copies, so that the kept bytes do not keep a large chunk in memory.
      tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - TAIL_BYTES)));
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => (errorCode = code));
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#isOver) return;
      this.#ended += 1;
      const end = describeEnd(tail, errorCode);
      this.#ends[end] = (this.#ends[end] ?? 0) + 1;
      onEnd();
    });
    return socket;
  }

  #write(socket: Socket, bytes: Buffer, onWritten?: () => void): void {
    if (!socket.writable || this.#sentBytes + bytes.length > MAX_SENT_BYTES) return;
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

  #every(ms: number, act: () => void): NodeJS.Timeout {
    const timer = setInterval(act, ms);
    this.#timers.add(timer);
    return timer;
  }

  #forget(timer: NodeJS.Timeout): void {
    clearInterval(timer);
    this.#timers.delete(timer);
  }
}
