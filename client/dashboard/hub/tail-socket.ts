/**
 * The WebSocket that receives every change: sends the hello as an observer, requests the tail, reconnects with growing
 * delays, and tracks whether the hub is stale. Stores no rows.
 */
import type { HubMessage } from '../../../shared/index.ts';
import { createSignal } from '../signal.ts';
import type { Access } from './access.ts';
import type { UnreachableSince } from './calls.ts';
import { socketAddress } from './request-line.ts';
import { readMessage, type TailedChange } from './wire.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/**
 * The delay if the hub is full (1013), the page exceeds its rate (4429), or the hub has its maximum number of tails.
 */
const SLOW_PAUSE_MS = 5000;
/** The hub's own close code for a timeout. */
const SILENT = 4408;

export type TailState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly node: string }
  | { readonly kind: 'lost' }
  /** The hub gave the reason. The page tries again later. */
  | { readonly kind: 'refused'; readonly why: string };

export interface TailSocketOptions {
  readonly access: Access;
  /** When the hub answers HTTP again, the page reconnects without waiting. */
  readonly link: UnreachableSince;
  readonly onChanges: (changes: readonly TailedChange[], skipped: number) => void;
}

export class TailSocket {
  readonly state = createSignal<TailState>({ kind: 'connecting' });
  /** The last time of which the hub is certain; null if it is current, or nothing is known. */
  readonly staleSince = createSignal<number | null>(null);
  readonly #options: TailSocketOptions;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Attempts since the last welcome. */
  #attempt = 0;
  /** The delay before a reconnect that the hub requested. */
  #pauseAskedMs: number | undefined;
  #match = '';
  /** After the welcome: asks for signs of life, and closes a connection that gives none. */
  #beating: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;

  constructor(options: TailSocketOptions) {
    this.#options = options;
  }

  start(): void {
    const { access, link } = this.#options;
    access.state.watch(() => {
      if (access.state.get().kind !== 'let in') this.#drop();
      else if (this.#socket === undefined) this.#connect();
    });
    link.watch(() => {
      const isBack = link.get() === null && this.state.get().kind === 'lost' && this.#pauseAskedMs === undefined;
      if (!isBack || this.#socket !== undefined) return;
      this.#attempt = 0;
      this.#connect();
    });
    this.#connect();
  }

  /** Receives only changes of users whose id contains this text. */
  match(text: string): void {
    if (text === this.#match) return;
    this.#match = text;
    if (this.state.get().kind === 'live') this.#askForTail();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const { access } = this.#options;
    if (access.state.get().kind !== 'let in') return;
    const { token } = access;
    this.#pauseAskedMs = undefined;
    const socket = new WebSocket(socketAddress(location.origin));
    this.#socket = socket;
    socket.addEventListener('open', () => {
      this.#send({ type: 'hello', observe: true, ...(token === undefined ? {} : { token }) });
    });
    socket.addEventListener('message', ({ data }) => {
      const message = readMessage(String(data));
      if (this.#socket === socket && message !== undefined) this.#hear(message, token);
    });
    socket.addEventListener('close', ({ code }) => {
      if (this.#socket === socket) this.#lose(code);
    });
  }

  #hear(message: HubMessage, token: string | undefined): void {
    this.#heardAt = performance.now();
    switch (message.type) {
      case 'welcome':
        this.#attempt = 0;
        this.#beat(message.heartbeatMs, message.timeoutMs);
        this.staleSince.set(null);
        this.state.set({ kind: 'live', node: message.node });
        this.#askForTail();
        break;
      case 'tail':
        this.#options.onChanges(message.changes, message.skipped);
        break;
      case 'stale':
        this.staleSince.set(message.since);
        break;
      case 'fresh':
        this.staleSince.set(null);
        break;
      case 'reconnect':
        this.#pauseAskedMs = message.afterMs;
        break;
      case 'error':
        this.#hearError(message, token);
        break;
      default:
        break;
    }
  }

  #hearError({ code, message }: HubMessage & { type: 'error' }, token: string | undefined): void {
    const { access } = this.#options;
    if (code === 'unauthenticated') access.refuse(token, 401, message);
    else if (code === 'forbidden') access.refuse(token, 403, message);
    else {
      this.state.set({ kind: 'refused', why: message });
      this.#pauseAskedMs = SLOW_PAUSE_MS;
      this.#socket?.close();
    }
  }

  #beat(everyMs: number, timeoutMs: number): void {
    const socket = this.#socket;
    clearInterval(this.#beating);
    this.#beating = setInterval(() => {
      this.#send({ type: 'heartbeat', id: 'beat' });
      if (performance.now() <= this.#heardAt + timeoutMs) return;
      // A lost network sends no close, so the browser would wait for minutes.
      socket?.close();
      this.#lose(SILENT);
    }, everyMs);
  }

  #lose(code: number): void {
    clearInterval(this.#beating);
    this.#socket = undefined;
    this.staleSince.set(null);
    if (this.state.get().kind !== 'refused') this.state.set({ kind: 'lost' });
    const pauseMs = this.#pauseAskedMs ?? pauseAfter(code, this.#attempt, Math.random());
    this.#timer = setTimeout(() => {
      this.#connect();
    }, pauseMs);
    this.#attempt += 1;
  }

  #drop(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#beating);
    const dropped = this.#socket;
    this.#socket = undefined;
    dropped?.close();
    this.state.set({ kind: 'connecting' });
  }

  #askForTail(): void {
    this.#send(this.#match === '' ? { type: 'tail' } : { type: 'tail', match: this.#match });
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

/** Adds jitter, so that the pages of a restarted hub do not reconnect at once. */
export function pauseAfter(code: number, attempt: number, random: number): number {
  const isSlow = code === 1013 || code === 4429;
  return (isSlow ? SLOW_PAUSE_MS : 100) + random * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
}
