/**
 * Counts the connections of a port on node:net, from their acceptance to their end. A connection beyond a limit is a
 * guest: it may receive one refusal, and the number of guests is limited. Sends no answers itself.
 */
import type { Socket as Wire } from 'node:net';
import { addressText } from '../http-rules.ts';
import type { NoRoom, Service } from '../port.ts';

interface Accepted {
  /** `null`: a trusted proxy has not named its client yet. */
  address: string | null;
  noRoom: NoRoom | undefined;
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
    const accepted: Accepted = { address, noRoom: connections.enter(address) };
    this.#accepted.set(wire, accepted);
    wire.once('close', () => {
      if (accepted.noRoom === undefined) connections.leave(accepted.address);
      else this.#guests--;
    });
    return accepted.noRoom === undefined || this.#receiveGuest(wire, accepted.noRoom);
  }

  /** Transfers the record to the TLS socket that replaces the accepted one. */
  carryOver(wire: Wire, secured: Wire): void {
    const accepted = this.#accepted.get(wire);
    if (accepted !== undefined) this.#accepted.set(secured, accepted);
  }

  /** Why a request or an upgrade must be refused. The first request through a proxy names its client. */
  noRoomFor(wire: Wire, address: string): NoRoom | undefined {
    const accepted = this.#accepted.get(wire);
    if (accepted === undefined || accepted.noRoom !== undefined || accepted.address !== null) return accepted?.noRoom;
    const { connections } = this.#service;
    connections.leave(null);
    accepted.noRoom = connections.enter(address);
    accepted.address = address;
    if (accepted.noRoom !== undefined) this.#guests++;
    return accepted.noRoom;
  }

  #receiveGuest(wire: Wire, reason: NoRoom): boolean {
    if (++this.#guests <= this.#service.connections.maxGuests) return true;
    this.#service.onNoRoom(reason);
    wire.destroy();
    return false;
  }
}
