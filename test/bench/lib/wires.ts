/**
 * How the contract's messages travel over a WebSocket: as JSON texts to the hub and most references, as events to
 * Socket.IO (Engine.IO and Socket.IO packets by hand, not a client library). Knows no messages.
 */
import { clientFrame, opcodes, textFrame } from './ws-frames.ts';

export type WireName = 'json' | 'socketio';

export interface Wire {
  readonly path: string;
  /** Whether a client may speak as soon as the upgrade has been answered, or waits for the server to say so. */
  readonly isOpenAtOnce: boolean;
  /** A client's frame, masked, made ahead. */
  readonly frame: (type: string, fields?: Readonly<Record<string, unknown>>) => Buffer;
  /** What a text of the server means. */
  readonly read: (text: string) => Heard;
}

/**
 * A message, as the JSON of the hub's wire or of an event; a packet of the wire itself, with its answer; or leave to
 * speak.
 */
export type Heard =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'packet'; readonly answer?: Buffer }
  | { readonly kind: 'open' };

const packetFrame = (text: string): Buffer => clientFrame(0x80 | opcodes.text, Buffer.from(text));

/** Engine.IO: 0 open, 2 ping, 3 pong, 4 message; in a message, Socket.IO: 0 connect, 2 event. */
const connect = packetFrame('40');
const pong = packetFrame('3');
const nothing: Heard = { kind: 'packet' };

export const wires: Readonly<Record<WireName, Wire>> = {
  json: {
    path: '/ws',
    isOpenAtOnce: true,
    frame: (type, fields) => textFrame({ type, ...fields }),
    read: (text) => ({ kind: 'message', text }),
  },
  socketio: {
    path: '/socket.io/?EIO=4&transport=websocket',
    isOpenAtOnce: false,
    frame: (type, fields = {}) => packetFrame(`42${JSON.stringify([type, fields])}`),
    read: (text) => {
      if (text.startsWith('42')) return { kind: 'message', text: text.slice(2) };
      if (text.startsWith('40')) return { kind: 'open' };
      if (text.startsWith('0')) return { kind: 'packet', answer: connect };
      return text === '2' ? { kind: 'packet', answer: pong } : nothing;
    },
  },
};

/** The `type` of a message as `read` gave it. */
export function typeOf(text: string): string | undefined {
  return /^(?:\{"type":|\[)"(\w+)"/.exec(text)?.[1];
}
