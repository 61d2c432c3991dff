/**
 * The WebSocket that tells every change: says hello as an observer, asks for the tail, comes back by itself with growing
 * pauses, and knows whether the hub says that it is stale. Keeps no row. Started by main.
 */
import { createCell, type Cell } from '../cell.ts';
import type { Access } from './access.ts';
import type { Link } from './calls.ts';
import { socketAddress } from './request-line.ts';
import { readMessage, type TailedChange } from './wire.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** For a hub that has no room (1013), or finds this page too busy (4429). */
const SLOW_PAUSE_MS = 5000;

export type TailState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly node: string }
  | { readonly kind: 'lost' }
  /** The hub said why, and would say so again. */
  | { readonly kind: 'refused'; readonly why: string };

export interface TailSocket {
  readonly state: Cell<TailState>;
  /** The last moment of which the hub is sure; null while it is fresh, or nothing is known. */
  readonly staleSince: Cell<number | null>;
  start(): void;
  /** Only changes of users whose id holds this text. */
  match(text: string): void;
}

export interface TailSocketOptions {
  readonly access: Access;
  /** Where the hub answers again, no pause is waited for. */
  readonly link: Link;
  readonly onChanges: (changes: readonly TailedChange[], skipped: number) => void;
}

export function createTailSocket({ access, link, onChanges }: TailSocketOptions): TailSocket {
  const state = createCell<TailState>({ kind: 'connecting' });
  const staleSince = createCell<number | null>(null);
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  /** When the hub wants this page back, where it has said so. */
  let pauseAskedMs: number | undefined;
  let wanted = '';

  const send = (message: object): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  const askForTail = (): void => {
    send(wanted === '' ? { type: 'tail' } : { type: 'tail', match: wanted });
  };
  const hear = (data: string, token: string | undefined): void => {
    const message = readMessage(data);
    switch (message?.type) {
      case 'welcome':
        attempt = 0;
        staleSince.set(null);
        state.set({ kind: 'live', node: message.node });
        askForTail();
        break;
      case 'tail':
        onChanges(message.changes, message.skipped);
        break;
      case 'stale':
        staleSince.set(message.since);
        break;
      case 'fresh':
        staleSince.set(null);
        break;
      case 'reconnect':
        pauseAskedMs = message.afterMs;
        break;
      case 'error':
        if (message.code === 'unauthenticated') access.refuse(token, 401, message.message);
        else if (message.code === 'forbidden') access.refuse(token, 403, message.message);
        else state.set({ kind: 'refused', why: message.message });
        break;
      default:
        break;
    }
  };
  const connect = (): void => {
    clearTimeout(timer);
    if (access.state.get().kind !== 'let in') return;
    const { token } = access;
    pauseAskedMs = undefined;
    const opened = new WebSocket(socketAddress(location.origin));
    socket = opened;
    opened.addEventListener('open', () => {
      opened.send(JSON.stringify({ type: 'hello', observe: true, ...(token === undefined ? {} : { token }) }));
    });
    opened.addEventListener('message', ({ data }) => {
      if (socket === opened) hear(String(data), token);
    });
    opened.addEventListener('close', ({ code }) => {
      if (socket !== opened) return;
      socket = undefined;
      if (state.get().kind !== 'refused') state.set({ kind: 'lost' });
      timer = setTimeout(connect, pauseAskedMs ?? pauseAfter(code, attempt, Math.random()));
      attempt += 1;
    });
  };
  return {
    state,
    staleSince,
    start: () => {
      access.state.watch(() => {
        const isLetIn = access.state.get().kind === 'let in';
        if (isLetIn && socket === undefined) connect();
        else if (!isLetIn) drop();
      });
      link.watch(() => {
        if (link.get() === null && state.get().kind === 'lost' && pauseAskedMs === undefined) connectNow();
      });
      connect();
    },
    match: (text) => {
      if (text === wanted) return;
      wanted = text;
      if (state.get().kind === 'live') askForTail();
    },
  };

  function connectNow(): void {
    if (socket !== undefined) return;
    attempt = 0;
    connect();
  }
  function drop(): void {
    clearTimeout(timer);
    const dropped = socket;
    socket = undefined;
    dropped?.close();
    state.set({ kind: 'connecting' });
  }
}

/** With jitter: all the pages of a hub that comes back do not come at once. */
export function pauseAfter(code: number, attempt: number, random: number): number {
  const isSlow = code === 1013 || code === 4429;
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return (isSlow ? SLOW_PAUSE_MS : 100) + random * longest;
}
