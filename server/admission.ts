/**
 * Limits open connections: in total and per client address, over TCP, WebSocket and HTTP together. Counts and refuses,
 * but closes nothing and knows no sockets. Every connection is counted when it is accepted, under the address of its
 * client, which a trusted proxy may report later. IPv6 addresses are counted by their /64 network.
 */
import type { RefusalReason } from '../shared/reasons.ts';
import { neighbourhoodOf } from './auth/cidrs.ts';

const MAX_GUESTS = 1_000;
/** Descriptors for guests, taken from those that are kept free beside the admitted connections. */
export const DESCRIPTORS_FOR_GUESTS = 16;

interface AdmissionOptions {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

/** The limit that a connection would exceed. */
type ConnectionLimit = Extract<RefusalReason, 'connections' | 'per_address'>;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #byGroup = new Map<string, number>();
  #count = 0;
  /** Maximum connections for which there are file descriptors. */
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

  /** Maximum connections: by the setting, and by the file descriptors. */
  get limit(): number {
    return Math.min(this.#options.maxConnections, this.#room);
  }

  /** Whether connections are refused because file descriptors, not the setting, limit them. */
  get lacksRoom(): boolean {
    return this.#room < this.#options.maxConnections && this.#count >= this.#room;
  }

  /** Maximum connections beyond the limit that are accepted only to send them the refusal. */
  get maxGuests(): number {
    return Math.min(MAX_GUESTS, this.#room + DESCRIPTORS_FOR_GUESTS - this.limit);
  }

  /** Lowers the limit below the setting, because each connection takes a file descriptor. */
  limitTo(room: number): void {
    this.#room = Math.max(1, room);
  }

  /**
   * Counts a connection, which must `leave` later, or returns the limit that it would exceed. A `null` address means
   * that the client is not known yet.
   */
  enter(address: string | null): ConnectionLimit | undefined {
    const refusal = this.refusalFor(address);
    if (refusal !== undefined) return refusal;
    this.#count++;
    if (address !== null) this.addTo(address);
    return undefined;
  }

  /** Removes a closed connection from the counts. */
  leave(address: string | null): void {
    this.#count--;
    if (address !== null) this.takeFrom(address);
  }

  /** Returns what `enter` would return if each limit were higher by `beyond`. Counts nothing. */
  refusalFor(address: string | null, beyond = 0): ConnectionLimit | undefined {
    const { maxPerAddress } = this.#options;
    if (address !== null && this.#ofGroup(this.groupOf(address)) >= maxPerAddress + beyond) return 'per_address';
    return this.#count >= this.limit + beyond ? 'connections' : undefined;
  }

  /** Counts a connection of an unknown client even if the limit is reached. It must `leave(null)`. */
  enterUnnamed(): void {
    this.#count++;
  }

  /** Counts a connection for its address that is already in the total. */
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

  /** Adds an estimate of an address's connections that are not counted one by one. */
  addEstimate(estimate: (group: string) => number): void {
    const before = this.#estimate;
    this.#estimate = (group) => before(group) + estimate(group);
  }

  /** The group under which an address is counted. */
  groupOf(address: string): string {
    // One connection asks several times in a row, so the last group is kept.
    if (address !== this.#lastAddress) {
      this.#lastGroup = neighbourhoodOf(address);
      this.#lastAddress = address;
    }
    return this.#lastGroup;
  }

  #ofGroup(group: string): number {
    return (this.#byGroup.get(group) ?? 0) + this.#estimate(group);
  }
}
