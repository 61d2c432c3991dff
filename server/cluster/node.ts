/**
 * One node of a cluster: hears all buckets, keeps the replicas of those users that it needs, writes its own sessions,
 * and recovers after faults of the engine. The only place that decides when the engine may be asked and when changes
 * may be reported. Has no timer: `tick` must be called about ten times a second.
 *
 * It is `up`, or `away` (the engine does not answer: nothing is written or reported), or `recovering`: it reads again
 * all that it holds, writes who is here, and waits until the other nodes have done so before it writes who is not. A
 * client that moved to another node during an outage is thus never reported offline in between.
 */
import type { Shown } from '../presence/fold.ts';
import { Burial, ORPHAN_GRACE_MS } from './burial.ts';
import { Chain, type Step } from './chain.ts';
import type { Engine, EngineEvents, Members, Stored } from './engine.ts';
import { MemberList, SUSPECT_MS } from './members.ts';
import { readMessage, userOf } from './message.ts';
import { overtaken, type Fates, type Own } from './next-record.ts';
import { Publisher } from './publisher.ts';
import { Replicas, type Replica, type Report } from './replicas.ts';

const RENEW_MS = 1000;
/** Silence of a bucket after which it is ticked: between this and half as much again, so that one tick does for all. */
const TICK_AFTER_MS = 1000;
/** Silence after which the subscription counts as dead, because this node's own ticks do not come back. */
const DEAF_MS = 3000;
/** A stop of this node after which it renews before it writes. */
const STALL_MS = 1000;
/** How long an acknowledged operation may stay unheard. */
const OWED_MS = 1500;
/** How long what is gone is not written after an outage, at most. */
const ADDS_WITHIN_MS = 2500;

/** The sessions of this node, and who wants to know of changes. */
export interface NodeHost {
  readonly own: (user: string) => Omit<Own, 'inc' | 'changeAgeMs'>;
  readonly usersHere: () => Iterable<string>;
  readonly report: Report;
  /** A session began on another node: one that waits for that user and device on this node is not needed any more. */
  readonly onBegan: (user: string, device: string) => void;
  /** A session over HTTP goes on on another node. */
  readonly onOvertaken: (user: string, k: string) => void;
  /** The subscription is dead although commands are answered: has it replaced. */
  readonly onDeaf: () => void;
}

export interface NodeOptions {
  readonly engine: Engine;
  readonly host: NodeHost;
  readonly buckets: number;
  readonly offline: Shown;
  readonly now: () => number;
  readonly random: () => number;
  /** A name for a new incarnation, unique for all time. */
  readonly newInc: () => string;
  readonly leaseMs: number;
  readonly graceMs: number;
}

type State = 'away' | 'recovering' | 'up';

