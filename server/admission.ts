/**
 * How many connections may be open: in all, and from one address, over TCP, WebSocket and HTTP together. Counts and refuses.
 * Closes nothing and knows no socket. Every connection is counted when it is accepted, by the address of its client, which a
 * trusted proxy may name later. Addresses of IPv6 count by their /64.
 */
import type { RefusalReason } from '../shared/reasons.ts';
import { neighbourhoodOf } from './auth/cidrs.ts';

const MAX_GUESTS = 1_000;
/** Of those that are kept free beside the connections that are let in. */
export const DESCRIPTORS_FOR_GUESTS = 16;

interface AdmissionOptions {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** Why there is no room for a connection. */
type NoRoom = Extract<RefusalReason, 'connections' | 'per_address'>;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #byGroup = new Map<string, number>();
  #count = 0;
  /** Connections for which there are file descriptors. */
  #room = Infinity;
  #lastAddress = '';
  #lastGroup = '';
  #estimate: (group: string) => number = () => 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Connections of every kind. */
  get count(): number {
    return this.#count;
  }

  /** Whether it is for want of file descriptors that no more are let in. */
  get lacksRoom(): boolean {
    return this.#room < this.#options.maxConnections && this.#count >= this.#room;
  }

  /** Connections beyond the limit that may be let in to be told so. */
  get maxGuests(): number {
    return Math.min(MAX_GUESTS, this.#room + DESCRIPTORS_FOR_GUESTS - this.#limit);
  }

  /** Lets in no more than this many, whatever the setting says: each takes a file descriptor. */
  limitTo(room: number): void {
    this.#room = Math.max(1, room);
  }

  /** Counts a connection, which must `leave` later, or says why there is no room. `null`: its client is not known yet. */
  enter(address: string | null): NoRoom | undefined {
    const refusal = this.refusalFor(address);
    if (refusal !== undefined) return refusal;
    this.#count++;
    if (address !== null) this.addTo(address);
    return undefined;
  }

  /** A connection that was counted has closed. */
  leave(address: string | null): void {
    this.#count--;
    if (address !== null) this.takeFrom(address);
  }

  /** What `enter` would say if each limit were higher by `beyond`. Counts nothing. */
  refusalFor(address: string | null, beyond = 0): NoRoom | undefined {
    const { maxPerAddress } = this.#options;
    if (address !== null && this.#ofGroup(this.groupOf(address)) >= maxPerAddress + beyond) return 'per_address';
    return this.#count >= this.#limit + beyond ? 'connections' : undefined;
  }

  /** Counts a connection whose client cannot be told, whether or not there is room. It must `leave(null)`. */
  enterUnnamed(): void {
    this.#count++;
  }

  /** Counts for its address what is counted in all already. */
  addTo(address: string): void {
    const group = this.groupOf(address);
    this.#byGroup.set(group, (this.#byGroup.get(group) ?? 0) + 1);
  }

  takeFrom(address: string): void {
    const group = this.groupOf(address);
    const left = (this.#byGroup.get(group) ?? 0) - 1;
    if (left > 0) this.#byGroup.set(group, left);
    else this.#byGroup.delete(group);
  }

  /** Adds connections of an address that are known only by an estimate. */
  addEstimate(estimate: (group: string) => number): void {
    const before = this.#estimate;
    this.#estimate = (group) => before(group) + estimate(group);
  }

  /** What an address is counted as. */
  groupOf(address: string): string {
    // One connection asks several times in a row.
    if (address !== this.#lastAddress) {
      this.#lastGroup = neighbourhoodOf(address);
      this.#lastAddress = address;
    }
    return this.#lastGroup;
  }

  get #limit(): number {
    return Math.min(this.#options.maxConnections, this.#room);
  }

  #ofGroup(group: string): number {
    return (this.#byGroup.get(group) ?? 0) + this.#estimate(group);
  }
}
