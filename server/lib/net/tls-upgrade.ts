/**
 * TLS on connections that are already accepted. Collects the client's hello, and begins a few handshakes per loop turn,
 * so that a crowd of clients does not block all others. A renewed certificate applies to later handshakes; open
 * connections stay. Accepts no connections, and does not limit the time until the hello is complete.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:crypto';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { TlsFiles } from './tls-files.ts';

/** A handshake costs 1 to 2 ms with an RSA key of 2048 bits. */
const HANDSHAKES_PER_TURN = 4;

/** The first byte of a TLS handshake. Neither XML in any encoding nor HTTP begins with it. */
const TLS_HANDSHAKE = 0x16;
const CLIENT_HELLO = 0x01;
/** Size of the headers of a record and of a handshake message. */
const HEADERS_BYTES = 9;
/** Real hellos have 0.2 to 2 KiB. TLS itself rejects one that is incomplete at this size. */
const MAX_HELLO_BYTES = 16_384;

/** Whether a connection that begins with these bytes uses TLS. */
export function beginsTls(bytes: Buffer): boolean {
  return bytes[0] === TLS_HANDSHAKE;
}

/** Whether the hello is complete. Also true for bytes that are not a hello, which TLS rejects at little cost. */
function isWholeHello(bytes: Buffer): boolean {
  if (bytes.length > 0 && !beginsTls(bytes)) return true;
  if (bytes.length < HEADERS_BYTES) return false;
  if (bytes[5] !== CLIENT_HELLO) return true;
  return bytes.length >= Math.min(HEADERS_BYTES + bytes.readUIntBE(6, 3), MAX_HELLO_BYTES);
}

interface TlsUpgradeOptions {
  /** Maximum duration of a handshake, in ms. */
  readonly handshakeMs: number;
  /** The ALPN names of the protocols above TLS. Not negotiated if omitted. */
  readonly protocols?: string[];
}

export class TlsUpgrade {
  readonly #server: Server;
  readonly #stop: () => void;
  /** Functions that begin the handshake of connections with a complete hello. */
  readonly #waiting = new Set<() => void>();
  #turn: NodeJS.Immediate | undefined;
  #begunInTurn = 0;
  readonly #shaking = new Map<string, (socket: TLSSocket) => void>();

  constructor(files: TlsFiles, { handshakeMs, protocols }: TlsUpgradeOptions) {
    const options = {
      ...secure(files.pair),
      handshakeTimeout: handshakeMs,
      ...(protocols && { ALPNProtocols: protocols }),
    };
    this.#server = createServer(options, (socket) => {
      const name = nameOf(socket);
      const onSecure = this.#shaking.get(name);
      this.#shaking.delete(name);
      // The connection closed at the moment when the handshake completed, so its addresses are unknown.
      if (onSecure === undefined) socket.destroy();
      else onSecure(socket);
    });
    // The server closes connections that fail the handshake and reports them. Scanners cause this all day.
    this.#server.on('tlsClientError', () => undefined);
    this.#stop = files.onChange((pair) => this.#server.setSecureContext(secure(pair)));
  }

  /** Stops following certificate changes. */
  stop(): void {
    this.#stop();
  }

  /**
   * Begins the handshake when the hello is complete. `first` is what the peer has sent already. Calls `onSecure` after
   * the handshake, and never if it fails.
   */
  secure(raw: Socket, first: Buffer, onSecure: (socket: TLSSocket) => void): void {
    if (isWholeHello(first)) {
      this.#enqueue(raw, first, onSecure);
      return;
    }
    let hello = first;
    const onData = (packet: Buffer): void => {
      hello = Buffer.concat([hello, packet]);
      if (!isWholeHello(hello)) return;
      raw.off('data', onData);
      this.#enqueue(raw, hello, onSecure);
    };
    raw.on('data', onData);
  }

  #enqueue(raw: Socket, hello: Buffer, onSecure: (socket: TLSSocket) => void): void {
    raw.pause();
    const begin = (): void => this.#begin(raw, hello, onSecure);
    this.#waiting.add(begin);
    raw.once('close', () => this.#waiting.delete(begin));
    this.#beginSome();
  }

  #beginSome(): void {
    for (const begin of this.#waiting) {
      if (this.#begunInTurn === HANDSHAKES_PER_TURN) break;
      this.#waiting.delete(begin);
      this.#begunInTurn++;
      begin();
    }
    if (this.#begunInTurn === 0) return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#begunInTurn = 0;
      this.#beginSome();
    });
  }

  #begin(raw: Socket, hello: Buffer, onSecure: (socket: TLSSocket) => void): void {
    const name = nameOf(raw);
    this.#shaking.set(name, onSecure);
    raw.once('close', () => {
      if (this.#shaking.get(name) === onSecure) this.#shaking.delete(name);
    });
    raw.unshift(hello);
    // Node's documentation recommends this for streams from elsewhere.
    this.#server.emit('connection', raw);
  }
}

/** Renegotiation is off, because it would let a client cause a handshake for a few bytes of its own. */
function secure({ cert, key }: TlsFiles['pair']): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

/**
 * The two addresses of a connection. The TLS socket on top of it has the same ones, and no other connection has them.
 */
function nameOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ');
}
