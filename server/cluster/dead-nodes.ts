/**
 * Removes the sessions of incarnations that left or died: fences each bucket against them, waits for their grace, and
 * schedules writing the records without them. Each node handles a share of the buckets, and later all of them, in case
 * another node died during the cleanup. Repeating it is harmless, because the second run finds nothing to change.
 */
import type { Engine } from './engine.ts';
import type { MemberList } from './members.ts';
import type { Liveness } from './record/next-record.ts';
import type { SharedSession, UserRecord } from './record/record.ts';

/** The grace of sessions whose node died. */
const ORPHAN_GRACE_MS = 3000;
/** How long the buckets of other shares are left to the other nodes. */
const SHARE_MS = 2000;
/** How soon a record is checked again that still holds such sessions after their grace. */
const RECHECK_MS = 500;

export interface DeadNodeCleanupOptions {
  readonly engine: Engine;
  readonly buckets: number;
  readonly members: MemberList;
  readonly graceMs: number;
  /** The grace of all sessions after a start that found no live node. */
  readonly warmMs: number;
  /** Whether this was an earlier incarnation of this node. This node writes its sessions itself. */
  readonly isFormer: (inc: string) => boolean;
  /** Schedules writing the record of the user without the sessions that are over. */
  readonly scheduleWrite: (user: string) => void;
  /** Whether a live node has the target of this user and device in its file, and so polls it now. */
  readonly isPolled: (user: string, device: string) => boolean;
  /** Reads the records of these users in few calls, and keeps them for a while. Undefined: they are known. */
  readonly load: (users: readonly string[]) => Promise<void> | undefined;
  /** Sessions of incarnations that left or died are left in the record of the user for a while, or no longer. */
  readonly onOrphan: (user: string, isOrphan: boolean) => void;
}

interface Cleanup {
  readonly fenced: Set<number>;
  /** Users with sessions of the incarnation, and when to check them again, in milliseconds since it left or died. */
  readonly users: Map<string, number>;
  /** Users that were found, and still are to be checked. */
  readonly found: Set<string>;
  /** Users of this node's share whose record was not seen yet. */
  readonly unknown: Set<string>;
  /** Whether the users of this node's share are found. */
  isShareFenced: boolean;
  isFencing: boolean;
}

export class DeadNodeCleanup implements Liveness {
  readonly #options: DeadNodeCleanupOptions;
  readonly #cleanups = new Map<string, Cleanup>();

  constructor(options: DeadNodeCleanupOptions) {
    this.#options = { ...options, graceMs: Math.max(options.graceMs, ORPHAN_GRACE_MS) };
  }

  /** How long a session still counts after its incarnation left or died. */
  orphanGraceMs(inc: string, { a, d, l }: SharedSession, user: string): number {
    const { members, isPolled } = this.#options;
    const hasLeft = members.get(inc)?.state === 'left';
    // The first polls by the next owner of the target may fail, and that must not end the session.
    return hasLeft || a === 'http' || (a === 'poll' && isPolled(user, d))
      ? Math.max(l, hasLeft ? 0 : this.#nodeGraceMs(inc))
      : this.#nodeGraceMs(inc);
  }

  /**
   * If this node never saw the incarnation renew, all nodes may have died, and this may be the first one to start again.
   * Then sessions get HUB_WARM_MS. A node that saw the incarnation renew ends its sessions earlier.
   */
  #nodeGraceMs(inc: string): number {
    const { members, graceMs, warmMs } = this.#options;
    const knownMs = members.knownUnseenMs(inc);
    return knownMs === undefined ? graceMs : Math.max(graceMs, warmMs - knownMs);
  }

  /** The grace of sessions whose node died. */
  get graceMs(): number {
    return this.#options.graceMs;
  }

  /** Whether sessions of a dead node are still shown that may end soon. Sessions over HTTP may continue for long. */
  get isShowingDead(): boolean {
    const { members, graceMs, warmMs, isFormer } = this.#options;
    if (members.hasJustLost(graceMs + RECHECK_MS, isFormer)) return true;
    const soonMs = Math.max(graceMs, warmMs) + 2 * RECHECK_MS;
    for (const [inc, { users, unknown }] of this.#cleanups) {
      if (members.get(inc)?.state !== 'dead' || isFormer(inc)) continue;
      if (unknown.size > 0) return true;
      for (const dueMs of users.values()) if (dueMs < soonMs) return true;
    }
    return false;
  }

