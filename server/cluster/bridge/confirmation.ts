/** Has every live node confirm that it has applied a change of a record. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Calls } from '../calls.ts';
import type { ClusterNode } from '../node.ts';

interface ConfirmationOptions {
  readonly node: ClusterNode;
  readonly calls: Calls;
  readonly nowMs: () => number;
  /** The kind of the question. */
  readonly kind: string;
  /** Applies the operation of this number, which the node has received. Rejects if that fails. */
  readonly apply: (user: string, n: number) => Promise<void>;
}

/** How long a change may take to be confirmed by all nodes. It is applied later, too. */
export const CONFIRMED_WITHIN_MS = 10_000;
const ASKED_FOR_MS = 2000;
const LOOK_EVERY_MS = 20;
const asked = z.object({ user: z.string().max(128), n: z.number() });

export class Confirmation {
  readonly #options: ConfirmationOptions;

  constructor(options: ConfirmationOptions) {
    this.#options = options;
    options.calls.on(options.kind, (payload) => this.#answer(payload));
  }

  /**
   * Resolves once all live nodes have applied the operation of this number. Rejects with `StorageUnavailable` if that
   * takes until `endsAtMs`, or if it fails here.
   */
  async ofAll(user: string, n: number, endsAtMs: number): Promise<void> {
    const { node, calls, nowMs, kind } = this.#options;
    await this.#apply(user, n, endsAtMs);
    const confirmed = new Set([node.inc]);
    for (;;) {
      const missing = node.members.live().filter((inc) => !confirmed.has(inc));
      if (missing.length === 0) return;
      if (nowMs() > endsAtMs) throw unconfirmed();
      const answers = await calls.call(missing, kind, { user, n }, ASKED_FOR_MS);
      for (const inc of answers.keys()) confirmed.add(inc);
      if (answers.size === 0) await delay(LOOK_EVERY_MS); // a node that fails answers at once
    }
  }

  /** Must not answer before this node has applied the operation. */
  async #answer(payload: unknown): Promise<boolean> {
    const { user, n } = asked.parse(payload);
    await this.#apply(user, n, this.#options.nowMs() + CONFIRMED_WITHIN_MS);
    return true;
  }

  async #apply(user: string, n: number, endsAtMs: number): Promise<void> {
    const { node, nowMs, apply } = this.#options;
    const hasReceived = (): boolean => node.state === 'up' && node.buckets.chainOf(user).clock >= n;
    while (!hasReceived()) {
      if (nowMs() > endsAtMs) throw unconfirmed();
      await delay(LOOK_EVERY_MS);
    }
    await apply(user, n);
  }
}

export function unconfirmed(): StorageUnavailable {
  return new StorageUnavailable('has not confirmed it on all hubs', new Error('not confirmed'));
}
