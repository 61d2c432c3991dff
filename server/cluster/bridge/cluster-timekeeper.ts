/**
 * The timekeeper of a node: the clocks of the buckets, which all nodes share. A `since` that another node stated can be
 * answered, unless changes may have been lost after it.
 */
import type { Timekeeper } from '../../fanout/timekeeper.ts';
import type { ClusterNode } from '../node.ts';

/** How far another node may be ahead of this one. A `since` beyond it is not of this cluster. */
const AHEAD_MS = 10_000;

export class ClusterTimekeeper implements Timekeeper {
  readonly #node: () => ClusterNode;
  #sentUpTo = 0;

  constructor(node: () => ClusterNode) {
    this.#node = node;
  }

  /** While the node is cut off, it stays where it was: nothing is reported then. */
  sentUpTo(): number {
    const { at } = this.#node();
    if (at !== undefined && at > this.#sentUpTo) this.#sentUpTo = at;
    return this.#sentUpTo;
  }

  /** Not from before the last erasure, whose user is not known any more. */
  canAnswer(since: number): boolean {
    const { buckets, replicas, members } = this.#node();
    const from = Math.max(buckets.latestEpoch, replicas.erasedAt, members.erasedAt);
    return since >= from && since <= this.sentUpTo() + AHEAD_MS;
  }

  /** Records are kept, and what was lost begins an epoch. */
  mayHaveForgotten(): boolean {
    return false;
  }
}
