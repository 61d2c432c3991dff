/**
 * Decides which incarnations are alive, by the counter that each of them raises at every renewal. Measures by an engine
 * clock that stands still while the engine does not answer and while this node is stopped, so that neither makes a node
 * seem dead. Pure.
 */
import type { Member, Members } from './engine.ts';

/** Silence after which a node is suspected dead, and views may be behind. */
export const SUSPECT_MS = 3000;
/** Silence after which this node reads the members more often. They renew twice a second. */
const LATE_MS = 1200;
/** Maximum progress of the engine clock by one answer. */
const MAX_STEP_MS = 1500;
/** How long no node is declared dead after replicas were lost. Until then, a master that is cut off has been demoted. */
const REPLICA_DOUBT_MS = 30_000;
/** How long removals wait after an outage for nodes that this one never saw renew, and for slow nodes. */
const WRITES_WITHIN_MS = 2500;
export const SLOW_WRITES_WITHIN_MS = 10_000;
/** If this node learns of a death within this time after the end of the lease, it counts from the end of the lease. */
const LEARNED_WITHIN_MS = 1000;

interface Known extends Member {
  /** Engine clock. */
  readonly renewedAt: number;
  /** A time at which it was certainly alive, because it renewed later. By this node's clock. */
  readonly aliveAtMs: number;
  readonly endedAt: number;
  readonly firstAt: number;
  /** Whether this node has seen it renew, and so knows since when it is silent. */
  readonly isSeenAlive: boolean;
}

