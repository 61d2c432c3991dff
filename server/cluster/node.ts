/**
 * One node of a cluster: follows all buckets, keeps the replicas of the users that it needs, writes its own sessions,
 * and recovers after faults of the engine. The only place that decides when the engine may be called and when changes
 * may be reported. Has no timer: `tick` must be called about ten times a second.
 *
 * A node is `up`, `away` or `recovering`. While it is `away`, the engine does not answer: nothing is written or reported.
 * A `recovering` node reads its replicas again, writes its sessions, and removes none from records until the other nodes
 * have written theirs. So a client that moved to another node during an outage is not reported offline in between.
 */
import { DeadNodeCleanup } from './dead-nodes.ts';
import { Buckets } from './buckets.ts';
import type { Chain } from './chain.ts';
import { Conditions } from './conditions.ts';
import type { EngineEvents, Members } from './engine.ts';
import { MemberList, SLOW_WRITES_WITHIN_MS, SUSPECT_MS } from './members.ts';
import type { NodeOptions } from './node-options.ts';
import { Publisher } from './publisher.ts';
import { Replicas, type Replica } from './replicas.ts';
import { takeovers } from './record/takeovers.ts';

const RENEW_MS = 500;
/** While a node may be dead, so that its death is noticed early and its sessions do not outlive their grace. */
const FAST_RENEW_MS = 100;
/** A stall of this process after which the node renews before it writes. */
const STALL_MS = 1000;
const MAX_FORMER = 8;
/** How long a change may wait to be written before views count as behind. Less than the time that an answer waits. */
const UNWRITTEN_MS = 900;

type State = 'away' | 'recovering' | 'up';

