/**
 * TLS on connections that were accepted already. It gathers the client's hello, and begins a few handshakes in each turn of
 * the event loop, so that a crowd of clients does not keep everybody else waiting. A renewed certificate holds for the
 * handshakes after it; open connections stay. Accepts nothing itself, and sets no limit on the time until a hello is here.
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
/** The headers of a record and of a handshake message. */
const HEADERS_BYTES = 9;
/** Real ones have 0.2 to 2 KiB. TLS itself judges what is left incomplete here. */
const MAX_HELLO_BYTES = 16_384;

/** Whether a connection that begins with these bytes speaks TLS. */
export function beginsTls(bytes: Buffer): boolean {
  return bytes[0] === TLS_HANDSHAKE;
}

/** Whether all of the hello is there, or something that is none, which TLS refuses at little cost. */
function isWholeHello(bytes: Buffer): boolean {
  if (bytes.length > 0 && !beginsTls(bytes)) return true;
  if (bytes.length < HEADERS_BYTES) return false;
  if (bytes[5] !== CLIENT_HELLO) return true;
  return bytes.length >= Math.min(HEADERS_BYTES + bytes.readUIntBE(6, 3), MAX_HELLO_BYTES);
}

interface TlsDoorOptions {
  /** How long a handshake may take, in ms. */
  readonly handshakeMs: number;
  /** What the connections speak above TLS, by the names of ALPN. Not negotiated unless given. */
  readonly protocols?: string[];
}

export class TlsUpgrade {
  readonly #server: Server;
  readonly #stop: () => void;
  /** Those whose hello is here, and whose handshake is to begin. */
  readonly #waiting = new Set<() => void>();
  #turn: NodeJS.Immediate | undefined;
  #begunInTurn = 0;
  readonly #shaking = new Map<string, (socket: TLSSocket) => void>();

  constructor(files: TlsFiles, { handshakeMs, protocols }: TlsDoorOptions) {
    const options = {
      ...secure(files.pair),
      handshakeTimeout: handshakeMs,
      ...(protocols && { ALPNProtocols: protocols }),
    };
    this.#server = createServer(options, (socket) => {
      const name = nameOf(socket);
      const onSecure = this.#shaking.get(name);
      this.#shaking.delete(name);
      // Gone in the moment that the handshake was done: its addresses can't be had any more.
      if (onSecure === undefined) socket.destroy();
      else onSecure(socket);
    });
    // The server closes what fails to shake hands, and says so; scanners do that all day.
    this.#server.on('tlsClientError', () => undefined);
    this.#stop = files.onChange((pair) => this.#server.setSecureContext(secure(pair)));
  }

  /** Takes over no new certificates any more. */
  stop(): void {
    this.#stop();
  }

  /**
   * Begins the handshake when the whole hello has come. `first` is what the peer has sent already. `onSecure` is called once
   * the handshake is done, and never if it fails.
   */
  secure(raw: Socket, first: Buffer, onSecure: (socket: TLSSocket) => void): void {
    if (isWholeHello(first)) {
      this.#getInLine(raw, first, onSecure);
      return;
    }
    let hello = first;
    const onData = (packet: Buffer): void => {
      hello = Buffer.concat([hello, packet]);
      if (!isWholeHello(hello)) return;
      raw.off('data', onData);
      this.#getInLine(raw, hello, onSecure);
    };
    raw.on('data', onData);
  }

  #getInLine(raw: Socket, hello: Buffer, onSecure: (socket: TLSSocket) => void): void {
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
    // As Node's documentation has it for streams that come from elsewhere.
    this.#server.emit('connection', raw);
  }
}

/** A client may not have a connection's keys made again and again: that is one handshake for a few bytes of its own. */
function secure({ cert, key }: TlsFiles['pair']): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

/** The two ends of a connection: what it shares with the TLS upon it, and with no other connection. */
function nameOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ');
}
