/**
 * The timekeeper of a node: the clocks of the buckets, which all nodes share. A `since` that another node stated can be
 * answered, unless changes may have been lost after it.
 */
import type { Timekeeper } from '../../fanout/timekeeper.ts';
import { ERASED_FOR_MS } from '../engine.ts';
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

  /** Not from before the last erasure that this node has seen, nor if one from then may be forgotten. */
  canAnswer(since: number): boolean {
    const { buckets, replicas } = this.#node();
    const upTo = this.sentUpTo();
    const from = Math.max(buckets.latestEpoch, replicas.erasedAt, upTo - ERASED_FOR_MS + AHEAD_MS);
    return since >= from && since <= upTo + AHEAD_MS;
  }

  /** Records are kept, and what was lost begins an epoch. */
  mayHaveForgotten(): boolean {
    return false;
  }
}
