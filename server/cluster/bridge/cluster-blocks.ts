/**
 * Blocks in a cluster: they are kept in the record of the user who blocks. A change is answered once every live node has
 * applied it and notified the viewers that are connected to it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Calls } from '../calls.ts';
import type { UserRecord } from '../record/record.ts';
import { Confirmation, CONFIRMED_WITHIN_MS, unconfirmed } from './confirmation.ts';
import type { HubCluster } from './hub-cluster.ts';

export interface ClusterBlocksOptions {
  readonly cluster: HubCluster;
  readonly calls: Calls;
  readonly nowMs: () => number;
  /** Stores the blocks of a record where they outlive the store of the cluster. Null if nothing does. */
  readonly keep: ((user: string, record: UserRecord) => Promise<void>) | null;
  /** A user may block as many others as it may have friends. */
  readonly limits: { readonly maxFriends: number };
}

const LOOK_EVERY_MS = 20;
/** Each change of the user carries its blocks, and records are bounded. Room for 3000 blocks of ids of 20 characters. */
const MOST_BLOCKS_CHARS = 200_000;
/** What a record holds of a block besides the id. */
const BLOCK_CHARS = 46;

export class ClusterBlocks {
  readonly #options: ClusterBlocksOptions;
  readonly #confirmation: Confirmation;

  constructor(options: ClusterBlocksOptions) {
    this.#options = options;
    const { cluster } = options;
    const apply = (): Promise<void> => cluster.adoption.whenNotified();
    this.#confirmation = new Confirmation({ ...options, node: cluster.node, kind: 'applied', apply });
  }

  /**
   * Hides `user` from `other`, as if the user had left now. Resolves to false, and changes nothing, if the user has
   * reached the maximum number of blocks, or their maximum length. Rejects with `StorageUnavailable` if not all nodes
   * confirm it in time; it is still applied then.
   */
  async block(user: string, other: string): Promise<boolean> {
    await this.#options.cluster.peers.refresh([user]);
    const hidden = this.#recordOf(user)?.hidden;
    const viewers = [...(hidden?.keys() ?? []), ...this.#options.cluster.blockEdits.of(user).keys()];
    const isFull = viewers.length >= this.#options.limits.maxFriends || lengthOf(viewers) > MOST_BLOCKS_CHARS;
    if (hidden?.has(other) !== true && isFull) return false;
    await this.#set(user, other, true);
    return true;
  }

  /** Lifts a block. Rejects as `block` does. */
  async unblock(user: string, other: string): Promise<void> {
    await this.#options.cluster.peers.refresh([user]);
    await this.#set(user, other, false);
  }

  async #set(user: string, other: string, isBlocked: boolean): Promise<void> {
    const { cluster, nowMs } = this.#options;
    const endsAtMs = nowMs() + CONFIRMED_WITHIN_MS;
    cluster.blockEdits.add(user, other, isBlocked);
    cluster.scheduleWriteById(user);
    const isWritten = (): boolean => (this.#recordOf(user)?.hidden.has(other) ?? false) === isBlocked;
    while (!isWritten()) {
      if (nowMs() > endsAtMs) throw unconfirmed();
      await delay(LOOK_EVERY_MS);
    }
    const record = this.#recordOf(user);
    if (record !== undefined) await this.#options.keep?.(user, record);
    await this.#confirmation.ofAll(user, record?.n ?? 0, endsAtMs);
  }

  #recordOf(user: string) {
    return this.#options.cluster.node.replicas.get(user)?.record;
  }
}

function lengthOf(viewers: readonly string[]): number {
  return JSON.stringify(viewers).length + BLOCK_CHARS * viewers.length;
}
