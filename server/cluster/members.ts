/**
 * Which incarnations are alive, from the counters that each of them raises. Judged by the engine clock: it stands still
 * while the engine does not answer and while this node itself is stopped, so neither makes anybody seem dead. Pure.
 */
import type { Member, Members } from './engine.ts';

/** Silence after which a node is in doubt, and views may be behind. */
export const SUSPECT_MS = 3000;
/** Silence after which the members are looked at more often: they renew twice a second. */
const UNEASY_MS = 1200;
/** The longest time that one answer moves the engine clock. */
const MOST_PER_ANSWER_MS = 1500;
/** How long lost replicas hold off every burial: until then a master that is cut off has been demoted. */
const REPLICA_DOUBT_MS = 30_000;
/** How long what is gone is not written after an outage: because of nodes that this one never heard, and of slow ones. */
const ADDS_WITHIN_MS = 2500;
export const SLOW_ADDS_WITHIN_MS = 10_000;

interface Known extends Member {
  /** Engine clock. */
  readonly heardAt: number;
  /** A moment at which it was certainly alive, by this node's clock: it renewed after that. */
  readonly aliveAtMs: number;
  readonly goneAt: number;
  readonly firstAt: number;
  /** Whether this node has heard it renew, and so knows when it fell silent. */
  readonly isWitnessed: boolean;
}