export class ClusterNode implements EngineEvents {
  readonly replicas: Replicas;
  readonly members: MemberList;
  readonly #options: NodeOptions;
  readonly #chains: Chain[];
  readonly #publisher: Publisher;
  readonly #fates: Fates;
  readonly #burial: Burial;
  readonly #behind = new Map<number, number>();
  readonly #ticksAtMs: number[];
  #inc: string;
  #beat = 0;
  #state: State = 'away';
  #recovery = 0;
  #isConnected = false;
  #history = '';
  #waiting: (() => boolean)[] = [];
  /** The history in which all sessions of this node are written. */
  #addedTo = '-';
  #keepsAll = true;
  #renewsAtMs = 0;
  #tickedAtMs: number;
  #awaySinceMs: number;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { engine, buckets, host, now, graceMs } = options;
    this.#inc = options.newInc();
    this.#chains = Array.from({ length: buckets }, () => new Chain());
    this.#ticksAtMs = Array.from({ length: buckets }, () => 0);
    this.members = new MemberList(options.leaseMs);
    const epochOf = (bucket: number): number => this.#chain(bucket).epoch;
    this.replicas = new Replicas(buckets, epochOf, host.report, (replica) => this.#noteRecord(replica));
    this.#tickedAtMs = this.#awaySinceMs = now();
    this.#burial = new Burial({
      engine,
      buckets,
      members: this.members,
      graceMs: Math.max(graceMs, ORPHAN_GRACE_MS),
      touch: (user) => this.#publisher.touch(user),
    });
    this.#fates = {
      isGone: (inc) => this.members.isGone(inc),
      silentMs: (inc) => this.members.silentMs(inc),
      isOver: (inc, session) => this.#burial.isOver(inc, session),
    };
    this.#publisher = new Publisher({
      engine,
      buckets,
      now,
      replicas: this.replicas,
      chainOf: (bucket) => this.#chain(bucket),
      inc: () => (this.#mayWrite() ? this.#inc : undefined),
      ownOf: (user, dirtyForMs) => ({ ...host.own(user), inc: this.#inc, changeAgeMs: dirtyForMs }),
      contextOf: (user, bucket) => ({
        user,
        offline: options.offline,
        clock: this.#chain(bucket).clockAt(now()),
        fates: this.#fates,
        keepsAll: this.#keepsAll,
      }),
      onFenced: () => this.#rejoin(),
      onSettled: (user, record) => this.#burial.settled(user, record),
    });
  }

  get inc(): string {
    return this.#inc;
  }

  get state(): State {
    return this.#state;
  }

  /** Every change that was not reported yet has a larger version. Undefined before the first recovery. */
  get at(): number | undefined {
    if (this.#state !== 'up') return undefined;
    return this.#chains.reduce((least, { clock }) => Math.min(least, clock), Infinity);
  }

  /** Whether views may be behind. */
  get isStale(): boolean {
    const nowMs = this.#options.now();
    const isBehind = [...this.#behind.values()].some((sinceMs) => nowMs - sinceMs > 500);
    return this.#state !== 'up' || isBehind || this.members.silent(SUSPECT_MS).length > 0;
  }

  /** The engine answers again. */
  back(): void {
    this.#isConnected = true;
    void this.#recover(false);
  }

  away(): void {
    this.#isConnected = false;
    this.#stop();
  }

  /** The sessions of a user changed on this node. */
  touch(user: string): void {
    this.replicas.acquire(user);
    this.#publisher.touch(user);
  }

  /** Holds these users. Resolved when all are known, and undefined if they are already. */
  load(users: readonly string[]): Promise<void> | undefined {
    const unknown = users.map((user) => this.replicas.acquire(user)).filter(({ isKnown }) => !isKnown);
    if (unknown.length === 0) return undefined;
    const buckets = new Map<number, Replica[]>();
    for (const replica of unknown) buckets.set(replica.bucket, [...(buckets.get(replica.bucket) ?? []), replica]);
    const reads = [...buckets].map(async ([bucket, replicas]) => {
      const { records } = await this.#options.engine.read(
        bucket,
        replicas.map(({ user }) => user),
      );
      for (const [i, replica] of replicas.entries()) this.#adopt(replica, records[i]);
    });
    return Promise.all(reads).then(() => undefined);
  }

  message(bucket: number, text: string): void {
    if (this.#state === 'away') return;
    const user = userOf(text);
    const message = readMessage(text);
    if (message === undefined) return;
    const nowMs = this.#options.now();
    const chain = this.#chain(bucket);
    const { epoch } = chain;
    let step: Step;
    if (message.kind === 'state') {
      step = chain.hear(message.link, nowMs);
    } else {
      const { stored, before } = message.operation;
      step = chain.hear({ last: stored.op, clock: stored.n, epoch, before }, nowMs);
      const replica = this.replicas.get(user);
      if (step === 'next' && replica?.isKnown === true) this.#adopt(replica, stored);
    }
    if (step === 'gap') void this.#catchUp(bucket);
    if (chain.epoch > epoch) for (const replica of this.replicas.of(bucket)) this.replicas.tell(replica);
  }

  /** Does what is due. */
  tick(): void {
    const nowMs = this.#options.now();
    const stoppedMs = nowMs - this.#tickedAtMs;
    this.#tickedAtMs = nowMs;
    if (stoppedMs >= STALL_MS && this.#state !== 'away') this.#stop();
    if (this.#state === 'away') {
      if (this.#isConnected && nowMs - this.#awaySinceMs > 250) void this.#recover(false);
      return;
    }
    if (nowMs >= this.#renewsAtMs) void this.#renew();
    this.#waiting = this.#waiting.filter((isDone) => !isDone());
    this.#tickBuckets(nowMs);
    this.#publisher.pump();
    if (this.#state !== 'up') return;
    for (const { inc, beat } of this.members.due()) {
      if (inc !== this.#inc) this.#options.engine.bury(inc, beat).catch(() => undefined);
    }
    this.#burial.tick(this.#inc);
  }

  /** Says goodbye. The sessions of this node keep the rest of their leases. */
  async leave(): Promise<void> {
    await this.#options.engine.renew({ inc: this.#inc, beat: ++this.#beat, state: 'left', facts: this.#addedTo });
    this.#stop();
  }

  /** Never before a renewal: after a stop of this process, others may have buried it. */
  #mayWrite(): boolean {
    return this.#state !== 'away' && this.#addedTo !== '' && this.#options.now() - this.#tickedAtMs < STALL_MS;
  }

  #clockOf(bucket: number): { clockAt: number; epoch: number } {
    const chain = this.#chain(bucket);
    return { clockAt: chain.clockAt(this.#options.now()), epoch: chain.epoch };
  }

  #chain(bucket: number): Chain {
    return this.#chains[bucket] as Chain;
  }

  #adopt(replica: Replica, stored: Stored | undefined): void {
    if (stored !== undefined) this.replicas.adopt(replica, stored, this.#options.now());
    else if (!replica.isKnown) this.replicas.replace(replica, undefined, this.#options.now());
    this.#compare(replica);
  }

  /** Other nodes may have taken over sessions of this one. */
  #noteRecord(replica: Replica): void {
    const { record, user } = replica;
    if (record === undefined) return;
    if (record.parts !== null) {
      const written = replica.writtenBy(this.#inc);
      const left = record.parts[this.#inc] ?? [];
      const { clockAt, epoch } = this.#clockOf(replica.bucket);
      // Without a fork since then, only another node can have taken them out: it heard the user later.
      const isSure = replica.writtenAt(this.#inc) > epoch;
      const lost = written.filter(({ k }) => isSure && !left.some((session) => session.k === k)).map(({ k }) => k);
      const own = this.#options.host.own(user).sessions;
      const unwritten = own
        .filter(({ k }) => ![...written, ...left].some((session) => session.k === k))
        .map(({ a, d, k, startAgeMs }) => ({ a, d, k, b: Math.round(clockAt - startAgeMs) }));
      for (const k of [...lost, ...overtaken(record, [...written, ...unwritten], this.#fates)]) {
        this.#options.host.onOvertaken(user, k);
      }
    }
    replica.noteWritten(this.#inc);
    for (const [inc, sessions] of Object.entries(record.parts ?? {})) {
      if (inc === this.#inc || this.members.isGone(inc)) continue;
      for (const { d, k } of sessions) if (replica.isNew(inc, k)) this.#options.host.onBegan(user, d);
    }
  }

  /** Has the record written if it is not as this node wants it. */
  #compare(replica: Replica): void {
    const { record, user } = replica;
    const isHere = this.#options.host.own(user).sessions.length > 0;
    if (isHere || replica.isLost || record?.parts?.[this.#inc] !== undefined) this.#publisher.touch(user);
  }

  #tickBuckets(nowMs: number): void {
    for (const [bucket, chain] of this.#chains.entries()) {
      const silentMs = nowMs - chain.heardAtMs;
      if (silentMs > DEAF_MS && !this.#behind.has(bucket)) {
        this.#options.host.onDeaf();
        void this.#catchUp(bucket);
      } else if (chain.isOwed(nowMs - OWED_MS)) {
        void this.#catchUp(bucket);
      } else if (silentMs >= TICK_AFTER_MS && nowMs >= (this.#ticksAtMs[bucket] ?? 0)) {
        this.#ticksAtMs[bucket] = nowMs + TICK_AFTER_MS * (1 + this.#options.random() / 2);
        this.#options.engine.tick(bucket).catch(() => undefined);
      }
    }
  }

  async #renew(): Promise<Members | undefined> {
    const { engine, now } = this.#options;
    this.#renewsAtMs = now() + RENEW_MS;
    const inc = this.#inc;
    try {
      const answer = await engine.renew({ inc, beat: ++this.#beat, state: 'live', facts: this.#addedTo });
      if (inc !== this.#inc) return undefined;
      this.members.heard(answer, now());
      if (this.members.isGone(inc)) this.#rejoin();
      else if (this.#state === 'up' && answer.history !== this.#history) void this.#recover(true);
      return answer;
    } catch {
      return undefined;
    }
  }

  /** Begins anew as another incarnation: this one was buried, and others have reported so. */
  #rejoin(): void {
    this.#stop();
    this.#inc = this.#options.newInc();
  }

  #stop(): void {
    this.#state = 'away';
    this.#awaySinceMs = this.#options.now();
    this.#addedTo = '';
    this.#keepsAll = true;
    this.#recovery++;
    this.#behind.clear();
    this.#waiting = [];
    this.replicas.stopTelling();
    this.#publisher.restart();
  }

  /** Reads one bucket again, because a message of it is missing. */
  async #catchUp(bucket: number): Promise<void> {
    if (this.#behind.has(bucket) || this.#state !== 'up') return;
    this.#behind.set(bucket, this.#options.now());
    const recovery = this.#recovery;
    try {
      // Another history is noticed here, and recovered from as a whole.
      await this.#renew();
      if (recovery !== this.#recovery) return;
      const isFork = await this.#readBucket(bucket, recovery);
      if (recovery !== this.#recovery) return;
      this.#behind.delete(bucket);
      if (isFork) void this.#recover(true);
    } catch {
      if (recovery === this.#recovery) this.#behind.delete(bucket);
    }
  }

  /** Returns whether what was heard is not in the history that was read. */
  async #readBucket(bucket: number, recovery: number): Promise<boolean> {
    const replicas = this.replicas.of(bucket);
    const chain = this.#chain(bucket);
    const read = await this.#options.engine.read(
      bucket,
      replicas.map(({ user }) => user),
    );
    if (recovery !== this.#recovery) return false;
    const isFork = read.clock < chain.clock;
    if (isFork && this.#state === 'up') return true;
    chain.resync(read, this.#options.now());
    for (const [i, replica] of replicas.entries()) {
      this.replicas.replace(replica, read.records[i], this.#options.now());
      this.#compare(replica);
    }
    return isFork;
  }

  async #recover(isFork: boolean): Promise<void> {
    const { now } = this.#options;
    this.#stop();
    const recovery = this.#recovery;
    const isOver = (): boolean => recovery !== this.#recovery;
    const startedAtMs = now();
    this.#state = 'recovering';
    try {
      // Renews before anything is written: an incarnation that was buried must not write.
      const answer = await this.#renew();
      if (isOver()) return;
      if (answer === undefined) throw new Error('no answer');
      const hasForked = isFork || (this.#history !== '' && answer.history !== this.#history);
      if (hasForked) this.#burial.restart();
      this.#history = answer.history;
      await Promise.all(this.#chains.map((_, bucket) => this.#recoverBucket(bucket, hasForked, recovery)));
      if (isOver()) return;
      this.#addedTo = '-';
      for (const user of this.#options.host.usersHere()) this.touch(user);
      this.#publisher.pump();
      await this.#until(() => isOver() || this.#publisher.isIdle || now() - startedAtMs > ADDS_WITHIN_MS);
      if (isOver()) return;
      this.#addedTo = this.#history;
      const beats = new Map(this.members.live().map((inc) => [inc, this.members.get(inc)?.beat ?? 0]));
      const hasAdded = (inc: string): boolean => {
        const member = this.members.get(inc);
        return inc === this.#inc || (member?.facts === this.#history && member.beat > (beats.get(inc) ?? -1));
      };
      this.#renewsAtMs = 0;
      await this.#until(() => isOver() || this.members.live().every(hasAdded) || now() - startedAtMs > ADDS_WITHIN_MS);
      if (isOver()) return;
      this.#finish();
    } catch {
      if (!isOver()) this.#stop();
    }
  }

  async #recoverBucket(bucket: number, hasForked: boolean, recovery: number): Promise<void> {
    const { clock } = this.#chain(bucket);
    if (hasForked && clock > 0) await this.#options.engine.epoch(bucket, clock, this.#publisher.nextId(this.#inc));
    if (recovery === this.#recovery) await this.#readBucket(bucket, recovery);
  }

  /** Everybody has written who is here. Now what is gone may be written, and differences are reported. */
  #finish(): void {
    this.#state = 'up';
    this.#keepsAll = false;
    this.replicas.resumeTelling();
    for (const replica of this.replicas.all()) this.#compare(replica);
  }

  /** Resolved at the first tick at which the condition holds. */
  #until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        if (!isMet()) return false;
        resolve();
        return true;
      });
    });
  }
}
