/**
 * How many may be connected: in all, and from one address, over TCP and WebSocket together. Counts and says no; closes
 * nothing and knows no socket. Called by the adapters with the client's address, which a trusted proxy may have named.
 */
import type { RefusalReason } from '../shared/codes.ts';
import { neighbourhoodOf } from './auth/cidrs.ts';

interface AdmissionOptions {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #byAddress = new Map<string, number>();
  #count = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Lets one in, who must `leave` later, or says why not. */
  enter(address: string): Extract<RefusalReason, 'connections' | 'per_address'> | undefined {
    const { maxConnections, maxPerAddress } = this.#options;
    const block = neighbourhoodOf(address);
    const ofAddress = this.#byAddress.get(block) ?? 0;
    if (ofAddress >= maxPerAddress) return 'per_address';
    if (this.#count >= maxConnections) return 'connections';
    this.#count++;
    this.#byAddress.set(block, ofAddress + 1);
    return undefined;
  }

  /** One who was let in is gone. */
  leave(address: string): void {
    this.#count--;
    const block = neighbourhoodOf(address);
    const left = (this.#byAddress.get(block) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(block, left);
    else this.#byAddress.delete(block);
  }
}
