/**
 * The parts of uWebSockets.js 20.5x that the hub uses, because it ships no types. Written from its documentation and
 * checked by the contract suite. Only modules of the uWebSockets.js engine may import it. Every object here dies as its
 * comment says; a call after that throws.
 */

declare const listenSocket: unique symbol;
declare const upgradeContext: unique symbol;
declare const descriptor: unique symbol;
export interface UwsListenSocket {
  readonly [listenSocket]: true;
}
export interface UwsUpgradeContext {
  readonly [upgradeContext]: true;
}
export interface UwsDescriptor {
  readonly [descriptor]: true;
}

/** Lives until its `close` handler has been called. `Attached` is the object that was passed to `upgrade`. */
export type UwsWebSocket<Attached> = Attached & {
  /** 1: written; 0: accepted, but waits for the peer; 2: dropped, because it exceeds `maxBackpressure`. */
  send(message: string | Uint8Array, isBinary: boolean, compress: boolean): 0 | 1 | 2;
  ping(): number;
  /** Sends a close frame and FIN, calls the `close` handler at once, and cuts the connection about 4 s later. */
  end(code: number, reason: string): void;
  /** Cuts the connection and calls the `close` handler at once. */
  close(): void;
  getBufferedAmount(): number;
};

/** Lives until its handler returns, even if its response goes on. */
export interface UwsRequest {
  getCaseSensitiveMethod(): string;
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(each: (lowerCaseName: string, value: string) => void): void;
}

/** Lives until `end`, `endWithoutBody`, `upgrade` or its abort. */
export interface UwsResponse<Attached> {
  onAborted(aborted: () => void): void;
  /** The chunk dies when the handler returns. The handler is called at least once, the last time with `isLast`. */
  onData(received: (chunk: ArrayBuffer, isLast: boolean) => void): void;
  getRemoteAddressAsText(): ArrayBuffer;
  /**
   * The client's address in the PROXY header of the connection (version 2); empty if there is no header or no address
   * in it.
   */
  getProxiedRemoteAddress(): ArrayBuffer;
  /** Cuts the connection and calls the abort handler at once. */
  close(): void;
  /** Stops reading the connection until `resume`, or until a write does not fit the kernel's buffer. */
  pause(): void;
  resume(): void;
  cork(write: () => void): void;
  writeStatus(status: string): void;
  writeHeader(name: string, value: string): void;
  /** Writes the content-length, and `connection: close` if it closes. Keeps what the kernel does not accept. */
  end(body: string | Uint8Array, closeConnection: boolean): void;
  endWithoutBody(): void;
  /** Writes a chunk, and keeps what the kernel does not accept; false if there is something to keep. */
  write(chunk: string): boolean;
  /**
   * Writes what the kernel accepts, and the content-length. The response goes on until all has been written (the second
   * value); until then another request on its connection cuts it. The first value is to be returned by the handler of
   * `onWritable`.
   */
  tryEnd(rest: string | Uint8Array, totalBytes: number): [boolean, boolean];
  onWritable(writable: (writtenBytes: number) => boolean): void;
  upgrade(
    attached: Attached,
    secWebSocketKey: string,
    secWebSocketProtocol: string,
    secWebSocketExtensions: string,
    context: UwsUpgradeContext,
  ): void;
}

export interface UwsBehavior<Attached> {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  readonly compression: number;
  upgrade(response: UwsResponse<Attached>, request: UwsRequest, context: UwsUpgradeContext): void;
  open(ws: UwsWebSocket<Attached>): void;
  /** The bytes die when the handler returns. */
  message(ws: UwsWebSocket<Attached>, bytes: ArrayBuffer, isBinary: boolean): void;
  /** A ping arrived. Its pong has been sent, or waits. */
  ping(ws: UwsWebSocket<Attached>): void;
  pong(ws: UwsWebSocket<Attached>): void;
  drain(ws: UwsWebSocket<Attached>): void;
  close(ws: UwsWebSocket<Attached>): void;
}

export interface UwsApp<Attached> {
  ws(pattern: string, behavior: UwsBehavior<Attached>): void;
  /**
   * Reports each connection that opens (1) or, if it has not become a WebSocket, closes (-1). Only the response of an
   * opening may be used.
   */
  filter(handler: (response: UwsResponse<Attached>, count: 1 | -1) => void): void;
  any(pattern: string, handler: (response: UwsResponse<Attached>, request: UwsRequest) => void): void;
  /** Reports false, without a reason, if it fails. */
  listen(host: string, port: number, options: number, done: (socket: UwsListenSocket | false) => void): void;
  /** Closes the listening socket and every connection, and calls their handlers, before it returns. */
  close(): void;
  getDescriptor(): UwsDescriptor;
  /** Passes all further connections of this app to the other one, which uses its own certificate for TLS. */
  addChildAppDescriptor(other: UwsDescriptor): void;
  removeChildAppDescriptor(other: UwsDescriptor): void;
}

export interface UwsTlsOptions {
  readonly key_file_name: string;
  readonly cert_file_name: string;
}

/** Apps are never freed: each costs its memory until the process ends. */
export interface Uws {
  /** Undocumented switches by number; not in every release. */
  _cfg?(key: string): void;
  App<Attached>(): UwsApp<Attached>;
  /** Reads both files, PEM, within the call. @throws without a reason if it cannot use them. */
  SSLApp<Attached>(options: UwsTlsOptions): UwsApp<Attached>;
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}
