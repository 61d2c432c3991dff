/**
 * Counts the connections of a port on uWebSockets.js, which reports that a connection has closed, but not which one.
 * The total is exact. For each address, WebSockets and requests under way are exact. Connections that wait for a
 * request are counted for their address for 12 to 24 s: by then each has made a request or has been cut by
 * uWebSockets.js. This estimate never exceeds the number of open connections.
 */
import type { ConnectionLimit, Service } from '../port.ts';

const GENERATION_MS = 12_000;

/** A request under way. */
export interface CountedRequest {
  /** Set if its connection exceeds a limit. */
  readonly exceededLimit: ConnectionLimit | undefined;
  /**
   * Only the first call counts: an answer may end, and its connection afterwards, before it is read. `waitsOn`: the
   * connection stays open for another request.
   */
  end(waitsOn: boolean): void;
}

const REFUSED_END = (): void => undefined;

export class UwsConnections {
  readonly #service: Service;
  readonly #now: () => number;
  /** Connections that are not WebSockets. */
  #open = 0;
  /** Those that were refused and are still to close. They count for no limit any more. */
  #refused = 0;
  // Connections that wait for a request, by address, in two generations. The older one is forgotten as a whole.
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #turnsAt: number;

  /** `now`: monotonic milliseconds. */
  constructor(service: Service, now: () => number) {
    this.#service = service;
    this.#now = now;
    this.#turnsAt = now() + GENERATION_MS;
    service.connections.addEstimate((group) => this.#waitingOf(group));
  }

  /** @returns whether the connection may stay, if only to be refused. `closed` must follow in any case. */
  opened(peer: string): boolean {
    const { connections } = this.#service;
    const address = this.#service.isProxy(peer) ? null : this.#service.clientAddress(peer, undefined);
    const exceededLimit = connections.refusalFor(address, connections.maxGuests);
    this.#open++;
    connections.enterUnnamed();
    if (exceededLimit !== undefined) {
      this.#service.onLimitExceeded(exceededLimit);
      return false;
    }
    if (address !== null) this.#waits(address);
    return true;
  }

  closed(): void {
    if (this.#refused === 0) {
      this.#left();
      return;
    }
    this.#refused--;
    this.#open--;
  }

  /** Counts a request of that client. */
  beginRequest(address: string): CountedRequest {
    const { connections } = this.#service;
    this.#waitsNoMore(address);
    const exceededLimit = connections.refusalFor(address);
    if (exceededLimit === 'per_address') return { exceededLimit, end: REFUSED_END };
    // This connection is in the total already. Which one exceeds the total is unknown, so the next that asks is refused.
    if (connections.refusalFor(null, 1) === 'connections') {
      this.#refused++;
      connections.leave(null);
      return { exceededLimit: 'connections', end: REFUSED_END };
    }
    connections.addTo(address);
    let isOver = false;
    return {
      exceededLimit: undefined,
      end: (waitsOn) => {
        if (isOver) return;
        isOver = true;
        connections.takeFrom(address);
        if (waitsOn) this.#waits(address);
      },
    };
  }

  /**
   * Counts a connection that becomes a WebSocket, until `leave`. @returns the limit that it exceeds instead, if there
   * is one.
   */
  upgrades(address: string): ConnectionLimit | undefined {
    this.#waitsNoMore(address);
    this.#left();
    const exceededLimit = this.#service.connections.enter(address);
    if (exceededLimit !== undefined) this.#service.onLimitExceeded(exceededLimit);
    return exceededLimit;
  }

  #left(): void {
    this.#open--;
    this.#service.connections.leave(null);
  }

  #waits(address: string): void {
    this.#turn();
    const group = this.#service.connections.groupOf(address);
    this.#young.set(group, (this.#young.get(group) ?? 0) + 1);
  }

  #waitsNoMore(address: string): void {
    this.#turn();
    const group = this.#service.connections.groupOf(address);
    const from = this.#old.has(group) ? this.#old : this.#young;
    const left = (from.get(group) ?? 0) - 1;
    if (left > 0) from.set(group, left);
    else from.delete(group);
  }

  #waitingOf(group: string): number {
    this.#turn();
    return Math.min((this.#young.get(group) ?? 0) + (this.#old.get(group) ?? 0), this.#open);
  }

  #turn(): void {
    const now = this.#now();
    if (now < this.#turnsAt) return;
    this.#old = now < this.#turnsAt + GENERATION_MS ? this.#young : new Map<string, number>();
    this.#young = new Map();
    this.#turnsAt = now + GENERATION_MS;
  }
}
