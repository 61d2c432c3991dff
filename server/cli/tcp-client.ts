/**
 * One user's heartbeats as XML over TCP, as the legacy client sends them, on a connection that comes back by itself.
 * A state of -1 is the clean goodbye. Called by beat and demo.
 */
import { createConnection, type Socket } from 'node:net';
import { describeError } from './address.ts';
import { fullJitterMs } from './backoff.ts';

const GOOD_AFTER_MS = 5_000;
const CONNECT_WITHIN_MS = 10_000;
const BYE_WITHIN_MS = 1_000;
const LEAVING = -1;

interface TcpClientOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly device?: string;
  readonly everyMs: number;
  /** The legacy integer; asked at every heartbeat. */
  readonly state: () => number;
  readonly isPatient?: boolean;
  readonly onSent?: (frame: string) => void;
  /** What the hub answers, where HUB_TCP_ACK has it answer. */
  readonly onGot?: (text: string) => void;
  readonly onLost?: (reason: string) => void;
  /** The very first connection found no hub. */
  readonly onFailed: () => void;
}

export class TcpClient {
  readonly #options: TcpClientOptions;
  #socket: Socket | undefined;
  #wasEverConnected = false;
  #isEnding = false;
  #heartbeats: NodeJS.Timeout | undefined;
  #nextTry: NodeJS.Timeout | undefined;
  #attempt = 0;
  /** Of the connection in hand; undefined while it is none yet. */
  #connectedAtMs: number | undefined;
  #backAfterMs: number | undefined;

  constructor(options: TcpClientOptions) {
    this.#options = options;
  }

  connect(): void {
    clearTimeout(this.#nextTry);
    this.#backAfterMs = undefined;
    this.#connectedAtMs = undefined;
    const { host, port, everyMs } = this.#options;
    const socket = createConnection({ host, port, noDelay: true, timeout: CONNECT_WITHIN_MS });
    this.#socket = socket;
    let reason = 'the connection closed';
    socket.on('connect', () => {
      socket.setTimeout(0);
      this.#wasEverConnected = true;
      this.#connectedAtMs = performance.now();
      this.beat();
      this.#heartbeats = setInterval(() => this.beat(), everyMs);
    });
    socket.on('timeout', () => socket.destroy());
    // Read even where nobody listens: an unread answer would hold up the end of the stream.
    socket.setEncoding('utf8').on('data', (text: string) => this.#options.onGot?.(text));
    socket.on('error', (error) => (reason = describeError(error)));
    socket.on('close', () => {
      if (this.#socket === socket) this.#closed(reason);
    });
  }

  /** A heartbeat now, besides those of the interval. */
  beat(): void {
    if (this.#socket?.readyState === 'open') this.#write(this.#options.state());
  }

  /** An unclean end; comes back after that long. */
  cut(backAfterMs: number): void {
    if (this.#isEnding || this.#socket?.readyState !== 'open') return;
    this.#backAfterMs = backAfterMs;
    this.#socket.destroy();
  }

  /** A clean goodbye; resolves when the connection has ended. */
  leave(): Promise<void> {
    return this.#end(() => this.#write(LEAVING));
  }

  /** Ends without a goodbye, for good; what has been sent still arrives. */
  end(): Promise<void> {
    return this.#end(() => undefined);
  }

  async #end(sayLast: () => void): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#nextTry);
    clearInterval(this.#heartbeats);
    const socket = this.#socket;
    if (socket === undefined || socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (socket.readyState === 'open') sayLast();
    else socket.destroy();
    socket.end();
    const cutOff = setTimeout(() => socket.destroy(), BYE_WITHIN_MS);
    await closed;
    clearTimeout(cutOff);
  }

  #closed(reason: string): void {
    clearInterval(this.#heartbeats);
    if (this.#isEnding) return;
    if (!this.#wasEverConnected && this.#options.isPatient !== true) return this.#options.onFailed();
    const livedMs = this.#connectedAtMs === undefined ? 0 : performance.now() - this.#connectedAtMs;
    if (livedMs > GOOD_AFTER_MS) this.#attempt = 0;
    const waitMs = this.#backAfterMs ?? fullJitterMs(this.#attempt);
    this.#attempt += 1;
    this.#options.onLost?.(reason);
    this.#nextTry = setTimeout(() => this.connect(), waitMs);
  }

  #write(state: number): void {
    const { user, device } = this.#options;
    const frame = encodeFrame(user, state, device);
    this.#options.onSent?.(frame);
    // A line end besides the terminator: the legacy server reads lines.
    this.#socket?.write(`${frame}\n`);
  }
}

function encodeFrame(user: string, state: number, device?: string): string {
  const label = device === undefined ? '' : `<device>${escapeXml(device)}</device>`;
  return `<protocol><user_id>${user}</user_id><user_state>${state}</user_state>${label}</protocol>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