export class MemberList {
  readonly #leaseMs: number;
  readonly #known = new Map<string, Known>();
  #engineMs = 0;
  #answeredAtMs: number | null = null;
  /** When this node sent the last request that was answered, and the one before. */
  #askedAtMs = -Infinity;
  #askedBeforeMs = -Infinity;
  /** See `Members`. */
  erasedAt = 0;
  #replicas = 0;
  #replicasLostAt: number | null = null;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Applies an answer of the engine. `askedAtMs`: when it was requested. */
  update({ members, replicas = 0, erasedAt }: Members, askedAtMs: number, nowMs: number): void {
    this.erasedAt = Math.max(this.erasedAt, erasedAt);
    const passedMs = this.#answeredAtMs === null ? 0 : Math.max(0, nowMs - this.#answeredAtMs);
    this.#engineMs += Math.min(passedMs, MAX_STEP_MS);
    this.#answeredAtMs = nowMs;
    this.#askedBeforeMs = this.#askedAtMs;
    this.#askedAtMs = askedAtMs;
    for (const member of members) this.#note(member);
    // A flush deletes all members, but live ones appear again at their next renewal.
    const named = new Set(members.map(({ inc }) => inc));
    for (const [inc, { state }] of this.#known) if (state !== 'live' && !named.has(inc)) this.#known.delete(inc);
    if (replicas >= this.#replicas) this.#replicasLostAt = null;
    else this.#replicasLostAt ??= this.#engineMs;
    // Lost replicas are no sign of a partition if all members continue to renew.
    const isSettled = this.#replicasLostAt === null || this.#engineMs - this.#replicasLostAt > 2 * SUSPECT_MS;
    if (isSettled && this.silent(SUSPECT_MS).length === 0) {
      this.#replicas = replicas;
      this.#replicasLostAt = null;
    }
  }

  /** Number of members by state. `silent`: live ones that may be dead. They do not count as `live`. */
  counts(): Record<'live' | 'silent' | 'left' | 'dead', number> {
    const counts = { live: 0, silent: this.silent(SUSPECT_MS).length, left: 0, dead: 0 };
    for (const { state } of this.#known.values()) counts[state]++;
    return { ...counts, live: counts.live - counts.silent };
  }

  /** The HTTP URLs of the other live members. */
  urls(self: string): string[] {
    const others = [...this.#known.values()].filter(({ inc, state }) => state === 'live' && inc !== self);
    return others.map(({ facts }) => facts.slice(facts.indexOf(' ') + 1)).filter((url) => /^https?:/.test(url));
  }

  /** The counters of live members. */
  beats(): ReadonlyMap<string, number> {
    return new Map(this.live().map((inc) => [inc, this.#known.get(inc)?.beat ?? 0]));
  }

  /**
   * Whether all live members but `self` have renewed after `since` and have written all their sessions to this history.
   * `waitedMs`: how long this node has waited. Members that are silent for too long no longer count, and at last none does.
   */
  haveWritten(history: string, since: ReadonlyMap<string, number>, self: string, waitedMs: number): boolean {
    if (waitedMs > SLOW_WRITES_WITHIN_MS) return true;
    return this.live().every((inc) => {
      const { facts = '', beat = 0, isSeenAlive = false } = this.#known.get(inc) ?? {};
      // A member that was seen alive may take until the end of its lease to reach the engine again.
      const patienceMs = isSeenAlive ? this.#leaseMs : WRITES_WITHIN_MS;
      if (inc === self || (waitedMs > WRITES_WITHIN_MS && this.silentMs(inc) > patienceMs)) return true;
      return facts.startsWith(`${history} `) && beat > (since.get(inc) ?? -1);
    });
  }

  live(): string[] {
    return [...this.#known.values()].filter(({ state }) => state === 'live').map(({ inc }) => inc);
  }

  ended(): string[] {
    return [...this.#known.values()].filter(({ state }) => state !== 'live').map(({ inc }) => inc);
  }

  get(inc: string): Member | undefined {
    return this.#known.get(inc);
  }

  hasEnded(inc: string): boolean {
    return (this.#known.get(inc)?.state ?? 'live') !== 'live';
  }

  /** The latest time at which all live members certainly were alive, by this node's clock. */
  get allAliveAtMs(): number {
    return Math.min(this.#askedAtMs, ...this.live().map((inc) => this.#known.get(inc)?.aliveAtMs ?? -Infinity));
  }

  silentMs(inc: string): number {
    return this.#engineMs - (this.#known.get(inc)?.renewedAt ?? this.#engineMs);
  }

  /** How long ago the member left or died. */
  endedMs(inc: string): number {
    return this.hasEnded(inc) ? this.#engineMs - (this.#known.get(inc)?.endedAt ?? this.#engineMs) : 0;
  }

  /** Whether a member that was seen alive died less than `ms` ago. `isFormer`: earlier incarnations of this node. */
  hasJustLost(ms: number, isFormer: (inc: string) => boolean): boolean {
    return [...this.#known.values()].some(
      ({ inc, state, isSeenAlive }) => state === 'dead' && isSeenAlive && !isFormer(inc) && this.endedMs(inc) < ms,
    );
  }

  /** How long a member was known before it left or died. Undefined if this node saw it renew. */
  knownUnseenMs(inc: string): number | undefined {
    const known = this.#known.get(inc);
    return known === undefined || known.isSeenAlive ? undefined : known.endedAt - known.firstAt;
  }

  /** Live members that have been silent for that long. */
  silent(forMs: number): Member[] {
    return [...this.#known.values()].filter(({ inc, state }) => state === 'live' && this.silentMs(inc) >= forMs);
  }

  /** Whether a member may be dead, or died so recently that its sessions may still be shown. */
  needsFastRenewal(graceMs: number): boolean {
    return this.silent(LATE_MS).length > 0 || this.ended().some((inc) => this.endedMs(inc) < graceMs + LATE_MS);
  }

  /** Members to declare dead now. Waits longer if this node may be cut off together with an old master. */
  due(): Member[] {
    const isMostSilent = this.silent(SUSPECT_MS).length * 2 > this.live().length;
    const lostFor = this.#replicasLostAt === null ? Infinity : this.#engineMs - this.#replicasLostAt;
    if (lostFor < REPLICA_DOUBT_MS) return [];
    return this.silent(isMostSilent ? 2 * this.#leaseMs : this.#leaseMs);
  }

  #note(member: Member): void {
    const known = this.#known.get(member.inc);
    // After a flush, a member that left or died stays so until its counter grows.
    const hasRenewed = known?.beat !== member.beat;
    this.#known.set(member.inc, {
      ...member,
      renewedAt: hasRenewed ? this.#engineMs : known.renewedAt,
      // A renewal that an answer shows came after the answer before it.
      aliveAtMs: hasRenewed ? this.#askedBeforeMs : known.aliveAtMs,
      endedAt: this.#endedAt(member, known),
      firstAt: known?.firstAt ?? this.#engineMs,
      isSeenAlive: known !== undefined && (known.isSeenAlive || (hasRenewed && member.state === 'live')),
    });
  }

  /**
   * A death is noticed up to half a second after the end of the lease. The grace of its sessions begins at the end of
   * the lease, so that none is shown for longer than lease and grace together.
   */
  #endedAt({ inc, beat, state }: Member, known: Known | undefined): number {
    if (known !== undefined && state !== 'live' && this.hasEnded(inc)) return known.endedAt;
    if (known?.beat !== beat || state !== 'dead') return this.#engineMs;
    const overMs = this.#engineMs - known.renewedAt - this.#leaseMs;
    return overMs > 0 && overMs < LEARNED_WITHIN_MS ? this.#engineMs - overMs : this.#engineMs;
  }
}