  /** Whether there may be users of this node's share that have sessions of an ended incarnation and are not known yet. */
  get isSearching(): boolean {
    return this.#options.members.ended().some((inc) => {
      const cleanup = this.#cleanups.get(inc);
      return cleanup?.isShareFenced !== true || cleanup.unknown.size > 0;
    });
  }

  hasEnded(inc: string): boolean {
    return this.#options.members.hasEnded(inc);
  }

  silentMs(inc: string): number {
    return this.#options.members.silentMs(inc);
  }

  isOver(inc: string, session: SharedSession, user: string): boolean {
    return this.#options.members.endedMs(inc) >= this.orphanGraceMs(inc, session, user);
  }

  /** `self`: this node's incarnation. */
  tick(self: string): void {
    const { members, scheduleWrite } = this.#options;
    for (const inc of members.ended()) {
      const endedMs = members.endedMs(inc);
      const cleanup = this.#cleanups.get(inc) ?? newCleanup();
      this.#cleanups.set(inc, cleanup);
      if (!cleanup.isFencing) void this.#fence(inc, cleanup, self, endedMs);
      for (const user of cleanup.found) scheduleWrite(user);
      cleanup.found.clear();
      for (const [user, dueMs] of cleanup.users) {
        if (dueMs > endedMs) continue;
        cleanup.users.set(user, endedMs + RECHECK_MS);
        scheduleWrite(user);
      }
    }
    for (const [inc, cleanup] of this.#cleanups) if (!members.hasEnded(inc)) this.#drop(inc, cleanup);
  }

  /** Records that nothing has to be written for the user now. Sessions that are still in the record are checked later. */
  settled(user: string, record: UserRecord | undefined): void {
    let wasOrphan = false;
    let isOrphan = false;
    for (const [inc, { users, unknown }] of this.#cleanups) {
      unknown.delete(user);
      const left = record?.parts?.[inc];
      if (left === undefined) {
        wasOrphan = users.delete(user) || wasOrphan;
        continue;
      }
      isOrphan = true;
      const overMs = Math.min(...left.map((session) => this.orphanGraceMs(inc, session, user)));
      const endedMs = this.#options.members.endedMs(inc);
      users.set(user, overMs > endedMs ? overMs : endedMs + RECHECK_MS);
    }
    if (isOrphan || wasOrphan) this.#options.onOrphan(user, isOrphan);
  }

  /** Starts all cleanups again, because the engine lost operations, and perhaps fences. */
  restart(): void {
    for (const [inc, cleanup] of this.#cleanups) this.#drop(inc, cleanup);
  }

  #drop(inc: string, { users }: Cleanup): void {
    this.#cleanups.delete(inc);
    for (const user of users.keys()) {
      if (![...this.#cleanups.values()].some((other) => other.users.has(user))) this.#options.onOrphan(user, false);
    }
  }

  async #fence(inc: string, cleanup: Cleanup, self: string, endedMs: number): Promise<void> {
    const { engine, buckets, members } = this.#options;
    const live = members.live().sort();
    const share = live.indexOf(self);
    cleanup.isFencing = true;
    const due: number[] = [];
    const isLate = endedMs > this.#options.graceMs + SHARE_MS;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const isMine = isInShare(bucket, share, live.length);
      if ((isMine || isLate) && !cleanup.fenced.has(bucket)) due.push(bucket);
    }
    try {
      const found = await Promise.all(due.map((bucket) => engine.fence(bucket, inc)));
      await this.#options.load(found.flat());
      for (const bucket of due) cleanup.fenced.add(bucket);
      // Checked at once for users that returned to this node, then again when their grace is over.
      for (const [i, users] of found.entries()) {
        for (const user of users) {
          cleanup.found.add(user);
          if (isInShare(due[i] as number, share, live.length)) cleanup.unknown.add(user);
        }
      }
      cleanup.isShareFenced = true;
    } catch {
      // The engine is away; the next tick tries again.
    }
    cleanup.isFencing = false;
  }
}

function newCleanup(): Cleanup {
  return {
    fenced: new Set(),
    users: new Map(),
    found: new Set(),
    unknown: new Set(),
    isShareFenced: false,
    isFencing: false,
  };
}

/** Whether a bucket is in the share of the live node with this number. */
export function isInShare(bucket: number, share: number, nodes: number): boolean {
  return bucket % Math.max(1, nodes) === share;
}
