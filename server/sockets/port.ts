/**
 * The engine port: what the hub needs from a WebSocket and HTTP server, in the hub's terms. Two engines implement it
 * (uws-engine, ws-engine) and pass one contract suite. No other module knows which one runs.
 */
import type { RefusalReason } from '../../shared/reasons.ts';
import type { TlsFiles } from '../lib/net/tls-files.ts';

/** `queued`: accepted, but the peer reads slower than we write. Send nothing unsolicited until `drained`. */
export type SendResult = 'sent' | 'queued' | 'dropped';

/** One open WebSocket. After it has closed, every call does nothing (`send` returns `dropped`). */
export interface Socket {
  /** The client's address: the result of `clientAddress` for the upgrade. */
  readonly remoteAddress: string;
  /** Set if the connection exceeds a limit on connections: send it a refusal and close it. */
  readonly exceededLimit: ConnectionLimit | undefined;
  /**
   * Sends one text message: a string, or its bytes in UTF-8. The bytes may be sent to many sockets and must not change.
   */
  send(message: string | Uint8Array): SendResult;
  ping(): void;
  /**
   * Stops reading, if the engine can (ws). Events that it cannot hold back (uWebSockets.js: all) still arrive. Nothing
   * is lost. While a connection is not read, its end is detected only by a write.
   */
  pause(): void;
  /** Resumes reading. No event fires within the call. */
  resume(): void;
  /**
   * Sends a close frame. Only `closed` follows. It fires at once, when the peer has answered, after about 5 seconds, or
   * when `terminate` is called. A reason over 123 bytes is cut.
   */
  close(code: number, reason: string): void;
  /** Cuts the connection without a close frame. `closed` follows. */
  terminate(): void;
}

/**
 * Events of one socket, in order. None follows `closed`. No event fires within a call on the socket itself, so a
 * caller's own loop is never re-entered. If a handler throws, that is a bug and surfaces as an uncaught exception.
 */
export interface SocketEvents {
  message(text: string): void;
  /** A binary message of up to 16 KiB arrived. Its bytes are not needed. */
  binary(): void;
  /** A message, text or binary, over the contract's 16 KiB (up to 2 MiB) arrived and was discarded. */
  oversize(): void;
  pong(): void;
  /**
   * Something arrived that is neither a whole message nor a pong, and must be counted: a ping, which the engine has
   * answered, or a fragment of a message, if the engine reports fragments (ws).
   */
  frame(): void;
  /** Follows a `queued`: all waiting data has been written, and sending may go on. */
  drained(): void;
  closed(): void;
}

export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  /** As received, still percent-encoded, without the query. */
  readonly path: string;
  /** The text after the `?`, or ''. */
  readonly query: string;
  /** By lower-case name; undefined if absent. Repeated headers are joined with `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** The client's address: the result of `clientAddress`. */
  readonly remoteAddress: string;
  /** UTF-8 text; '' if there is none or `exceededLimit` is set. */
  readonly body: string;
  /** Set if the connection exceeds a limit on connections. The answer is its last. */
  readonly exceededLimit?: ConnectionLimit | undefined;
}

export interface HttpReply {
  readonly status: number;
  /** Without `content-length`, which the engine adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** Follows `body`. The length is then not known, so the answer is sent in chunks, and is the connection's last. */
  readonly rest?: BodyRest;
}

/** The rest of a body that is too large to be in memory as a whole. */
export interface BodyRest {
  /**
   * Returns the next part; undefined after the last. Called once the client has nearly read the part before. If it
   * rejects, the engine cuts the connection without the last chunk, so that no client takes the answer for complete.
   */
  next(): Promise<string | undefined>;
  /** Called once: when the body is complete, or cut off, or its client is gone. */
  close(): void;
}

/** Why a connection exceeds the limits. */
export type ConnectionLimit = Extract<RefusalReason, 'connections' | 'per_address'>;

/** Counts the connections of all ports together, each from its acceptance. `null`: its client is not known yet. */
export interface ConnectionCounts {
  /** Connections beyond the limit that may be accepted to receive a refusal. Cut further ones at once. */
  readonly maxGuests: number;
  /** Counts a connection, which must `leave` later, or returns the limit that it exceeds. */
  enter(address: string | null): ConnectionLimit | undefined;
  leave(address: string | null): void;
  /** What `enter` would return if each limit were higher by `beyond` (default 0). Counts nothing. */
  refusalFor(address: string | null, beyond?: number): ConnectionLimit | undefined;
  /** Counts a connection whose client cannot be determined, even beyond the limits. It must `leave(null)`. */
  enterUnnamed(): void;
  /** Counts for its address a connection that is already in the total. */
  addTo(address: string): void;
  takeFrom(address: string): void;
  /** Adds connections of an address that are known only by an estimate. `group` is a result of `groupOf`. */
  addEstimate(estimate: (group: string) => number): void;
  /** The key under which an address is counted: itself, or its /64. */
  groupOf(address: string): string;
}

/** What the hub provides to an engine. */
export interface Service {
  readonly connections: ConnectionCounts;
  /** Whether the peer is a trusted proxy. Its connections count for the clients that it names. */
  isProxy(peer: string): boolean;
  /** A connection beyond a limit was cut, or became a WebSocket that must receive a refusal. */
  onLimitExceeded(reason: ConnectionLimit): void;
  /**
   * The client's address: the peer's, or the one that a trusted proxy states. Called for every request, including
   * upgrades. `peer` is a text in short form, and an IPv4 address never begins with `::ffff:`.
   */
  clientAddress(peer: string, forwardedFor: string | undefined): string;
  /**
   * Answers one request; never rejects. A body over 256 KiB does not get here, because the engine calls `refuse`. For
   * HEAD the reply is the same as for GET, and the engine omits its body.
   */
  http(request: HttpRequest): HttpReply | Promise<HttpReply>;
  /** The answer to a request that the engine itself rejects (413, 431, 426, 400). */
  refuse(status: 400 | 413 | 426 | 431): HttpReply;
  /** Whether to accept a WebSocket upgrade: undefined, or the answer that refuses it. Any path may ask. */
  admit(request: HttpRequest): HttpReply | undefined;
  /** A socket has opened. The returned object receives its events. */
  opened(socket: Socket): SocketEvents;
}

export interface Listening {
  /** The actual port. */
  readonly port: number;
  /** Stops accepting, cuts open connections, and resolves when the port is free. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /**
   * Uses TLS, 1.2 at least. If the certificate changes, new connections get the new one and open ones stay. Connections
   * without TLS are cut.
   */
  readonly tls?: TlsFiles;
  /** Set if the workers of one parent share the port. */
  readonly sharing?: Sharing;
}

/** How a worker takes a port that the others have too. */
export interface Sharing {
  /** The port that the first worker took, which must be that of `listen` unless that is 0; null for the first one. */
  readonly takenPort: number | null;
}

export interface Engine {
  readonly name: 'uws' | 'ws';
  /**
   * Listens on the port, exclusively or with other workers of the same parent; 0 is any free one.
   * @throws the system's error if the port is not available. Its `code` is `EADDRINUSE` if another process holds it.
   */
  listen(host: string, port: number, service: Service, options?: ListenOptions): Promise<Listening>;
}
