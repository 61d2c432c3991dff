/**
 * TLS on connections that were accepted already: the port takes both, and what a connection speaks is known from its first
 * byte. A renewed certificate holds for the handshakes after it; open connections stay. Accepts nothing itself; the
 * listener makes one where the hub has a certificate.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:crypto';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { TlsFiles } from '../../lib/tls-files.ts';

/** A handshake costs 1 to 2 ms with an RSA key of 2048 bits, so no turn of the loop has more of them. */
const HANDSHAKES_A_TURN = 4;

export class TlsDoor {
  readonly #server: Server;
  /** Those whose hello is here, and whose handshake is to begin. */
  readonly #waiting = new Set<() => void>();
  #turn: NodeJS.Immediate | undefined;
  #begunInTurn = 0;
  readonly #shaking = new Map<string, (socket: TLSSocket) => void>();

  constructor(files: TlsFiles, handshakeMs: number) {
    this.#server = createServer({ ...secure(files.pair), handshakeTimeout: handshakeMs }, (socket) => {
      const name = nameOf(socket);
      const onSecure = this.#shaking.get(name);
      this.#shaking.delete(name);
      // Gone in the moment that the handshake was done: its addresses can't be had any more.
      if (onSecure === undefined) socket.destroy();
      else onSecure(socket);
    });
    // The server closes what fails to shake hands, and says so; scanners do that all day.
    this.#server.on('tlsClientError', () => undefined);
    files.onChange((pair) => this.#server.setSecureContext(secure(pair)));
  }

  /**
   * `first` is what the peer sent already: all of its hello, so that the costly part comes in the turn that is meant for
   * it. `onSecure` is called once the handshake is done, and never if it fails.
   */
  secure(raw: Socket, first: Buffer, onSecure: (socket: TLSSocket) => void): void {
    raw.pause();
    const begin = (): void => this.#begin(raw, first, onSecure);
    this.#waiting.add(begin);
    raw.once('close', () => this.#waiting.delete(begin));
    this.#beginSome();
  }

  #beginSome(): void {
    for (const begin of this.#waiting) {
      if (this.#begunInTurn === HANDSHAKES_A_TURN) break;
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

  #begin(raw: Socket, first: Buffer, onSecure: (socket: TLSSocket) => void): void {
    const name = nameOf(raw);
    this.#shaking.set(name, onSecure);
    raw.once('close', () => {
      if (this.#shaking.get(name) === onSecure) this.#shaking.delete(name);
    });
    raw.unshift(first);
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
