/**
 * Users with sessions of nodes that left or died. While such sessions count, one of the nodes that are left lists and
 * counts them.
 */
import { bucketOf } from './bucket.ts';
import { isInShare } from './dead-nodes.ts';
import type { ClusterNode } from './node.ts';
import type { SharedSession } from './record/record.ts';

const NONE: readonly SharedSession['a'][] = [];

export class Orphans {
  readonly #node: ClusterNode;
  readonly #buckets: number;
  readonly #users = new Set<string>();

  constructor(node: ClusterNode, buckets: number) {
    this.#node = node;
    this.#buckets = buckets;
  }

  has(user: string): boolean {
    return this.#users.has(user);
  }

  /** @returns whether that is new. */
  set(user: string, isOrphan: boolean): boolean {
    if (this.#users.has(user) === isOrphan) return false;
    if (isOrphan) this.#users.add(user);
    else this.#users.delete(user);
    return true;
  }

  /** Whether this node counts the user, of those that hold it. `isHere`: it has sessions of this node. */
  counts(user: string, isHere: boolean): boolean {
    const { members, inc: self, replicas } = this.#node;
    const incs = Object.keys(replicas.get(user)?.record?.parts ?? {}).filter((inc) => !members.hasEnded(inc));
    if (isHere) return incs.every((inc) => inc >= self);
    return incs.length === 0 && this.#users.has(user) && this.#isMine(user);
  }

  /** The adapters of the user's sessions on nodes that left or died, if this node counts them. */
  adaptersOf(user: string): readonly SharedSession['a'][] {
    if (!this.#users.has(user) || !this.#isMine(user)) return NONE;
    const parts = Object.entries(this.#node.replicas.get(user)?.record?.parts ?? {});
    return parts.flatMap(([inc, part]) => (this.#node.members.hasEnded(inc) ? part.map(({ a }) => a) : NONE));
  }

  #isMine(user: string): boolean {
    const live = this.#node.members.live().sort();
    return isInShare(bucketOf(user, this.#buckets), live.indexOf(this.#node.inc), live.length);
  }
}
