/**
 * The engine port: what the hub asks of a WebSocket and HTTP server, in the hub's words.
 * Two engines stand behind it (uws-engine, ws-engine) and pass one contract suite; nobody else knows which one runs.
 */
import type { RefusalReason } from '../../shared/reasons.ts';
import type { TlsFiles } from '../lib/tls-files.ts';

/** `queued`: taken, but the peer reads slower than we write: send nothing of one's own accord until `drained`. */
export type SendResult = 'sent' | 'queued' | 'dropped';

/** One open WebSocket. Every call on a socket that has closed does nothing (`send` answers `dropped`). */
export interface Socket {
  /** The client's address: what `clientAddress` said of the upgrade. */
  readonly remoteAddress: string;
  /** Set if the connection is beyond a limit on connections: it is to be told so, and closed. */
  readonly noRoom: NoRoom | undefined;
  /** Sends one text message: a text, or its bytes in UTF-8, which may be sent to many and must not change. */
  send(message: string | Uint8Array): SendResult;
  ping(): void;
  /**
   * Stops reading, if the engine can (ws). What it cannot hold back (uWebSockets.js: everything) is still told. Nothing is
   * lost, and the end of a connection that is not read is found when something is written to it.
   */
  pause(): void;
  /** Reads on. Nothing is told from within the call. */
  resume(): void;
  /**
   * Says goodbye with a close frame; nothing but `closed` follows. It comes at once or when the peer has answered,
   * within some 5 seconds, or when `terminate` is called. A reason over 123 bytes is cut.
   */
  close(code: number, reason: string): void;
  /** Cuts the connection without a word. `closed` follows. */
  terminate(): void;
}

/**
 * What the engine tells about one socket, in order; nothing comes after `closed`.
 * Nothing is told from within a call on the socket itself, so a caller's own loop is never re-entered.
 * What a handler throws is a bug, and surfaces as an uncaught exception.
 */
export interface SocketEvents {
  message(text: string): void;
  /** A binary message of up to 16 KiB came; its bytes are of no use here. */
  binary(): void;
  /** A message, text or binary, over the contract's 16 KiB (up to 2 MiB) came and was thrown away. */
  oversize(): void;
  pong(): void;
  /**
   * Something came that is neither a whole message nor a pong: a ping, which the engine has answered, or, if the engine can
   * tell (ws), a fragment of a message. Told so that it is counted.
   */
  frame(): void;
  /** After a `queued`: all that waited has been written, sending may go on. */
  drained(): void;
  closed(): void;
}

export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  /** As it came, still percent-encoded, without the query. */
  readonly path: string;
  /** What stands after the `?`, or ''. */
  readonly query: string;
  /** By lower-case name; undefined when absent; one that came more than once is joined with `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** The client's address: what `clientAddress` said. */
  readonly remoteAddress: string;
  /** UTF-8 text; '' when there is none, or if there is no room. */
  readonly body: string;
  /** Set if the connection is beyond a limit on connections. The answer is its last. */
  readonly noRoom?: NoRoom | undefined;
}

export interface HttpReply {
  readonly status: number;
  /** Without `content-length`, which is the engine's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** Why there is no room for a connection. */
export type NoRoom = Extract<RefusalReason, 'connections' | 'per_address'>;

/** Counts the connections of every port together, each from its acceptance on. `null`: its client is not known yet. */
export interface ConnectionCounts {
  /** Connections beyond the limit that may be let in to be told so. Further ones are to be cut at once. */
  readonly maxGuests: number;
  /** Counts a connection, which must `leave` later, or says why there is no room. */
  enter(address: string | null): NoRoom | undefined;
  leave(address: string | null): void;
  /** What `enter` would say if each limit were higher by `beyond` (0 unless given). Counts nothing. */
  refusalFor(address: string | null, beyond?: number): NoRoom | undefined;
  /** Counts a connection whose client cannot be told, whether or not there is room. It must `leave(null)`. */
  enterUnnamed(): void;
  /** Counts for its address what is counted in all already. */
  addTo(address: string): void;
  takeFrom(address: string): void;
  /** Adds connections of an address that are known only by an estimate; `group` is what `groupOf` says. */
  addEstimate(estimate: (group: string) => number): void;
  /** What an address is counted as: itself, or its /64. */
  groupOf(address: string): string;
}

/** What the hub gives an engine to serve. */
export interface Service {
  readonly connections: ConnectionCounts;
  /** Whether the peer is a trusted proxy: its connections belong to the clients that it names. */
  isProxy(peer: string): boolean;
  /** A connection beyond a limit was cut, or has become a WebSocket that is to be told so. */
  onNoRoom(reason: NoRoom): void;
  /**
   * Whose address it is: the peer's, or the one that a trusted proxy tells. Asked for every request, upgrades included.
   * The peer's comes as text, in short form, an IPv4 one never as `::ffff:`.
   */
  clientAddress(peer: string, forwardedFor: string | undefined): string;
  /**
   * Answers one request; never rejects. A body over 256 KiB does not get here: the engine asks `refuse`.
   * For HEAD the reply is as for GET; the engine leaves its body out.
   */
  http(request: HttpRequest): HttpReply | Promise<HttpReply>;
  /** The answer to a request that the engine itself turns down (413, 431, 426, 400). */
  refuse(status: 400 | 413 | 426 | 431): HttpReply;
  /** Whether a WebSocket upgrade is let in: undefined, or the answer that refuses it. Any path may ask. */
  admit(request: HttpRequest): HttpReply | undefined;
  /** A socket has opened; what is returned hears of it from now on. */
  opened(socket: Socket): SocketEvents;
}

export interface Listening {
  /** The port that was really taken. */
  readonly port: number;
  /** Takes no new connections any more; those that are open stay. The port is free for another process. */
  stopAccepting(): void;
  /** Stops accepting, cuts what is still open, and resolves when the port is free. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /**
   * Speak TLS, 1.2 at least. A pair that changes is taken over: new connections get the new certificate, open ones stay.
   * What comes without TLS is cut.
   */
  readonly tls?: TlsFiles;
}

export interface Engine {
  readonly name: 'uws' | 'ws';
  /**
   * Takes the port exclusively; 0 is any free one.
   * @throws the system's error where it can't be had: `code` is `EADDRINUSE` where another process holds it.
   */
  listen(host: string, port: number, service: Service, options?: ListenOptions): Promise<Listening>;
}
