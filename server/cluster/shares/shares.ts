/**
 * Shares work that each node could do, such as polling a target. Each node offers the items that it knows, and one of the
 * live nodes that offer an item owns it. A node sends its offers to the others until each has confirmed. Nothing is
 * stored. While the store is away, owners do not change. Two nodes may own an item for about a second, until they agree on
 * which nodes are alive.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Calls } from '../calls.ts';
import { SUSPECT_MS, type MemberList } from '../members.ts';
import { chooseOwner, DIGEST_CHARS, digestOf } from './rendezvous.ts';

/** Items of one message: 240,000 bytes of at most 262,144. */
const ITEMS_PER_MAIL = 30_000;
const CONFIRMED_WITHIN_MS = 2000;
/** How long a new node waits for the offers of the others before it takes its share without them. */
const OFFERS_WITHIN_MS = 3000;
/** Maximum senders whose offers are kept. More than any cluster has nodes; limits what a foreign program can store. */
const MAX_SENDERS = 1000;

const offersForm = z.object({
  /** Identifies this list of offers. */
  list: z.string().max(64),
  part: z.int().min(0).max(1000),
  parts: z.int().min(1).max(1000),
  /** Digests, one after the other. */
  items: z.string().max(ITEMS_PER_MAIL * DIGEST_CHARS),
});

export interface SharesOptions {
  readonly calls: Calls;
  readonly members: Pick<MemberList, 'live' | 'silent' | 'hasEnded'>;
  readonly inc: () => string;
  /** Whether the store answers, so that members are known and messages arrive. */
  readonly isUp: () => boolean;
  /** A clock in milliseconds that never goes back. */
  readonly nowMs: () => number;
}

interface PeerOffers {
  readonly list: string;
  readonly items: ReadonlySet<string>;
}

interface Arriving {
  readonly list: string;
  readonly parts: Map<number, string>;
}

export class Shares {
  /** Called if items may have another owner. */
  readonly onChange: (() => void)[] = [];
  readonly #options: SharesOptions;
  /** The digests of the items of each group. */
  readonly #groups = new Map<string, ReadonlyMap<string, string>>();
  #items: ReadonlySet<string> = new Set();
  #list = '-';
  readonly #others = new Map<string, PeerOffers>();
  readonly #arriving = new Map<string, Arriving>();
  /** Nodes that have confirmed the present list of this node. */
  #confirmed = new Set<string>();
  #confirmedAs = '';
  #isSending = false;
  /** Live nodes, without suspected ones. */
  #candidates: readonly string[] = [];
  #upSinceMs: number | undefined;
  #isReady = false;
  #known = '';