export class ClusterNode implements EngineEvents {
  readonly replicas: Replicas;
  readonly members: MemberList;
  readonly directMessage: EngineEvents['directMessage'];
  readonly #options: NodeOptions;
  readonly buckets: Buckets;
  readonly publisher: Publisher;
  readonly deadNodes: DeadNodeCleanup;
  #inc: string;
  #former: readonly string[] = [];
  #beat = 0;
  #state: State = 'away';
  #recovery = 0;
  #isConnected = false;
  #history = '';
  readonly #conditions = new Conditions();
  /** The history in which all sessions of this node are written. */
  #writtenTo = '-';
  #keepsAll = true;
  #renewsAtMs = 0;
  #tickedAtMs: number;
  #awaySinceMs: number;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { engine, buckets, host, now, graceMs, warmMs } = options;
    this.#inc = options.newInc();
    this.directMessage = host.onDirectMessage;
    this.buckets = new Buckets({
      ...options,
      count: buckets,
      replicas: () => this.replicas,
      onReceived: (replica, stored) => {
        this.replicas.receive(replica, this.publisher.whole(stored), now());
        this.#writeIfNeeded(replica);
      },
      onRead: (replica) => this.#writeIfNeeded(replica),
      host,
      events: host.events,
      onFork: () => void this.#recover(true),
      renew: () => this.#renew(),
      isUp: () => this.#state === 'up',
    });
    this.members = new MemberList(options.leaseMs);
    const chainOf = (bucket: number): Chain => this.buckets.chain(bucket);
    this.replicas = new Replicas(buckets, chainOf, host.report, (replica) => this.#noteRecord(replica));
    this.#tickedAtMs = this.#awaySinceMs = now();
    this.deadNodes = new DeadNodeCleanup({
      ...{ ...host, engine, buckets, members: this.members, graceMs, warmMs },
      isFormer: (inc) => this.#former.includes(inc),
      scheduleWrite: (user) => this.publisher.scheduleWrite(user),
    });
    this.publisher = new Publisher({
      ...options,
      replicas: this.replicas,
      events: host.events,
      chainOf,
      host,
      inc: () => (this.#mayWrite() ? this.#inc : undefined),
      ownOf: (user, changeAgeMs) => ({ ...host.own(user), inc: this.#inc, former: this.#former, changeAgeMs }),
      contextOf: (user, bucket) => ({
        user,
        offline: options.offline,
        clock: this.buckets.chain(bucket).clockAt(now()),
        liveness: this.deadNodes,
        keepsAll: this.#keepsAll,
      }),
      onFenced: () => this.#rejoin(),
      onLost: () => void this.#recover(true),
      onSettled: (user, record) => this.deadNodes.settled(user, record),
    });
  }

  get inc(): string {
    return this.#inc;
  }

  get state(): State {
    return this.#state;
  }

  /** True also while this node waits during its recovery for nodes that do not answer. */
  get reachesStore(): boolean {
    return this.#writtenTo !== '';
  }

  /** Every change that was not reported yet has a larger version. Undefined unless the node is up. */
  get at(): number | undefined {
    if (this.#state !== 'up') return undefined;
    return this.buckets.leastClock;
  }

  /** Whether views may be behind, or changes of this node cannot be written. */
  get isStale(): boolean {
    if (this.#state !== 'up' || this.buckets.isBehind || this.publisher.isBehind(UNWRITTEN_MS)) return true;
    return this.members.silent(SUSPECT_MS).length > 0 || this.deadNodes.isShowingDead;
  }

  back(): void {
    this.#isConnected = true;
    void this.#recover(false);
  }

  away(): void {
    this.#isConnected = false;
    this.#stop();
  }

  /** The sessions of a user changed on this node. */
  scheduleWrite(user: string): void {
    this.replicas.acquire(user);
    this.publisher.scheduleWrite(user);
  }

  /** Acquires replicas of these users. Resolves when all are read. Returns undefined if they already are. */
  load(users: readonly string[]): Promise<void> | undefined {
    const unknown = users.map((user) => this.replicas.acquire(user)).filter(({ isKnown }) => !isKnown);
    return unknown.length === 0 ? undefined : this.buckets.load(unknown);
  }

  message(bucket: number, text: string): void {
    this.#stopIfStalled();
    if (this.#state !== 'away') this.buckets.receive(bucket, text);
  }

  tick(): void {
    const nowMs = this.#options.now();
    this.#stopIfStalled();
    this.#tickedAtMs = nowMs;
    if (this.#state === 'away') {
      if (this.#isConnected && nowMs - this.#awaySinceMs > 250) void this.#recover(false);
      return;
    }
    if (nowMs >= this.#renewsAtMs) void this.#renew();
    this.#conditions.check();
    this.buckets.tick();
    this.publisher.pump();
    if (this.#state !== 'up') return;
    for (const { inc, beat } of this.members.due()) {
      if (inc !== this.#inc) this.#options.engine.declareDead(inc, beat).catch(() => undefined);
    }
  }

  /** Leaves the cluster. The sessions of this node keep the rest of their leases. */
  async leave(): Promise<void> {
    await this.#options.engine.renew({ inc: this.#inc, beat: ++this.#beat, state: 'left', facts: this.#writtenTo });
    this.#stop();
  }

  /** After a stall of this process, a renewal must come first, because other nodes may have declared it dead. */
  #mayWrite(): boolean {
    return this.#state !== 'away' && this.#writtenTo !== '' && !this.#hasStalled;
  }

  get #hasStalled(): boolean {
    return this.#options.now() - this.#tickedAtMs >= STALL_MS;
  }

  /** After a stall of this process, the queued messages are old, so they must not be reported one by one. */
  #stopIfStalled(): void {
    if (this.#hasStalled && this.#state !== 'away') this.#stop();
  }

  #noteRecord(replica: Replica): void {
    const { host, now } = this.#options;
    const context = { inc: this.#inc, chain: this.buckets.chain(replica.bucket), liveness: this.deadNodes };
    const { ended, began, isErased } = takeovers(replica, host.own(replica.user).sessions, {
      ...context,
      nowMs: now(),
    });
    replica.noteWritten(this.#inc);
    if (isErased) host.onErased(replica.user);
    for (const k of ended) host.onSuperseded(replica.user, k);
    for (const device of began) host.onBegan(replica.user, device);
  }

  /** Schedules writing the record if this node may have to change it. */
  #writeIfNeeded(replica: Replica): void {
    const { record, user } = replica;
    const wasHere = [this.#inc, ...this.#former].some((inc) => record?.parts?.[inc] !== undefined);
    const isHere = this.#options.host.own(user).sessions.length > 0;
    if (isHere || wasHere || replica.isLost) this.publisher.scheduleWrite(user);
  }

  async #renew(): Promise<Members | undefined> {
    const { engine, now } = this.#options;
    const askedAtMs = now();
    this.#renewsAtMs = askedAtMs + (this.members.needsFastRenewal(this.deadNodes.graceMs) ? FAST_RENEW_MS : RENEW_MS);
    const inc = this.#inc;
    try {
      const facts = `${this.#writtenTo} ${this.#options.url}`;
      const answer = await engine.renew({ inc, beat: ++this.#beat, state: 'live', facts });
      if (inc !== this.#inc) return undefined;
      this.members.update(answer, askedAtMs, now());
      if (this.members.hasEnded(inc)) this.#rejoin();
      else if (this.#state === 'up' && answer.history !== this.#history) void this.#recover(true);
      else if (this.#state === 'up') this.deadNodes.tick(this.#inc); // a grace ends only with an answer's time
      return answer;
    } catch {
      return undefined;
    }
  }

  /** Starts a new incarnation, because other nodes have declared this one dead and have reported its sessions as over. */
  #rejoin(): void {
    this.#stop();
    this.#former = [...this.#former, this.#inc].slice(-MAX_FORMER);
    this.#inc = this.#options.newInc();
    this.#options.host.onRejoin();
  }

  #stop(): void {
    this.#state = 'away';
    this.#awaySinceMs = this.#options.now();
    this.#writtenTo = '';
    this.#keepsAll = true;
    this.#recovery++;
    this.buckets.restart();
    this.#conditions.clear();
    this.replicas.pauseReports();
    this.publisher.restart();
  }

  async #recover(isFork: boolean): Promise<void> {
    const { now } = this.#options;
    this.#stop();
    const recovery = this.#recovery;
    const isOver = (): boolean => recovery !== this.#recovery;
    const startedAtMs = now();
    this.#state = 'recovering';
    try {
      // Renews before anything is written, because an incarnation that was declared dead must not write.
      const answer = await this.#renew();
      if (isOver()) return;
      if (answer === undefined) return this.#stop();
      const hasForked = isFork || (this.#history !== '' && answer.history !== this.#history);
      if (hasForked) this.deadNodes.restart();
      this.#history = answer.history;
      await this.buckets.recover(hasForked, () => this.publisher.nextId(this.#inc));
      if (isOver()) return;
      this.#writtenTo = '-';
      for (const user of this.#options.host.usersHere()) this.scheduleWrite(user);
      this.publisher.pump();
      const waitedMs = (): number => now() - startedAtMs;
      await this.#conditions.until(() => isOver() || this.publisher.isIdle || waitedMs() > SLOW_WRITES_WITHIN_MS);
      if (isOver()) return;
      this.#writtenTo = this.#history;
      // A renewal from before the outage may still be waiting in the engine. The answer to this one shows that it has run.
      if ((await this.#renew()) === undefined && !isOver()) throw new Error('no answer');
      const beats = this.members.beats();
      await this.#conditions.until(
        () => isOver() || this.members.haveWritten(this.#history, beats, this.#inc, waitedMs()),
      );
      if (isOver()) return;
      this.#finish();
    } catch {
      if (!isOver()) this.#stop();
    }
  }

  /** All nodes have written their sessions. From now on sessions may be removed, and differences are reported. */
  #finish(): void {
    this.#state = 'up';
    this.#keepsAll = false;
    this.replicas.resumeReports();
    for (const replica of this.replicas.all()) this.#writeIfNeeded(replica);
  }
}