export class MemberList {
  readonly #leaseMs: number;
  readonly #known = new Map<string, Known>();
  #engineMs = 0;
  #answeredAtMs: number | null = null;
  /** When this node asked for the last answer, and for the one before. */
  #askedAtMs = -Infinity;
  #askedBeforeMs = -Infinity;
  #replicas = 0;
  #replicasLostAt: number | null = null;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Takes an answer of the engine that was asked for at `askedAtMs`. */
  heard({ members, replicas = 0 }: Members, askedAtMs: number, nowMs: number): void {
    const passedMs = this.#answeredAtMs === null ? 0 : Math.max(0, nowMs - this.#answeredAtMs);
    this.#engineMs += Math.min(passedMs, MOST_PER_ANSWER_MS);
    this.#answeredAtMs = nowMs;
    this.#askedBeforeMs = this.#askedAtMs;
    this.#askedAtMs = askedAtMs;
    for (const member of members) this.#note(member);
    // A flush forgets members, but the living renew.
    const named = new Set(members.map(({ inc }) => inc));
    for (const [inc, { state }] of this.#known) if (state !== 'live' && !named.has(inc)) this.#known.delete(inc);
    if (replicas >= this.#replicas) this.#replicasLostAt = null;
    else this.#replicasLostAt ??= this.#engineMs;
    // Lost replicas mean nothing if all members go on to be heard.
    const isSettled = this.#replicasLostAt === null || this.#engineMs - this.#replicasLostAt > 2 * SUSPECT_MS;
    if (isSettled && this.silent(SUSPECT_MS).length === 0) {
      this.#replicas = replicas;
      this.#replicasLostAt = null;
    }
  }

  /** Members by state; `silent` are those of the live that may be dead. */
  counts(): Record<'live' | 'silent' | 'left' | 'dead', number> {
    const counts = { live: 0, silent: this.silent(SUSPECT_MS).length, left: 0, dead: 0 };
    for (const { state } of this.#known.values()) counts[state]++;
    return { ...counts, live: counts.live - counts.silent };
  }

  /** Where the other live members are reached over HTTP, as they said last. */
  urls(self: string): string[] {
    const others = [...this.#known.values()].filter(({ inc, state }) => state === 'live' && inc !== self);
    return others.map(({ facts }) => facts.slice(facts.indexOf(' ') + 1)).filter((url) => /^https?:/.test(url));
  }

  /** The counters of the live. */
  beats(): ReadonlyMap<string, number> {
    return new Map(this.live().map((inc) => [inc, this.#known.get(inc)?.beat ?? 0]));
  }

  /**
   * Whether all live members but `self` have renewed since, and have written all their sessions to this history. The
   * longer that is waited for, the fewer of them count.
   */
  haveAdded(history: string, since: ReadonlyMap<string, number>, self: string, waitedMs: number): boolean {
    if (waitedMs > SLOW_ADDS_WITHIN_MS) return true;
    return this.live().every((inc) => {
      const { facts = '', beat = 0, isWitnessed = false } = this.#known.get(inc) ?? {};
      // Whoever was heard is alive until its lease ends, and may need a while to reach the engine again.
      const patienceMs = isWitnessed ? this.#leaseMs : ADDS_WITHIN_MS;
      if (inc === self || (waitedMs > ADDS_WITHIN_MS && this.silentMs(inc) > patienceMs)) return true;
      return facts.startsWith(`${history} `) && beat > (since.get(inc) ?? -1);
    });
  }

  live(): string[] {
    return [...this.#known.values()].filter(({ state }) => state === 'live').map(({ inc }) => inc);
  }

  gone(): string[] {
    return [...this.#known.values()].filter(({ state }) => state !== 'live').map(({ inc }) => inc);
  }

  get(inc: string): Member | undefined {
    return this.#known.get(inc);
  }

  isGone(inc: string): boolean {
    return (this.#known.get(inc)?.state ?? 'live') !== 'live';
  }

  /** The latest moment at which all that count as live certainly were alive, by this node's clock. */
  get allAliveAtMs(): number {
    return Math.min(this.#askedAtMs, ...this.live().map((inc) => this.#known.get(inc)?.aliveAtMs ?? -Infinity));
  }

  silentMs(inc: string): number {
    return this.#engineMs - (this.#known.get(inc)?.heardAt ?? this.#engineMs);
  }

  /** For how long it has been known to be gone. */
  goneMs(inc: string): number {
    return this.isGone(inc) ? this.#engineMs - (this.#known.get(inc)?.goneAt ?? this.#engineMs) : 0;
  }

  /** Whether a member died less than `ms` ago, as far as this node has seen it. `isFormer`: was this node itself. */
  hasJustLost(ms: number, isFormer: (inc: string) => boolean): boolean {
    return [...this.#known.values()].some(
      ({ inc, state, isWitnessed }) => state === 'dead' && isWitnessed && !isFormer(inc) && this.goneMs(inc) < ms,
    );
  }

  /** How long a member was known before it was gone that this node has never heard; undefined if it has heard it. */
  knownUnheardMs(inc: string): number | undefined {
    const known = this.#known.get(inc);
    return known === undefined || known.isWitnessed ? undefined : known.goneAt - known.firstAt;
  }

  /** Live members that have been silent for that long. */
  silent(forMs: number): Member[] {
    return [...this.#known.values()].filter(({ inc, state }) => state === 'live' && this.silentMs(inc) >= forMs);
  }

  /** Whether a member may be dead, or died less than `graceMs` ago: then each moment counts. */
  isUneasy(graceMs: number): boolean {
    return this.silent(UNEASY_MS).length > 0 || this.gone().some((inc) => this.goneMs(inc) < graceMs + UNEASY_MS);
  }

  /** Whom to bury now. Doubtful if this node may be the one that is cut off, together with an old master. */
  due(): Member[] {
    const isMostSilent = this.silent(SUSPECT_MS).length * 2 > this.live().length;
    const lostFor = this.#replicasLostAt === null ? Infinity : this.#engineMs - this.#replicasLostAt;
    if (lostFor < REPLICA_DOUBT_MS) return [];
    return this.silent(isMostSilent ? 2 * this.#leaseMs : this.#leaseMs);
  }

  #note(member: Member): void {
    const known = this.#known.get(member.inc);
    // After a flush, a member that is gone stays so until it renews: its counter then grows.
    const isHeard = known?.beat !== member.beat;
    const wasGone = this.isGone(member.inc) && member.state !== 'live';
    this.#known.set(member.inc, {
      ...member,
      heardAt: isHeard ? this.#engineMs : known.heardAt,
      // A renewal that an answer shows came after the answer before it.
      aliveAtMs: isHeard ? this.#askedBeforeMs : known.aliveAtMs,
      goneAt: wasGone ? (known?.goneAt ?? this.#engineMs) : this.#engineMs,
      firstAt: known?.firstAt ?? this.#engineMs,
      isWitnessed: known !== undefined && (known.isWitnessed || (isHeard && member.state === 'live')),
    });
  }
}
