/**
 * Counts the connections of a port on node:net, from their acceptance to their end. A connection beyond a limit is a
 * guest: it may receive one refusal, and the number of guests is limited. Sends no answers itself.
 */
import type { Socket as Wire } from 'node:net';
import { addressText } from '../http-rules.ts';
import type { ConnectionLimit, Service } from '../port.ts';

interface Accepted {
  /** `null`: a trusted proxy has not named its client yet. */
  address: string | null;
  exceededLimit: ConnectionLimit | undefined;
}

export class AcceptedWires {
  readonly #service: Service;
  readonly #accepted = new WeakMap<Wire, Accepted>();
  #guests = 0;

  constructor(service: Service) {
    this.#service = service;
  }

  /** @returns false if the connection was cut, because there is no capacity even for a refusal. */
  accept(wire: Wire): boolean {
    const { connections } = this.#service;
    const peer = addressText(wire.remoteAddress ?? '');
    const address = this.#service.isProxy(peer) ? null : this.#service.clientAddress(peer, undefined);
    const accepted: Accepted = { address, exceededLimit: connections.enter(address) };
    this.#accepted.set(wire, accepted);
    wire.once('close', () => {
      if (accepted.exceededLimit === undefined) connections.leave(accepted.address);
      else this.#guests--;
    });
    return accepted.exceededLimit === undefined || this.#receiveGuest(wire, accepted.exceededLimit);
  }

  /** Transfers the record to the TLS socket that replaces the accepted one. */
  carryOver(wire: Wire, secured: Wire): void {
    const accepted = this.#accepted.get(wire);
    if (accepted !== undefined) this.#accepted.set(secured, accepted);
  }

  /** Why a request or an upgrade must be refused. The first request through a proxy names its client. */
  exceededLimitFor(wire: Wire, address: string): ConnectionLimit | undefined {
    const accepted = this.#accepted.get(wire);
    if (accepted === undefined || accepted.exceededLimit !== undefined || accepted.address !== null)
      return accepted?.exceededLimit;
    const { connections } = this.#service;
    connections.leave(null);
    accepted.exceededLimit = connections.enter(address);
    accepted.address = address;
    if (accepted.exceededLimit !== undefined) this.#guests++;
    return accepted.exceededLimit;
  }

  #receiveGuest(wire: Wire, reason: ConnectionLimit): boolean {
    if (++this.#guests <= this.#service.connections.maxGuests) return true;
    this.#service.onLimitExceeded(reason);
    wire.destroy();
    return false;
  }
}
