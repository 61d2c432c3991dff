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
    const neighbourhood = neighbourhoodOf(address);
    const ofAddress = this.#byAddress.get(neighbourhood) ?? 0;
    if (ofAddress >= maxPerAddress) return 'per_address';
    if (this.#count >= maxConnections) return 'connections';
    this.#count++;
    this.#byAddress.set(neighbourhood, ofAddress + 1);
    return undefined;
  }

  /** One who was let in is gone. */
  leave(address: string): void {
    this.#count--;
    const neighbourhood = neighbourhoodOf(address);
    const left = (this.#byAddress.get(neighbourhood) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(neighbourhood, left);
    else this.#byAddress.delete(neighbourhood);
  }
}
