/**
 * TLS on connections that were accepted already: the port takes both, and what a connection speaks is known from its first
 * byte. A renewed certificate holds for the handshakes after it; open connections stay. Accepts nothing itself; the
 * listener makes one where the hub has a certificate.
 */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { TlsFiles } from '../../lib/tls-files.ts';

export class TlsDoor {
  readonly #server: Server;
  readonly #shaking = new Map<string, (socket: TLSSocket) => void>();

  constructor(files: TlsFiles, handshakeMs: number) {
    const { cert, key } = files.pair;
    this.#server = createServer({ cert, key, handshakeTimeout: handshakeMs }, (socket) => {
      const name = nameOf(socket);
      const onSecure = this.#shaking.get(name);
      this.#shaking.delete(name);
      // Gone in the moment that the handshake was done: its addresses can't be had any more.
      if (onSecure === undefined) socket.destroy();
      else onSecure(socket);
    });
    // The server closes what fails to shake hands, and says so; scanners do that all day.
    this.#server.on('tlsClientError', () => undefined);
    files.onChange((pair) => this.#server.setSecureContext({ cert: pair.cert, key: pair.key }));
  }

  /** `first` is what the peer sent already. `onSecure` is called once the handshake is done, and never if it fails. */
  secure(raw: Socket, first: Buffer, onSecure: (socket: TLSSocket) => void): void {
    const name = nameOf(raw);
    this.#shaking.set(name, onSecure);
    raw.once('close', () => {
      if (this.#shaking.get(name) === onSecure) this.#shaking.delete(name);
    });
    raw.pause();
    raw.unshift(first);
    // As Node's documentation has it for streams that come from elsewhere.
    this.#server.emit('connection', raw);
  }
}

/** The two ends of a connection: what it shares with the TLS upon it, and with no other connection. */
function nameOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ');
}
