/**
 * The sessions of incarnations that are gone: fences each bucket against them, waits for their grace, and has their
 * records written without them. Each node does a share of the buckets, and later all of them, in case another reaper
 * died. Doing it twice does no harm: the second one finds nothing to change.
 */
import type { Engine } from './engine.ts';
import type { MemberList } from './members.ts';
import type { Fates } from './record/next-record.ts';
import type { SharedSession, UserRecord } from './record/record.ts';

/** The grace of sessions whose node died. */
const ORPHAN_GRACE_MS = 3000;
/** How long the other buckets are left to the other nodes. */
const SHARE_MS = 2000;
/** The clock of a share is checked this often. */
const AGAIN_MS = 500;

export interface BurialOptions {
  readonly engine: Engine;
  readonly buckets: number;
  readonly members: MemberList;
  readonly graceMs: number;
  /** How long sessions wait for their users after a start that found no live node. */
  readonly warmMs: number;
  /** Whether it was an earlier incarnation of this node, whose sessions this node writes itself. */
  readonly isFormer: (inc: string) => boolean;
  /** Has the record of the user written without the sessions that it should not hold. */
  readonly touch: (user: string) => void;
  /** Whether a live node has the target of this user and device in its file, and so polls it now. */
  readonly isPolled: (user: string, device: string) => boolean;
}

interface Funeral {
  readonly fenced: Set<number>;
  /** Users with sessions of it, and when (by the time since it is gone) to look at them again. */
  readonly users: Map<string, number>;
  isFencing: boolean;
}

export class Burial implements Fates {
  readonly #options: BurialOptions;
  readonly #funerals = new Map<string, Funeral>();

  constructor(options: BurialOptions) {
    this.#options = { ...options, graceMs: Math.max(options.graceMs, ORPHAN_GRACE_MS) };
  }

  /** How long a session of an incarnation that is gone still counts. */
  waitMs(inc: string, { a, d, l }: SharedSession, user: string): number {
    const { members, isPolled } = this.#options;
    const hasLeft = members.get(inc)?.state === 'left';
    // The first polls of the next owner may be misses, which are no end yet.
    return hasLeft || a === 'http' || (a === 'poll' && isPolled(user, d))
      ? Math.max(l, hasLeft ? 0 : this.#graceMs(inc))
      : this.#graceMs(inc);
  }

  /**
   * If this node never heard the incarnation, it may be the first one after all have died. Other nodes that heard it end
   * its sessions earlier.
   */
  #graceMs(inc: string): number {
    const { members, graceMs, warmMs } = this.#options;
    const knownMs = members.knownUnheardMs(inc);
    return knownMs === undefined ? graceMs : Math.max(graceMs, warmMs - knownMs);
  }

  /** Whether sessions of a dead node are still shown that may be over soon. Those over HTTP may go on for long. */
  get isShowingDead(): boolean {
    const { members, graceMs, warmMs, isFormer } = this.#options;
    if (members.hasJustLost(graceMs + AGAIN_MS, isFormer)) return true;
    const soonMs = Math.max(graceMs, warmMs) + 2 * AGAIN_MS;
    for (const [inc, { users }] of this.#funerals) {
      if (members.get(inc)?.state !== 'dead' || isFormer(inc)) continue;
      for (const dueMs of users.values()) if (dueMs < soonMs) return true;
    }
    return false;
  }

  isGone(inc: string): boolean {
    return this.#options.members.isGone(inc);
  }

  silentMs(inc: string): number {
    return this.#options.members.silentMs(inc);
  }

  isOver(inc: string, session: SharedSession, user: string): boolean {
    return this.#options.members.goneMs(inc) >= this.waitMs(inc, session, user);
  }

  /** Fences and reaps what is due. `self`: this node's incarnation. */
  tick(self: string): void {
    const { members, touch } = this.#options;
    for (const inc of members.gone()) {
      const goneMs = members.goneMs(inc);
      const funeral = this.#funerals.get(inc) ?? {
        fenced: new Set(),
        users: new Map<string, number>(),
        isFencing: false,
      };
      this.#funerals.set(inc, funeral);
      if (!funeral.isFencing) void this.#fence(inc, funeral, self, goneMs);
      for (const [user, dueMs] of funeral.users) {
        if (dueMs > goneMs) continue;
        funeral.users.set(user, goneMs + AGAIN_MS);
        touch(user);
      }
    }
    for (const inc of this.#funerals.keys()) if (!members.isGone(inc)) this.#funerals.delete(inc);
  }

  /** A record is as it should be for now. Sessions of the gone that are still in it wait longer. */
  settled(user: string, record: UserRecord | undefined): void {
    for (const [inc, { users }] of this.#funerals) {
      const left = record?.parts?.[inc];
      if (left === undefined) users.delete(user);
      else users.set(user, Math.min(...left.map((session) => this.waitMs(inc, session, user))) + AGAIN_MS);
    }
  }

  /** Everything has to be done once more: the engine lost operations, and perhaps fences. */
  restart(): void {
    this.#funerals.clear();
  }

  async #fence(inc: string, funeral: Funeral, self: string, goneMs: number): Promise<void> {
    const { engine, buckets, members } = this.#options;
    const live = members.live().sort();
    const share = live.indexOf(self);
    funeral.isFencing = true;
    const due: number[] = [];
    for (let bucket = 0; bucket < buckets; bucket++) {
      const isMine = bucket % Math.max(1, live.length) === share || goneMs > this.#options.graceMs + SHARE_MS;
      if (isMine && !funeral.fenced.has(bucket)) due.push(bucket);
    }
    try {
      const found = await Promise.all(due.map((bucket) => engine.fence(bucket, inc)));
      for (const bucket of due) funeral.fenced.add(bucket);
      // At once, for those who came back to this node; then when their grace is over.
      for (const user of found.flat()) funeral.users.set(user, 0);
    } catch {
      // The engine is away; the next tick tries again.
    }
    funeral.isFencing = false;
  }
}