  constructor(options: SharesOptions) {
    this.#options = options;
    options.calls.on('offers', (payload, from) => this.#receive(payload, from));
  }

  /** Replaces the items of a group that this node offers. Items of different groups are never equal. */
  offer(group: string, items: Iterable<string>): void {
    this.#groups.set(group, new Map(Array.from(items, (item) => [item, digestOf(`${group} ${item}`)])));
    this.#items = new Set([...this.#groups.values()].flatMap((digests) => [...digests.values()]));
    this.#list = createHash('sha1')
      .update([...this.#items].sort().join(''))
      .digest('base64url');
    this.#confirmed = new Set();
    this.#notify();
  }

  /** Whether this node owns an item that it offers. */
  isMine(group: string, item: string): boolean {
    if (!this.#isReady) return false;
    return this.owner(group, item) === this.#options.inc();
  }

  /** The owner of an item, chosen from the nodes that offer it. Undefined if none does. */
  owner(group: string, item: string): string | undefined {
    const digest = this.#digestOf(group, item);
    const inc = this.#options.inc();
    const candidates = this.#candidates.filter((other) => other !== inc && this.#others.get(other)?.items.has(digest));
    if (this.#items.has(digest)) candidates.push(inc);
    return chooseOwner(digest, candidates);
  }

  /** Whether another live node offers the item. */
  isOfferedElsewhere(group: string, item: string): boolean {
    const digest = this.#digestOf(group, item);
    return this.#candidates.some((inc) => inc !== this.#options.inc() && this.#others.get(inc)?.items.has(digest));
  }

  /** Must be called about ten times a second. */
  tick(): void {
    const { members, inc, isUp, nowMs } = this.#options;
    this.#upSinceMs ??= nowMs();
    if (!isUp()) {
      // If the store is away from the start, this node works alone.
      if (!this.#isReady && nowMs() - this.#upSinceMs >= OFFERS_WITHIN_MS) this.#becomeReady();
      return;
    }
    const silent = new Set(members.silent(SUSPECT_MS).map((member) => member.inc));
    const live = members.live().sort();
    this.#candidates = live.filter((other) => !silent.has(other));
    for (const other of this.#others.keys()) if (members.hasEnded(other)) this.#forget(other);
    if (!this.#isReady) {
      const isComplete = live.every((other) => other === inc() || this.#others.has(other));
      if (isComplete || nowMs() - this.#upSinceMs >= OFFERS_WITHIN_MS) this.#becomeReady();
    }
    this.#notify();
    void this.#send(live.filter((other) => other !== inc()));
  }

  #digestOf(group: string, item: string): string {
    return this.#groups.get(group)?.get(item) ?? digestOf(`${group} ${item}`);
  }

  #becomeReady(): void {
    this.#isReady = true;
    this.#known = '';
    this.#notify();
  }

  #forget(inc: string): void {
    this.#others.delete(inc);
    this.#arriving.delete(inc);
  }

  #notify(): void {
    const lists = this.#candidates.map((inc) => `${inc} ${this.#others.get(inc)?.list ?? '-'}`);
    const known = [this.#options.inc(), this.#list, ...lists].join();
    if (known === this.#known || !this.#isReady) return;
    this.#known = known;
    for (const listener of this.onChange) listener();
  }

  /** Sends the present list to the nodes that have not confirmed it. A later tick sends lost messages again. */
  async #send(others: readonly string[]): Promise<void> {
    const { calls, inc } = this.#options;
    if (this.#confirmedAs !== inc()) this.#confirmed = new Set();
    this.#confirmedAs = inc();
    const missing = others.filter((other) => !this.#confirmed.has(other));
    if (missing.length === 0 || this.#isSending) return;
    this.#isSending = true;
    const confirmed = this.#confirmed;
    const items = [...this.#items];
    const list = this.#list;
    const parts = Math.max(1, Math.ceil(items.length / ITEMS_PER_MAIL));
    let left = missing;
    for (let part = 0; part < parts && left.length > 0; part++) {
      const text = items.slice(part * ITEMS_PER_MAIL, (part + 1) * ITEMS_PER_MAIL).join('');
      const payload: z.infer<typeof offersForm> = { list, part, parts, items: text };
      const answers = await calls.call(left, 'offers', payload, CONFIRMED_WITHIN_MS);
      left = left.filter((other) => answers.has(other));
    }
    for (const other of left) confirmed.add(other);
    this.#isSending = false;
  }

  #receive(payload: unknown, from: string): boolean {
    const { list, part, parts, items } = offersForm.parse(payload);
    if (from === this.#options.inc() || this.#options.members.hasEnded(from)) return true;
    if (!this.#others.has(from) && this.#others.size + this.#arriving.size >= MAX_SENDERS) return true;
    let arriving = this.#arriving.get(from);
    if (arriving?.list !== list) this.#arriving.set(from, (arriving = { list, parts: new Map() }));
    arriving.parts.set(part, items);
    if (arriving.parts.size < parts) return true;
    const all = [...arriving.parts.values()].join('');
    this.#arriving.delete(from);
    this.#others.set(from, { list, items: new Set(all.match(new RegExp(`.{${DIGEST_CHARS}}`, 'g'))) });
    this.#notify();
    return true;
  }
}
