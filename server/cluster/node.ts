/**
 * One node of a cluster: hears all buckets, keeps the replicas of those users that it needs, writes its own sessions,
 * and recovers after faults of the engine. The only place that decides when the engine may be asked and when changes
 * may be reported. Has no timer: `tick` must be called about ten times a second.
 *
 * It is `up`, or `away` (the engine does not answer: nothing is written or reported), or `recovering`: it reads again
 * all that it holds, writes who is here, and waits until the other nodes have done so before it writes who is not. A
 * client that moved to another node during an outage is thus never reported offline in between.
 */
import { Burial } from './burial.ts';
import { Buckets } from './buckets.ts';
import { Conditions } from './conditions.ts';
import type { EngineEvents, Members } from './engine.ts';
import { MemberList, SLOW_ADDS_WITHIN_MS, SUSPECT_MS } from './members.ts';
import type { NodeOptions } from './node-options.ts';
import { Publisher } from './publisher.ts';
import { Replicas, type Replica } from './replicas.ts';
import { takeovers } from './record/takeovers.ts';

const RENEW_MS = 500;
/** While a node may be dead, so that its sessions do not outlive their grace. */
const UNEASY_RENEW_MS = 150;
/** A stop of this node after which it renews before it writes. */
const STALL_MS = 1000;
const MOST_FORMER = 8;
/** How long a change may wait to be written before views count as behind: less than an answer waits for it. */
const UNWRITTEN_MS = 900;

type State = 'away' | 'recovering' | 'up';

export class ClusterNode implements EngineEvents {
  readonly replicas: Replicas;
  readonly members: MemberList;
  readonly mail: EngineEvents['mail'];
  readonly #options: NodeOptions;
  readonly buckets: Buckets;
  readonly publisher: Publisher;
  readonly #burial: Burial;
  #inc: string;
  #former: readonly string[] = [];
  #beat = 0;
  #state: State = 'away';
  #recovery = 0;
  #isConnected = false;
  #history = '';
  readonly #conditions = new Conditions();
  /** The history in which all sessions of this node are written. */
  #addedTo = '-';
  #keepsAll = true;
  #renewsAtMs = 0;
  #tickedAtMs: number;
  #awaySinceMs: number;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { engine, buckets, host, now, graceMs, warmMs } = options;
    this.#inc = options.newInc();
    this.mail = host.onMail;
    this.buckets = new Buckets({
      ...options,
      count: buckets,
      replicas: () => this.replicas,
      onHeard: (replica, stored) => {
        this.replicas.heard(replica, this.publisher.whole(stored), now());
        this.#compare(replica);
      },
      onRead: (replica) => this.#compare(replica),
      host,
      events: host.events,
      onFork: () => void this.#recover(true),
      renew: () => this.#renew(),
      isUp: () => this.#state === 'up',
    });
    this.members = new MemberList(options.leaseMs);
    const epochOf = (bucket: number): number => this.buckets.chain(bucket).epoch;
    this.replicas = new Replicas(buckets, epochOf, host.report, (replica) => this.#noteRecord(replica));
    this.#tickedAtMs = this.#awaySinceMs = now();
    this.#burial = new Burial({
      engine,
      buckets,
      members: this.members,
      ...{ graceMs, warmMs, isPolled: host.isPolled },
      isFormer: (inc) => this.#former.includes(inc),
      touch: (user) => this.publisher.touch(user),
    });
    this.publisher = new Publisher({
      ...options,
      replicas: this.replicas,
      events: host.events,
      chainOf: (bucket) => this.buckets.chain(bucket),
      host,
      inc: () => (this.#mayWrite() ? this.#inc : undefined),
      ownOf: (user, changeAgeMs) => ({ ...host.own(user), inc: this.#inc, former: this.#former, changeAgeMs }),
      contextOf: (user, bucket) => ({
        user,
        offline: options.offline,
        clock: this.buckets.chain(bucket).clockAt(now()),
        fates: this.#burial,
        keepsAll: this.#keepsAll,
      }),
      onFenced: () => this.#rejoin(),
      onLost: () => void this.#recover(true),
      onSettled: (user, record) => this.#burial.settled(user, record),
    });
  }

  get inc(): string {
    return this.#inc;
  }

  get state(): State {
    return this.#state;
  }

  /** Also while this node waits for others that do not answer, such as one that has just died. */
  get reachesStore(): boolean {
    return this.#addedTo !== '';
  }

  /** Every change that was not reported yet has a larger version. Undefined before the first recovery. */
  get at(): number | undefined {
    if (this.#state !== 'up') return undefined;
    return this.buckets.leastClock;
  }

  /** Whether views may be behind, or changes of this node cannot be written. */
  get isStale(): boolean {
    if (this.#state !== 'up' || this.buckets.isBehind || this.publisher.isBehind(UNWRITTEN_MS)) return true;
    return this.members.silent(SUSPECT_MS).length > 0 || this.#burial.isShowingDead;
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
    this.publisher.touch(user);
  }

  /** Holds these users. Resolved when all are known, and undefined if they are already. */
  load(users: readonly string[]): Promise<void> | undefined {
    const unknown = users.map((user) => this.replicas.acquire(user)).filter(({ isKnown }) => !isKnown);
    return unknown.length === 0 ? undefined : this.buckets.load(unknown);
  }

  message(bucket: number, text: string): void {
    this.#noteStall();
    if (this.#state !== 'away') this.buckets.hear(bucket, text);
  }

  /** Does what is due. */
  tick(): void {
    const nowMs = this.#options.now();
    this.#noteStall();
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
    return this.#state !== 'away' && this.#addedTo !== '' && !this.#hasStalled;
  }

  get #hasStalled(): boolean {
    return this.#options.now() - this.#tickedAtMs >= STALL_MS;
  }

  /** After a stop of this process, what arrived meanwhile is old: it must not be reported one by one. */
  #noteStall(): void {
    if (this.#hasStalled && this.#state !== 'away') this.#stop();
  }

  /** Other nodes may have taken over sessions of this one. */
  #noteRecord(replica: Replica): void {
    const { host, now } = this.#options;
    const where = { inc: this.#inc, chain: this.buckets.chain(replica.bucket), fates: this.#burial, nowMs: now() };
    const { ended, began, isErased } = takeovers(replica, host.own(replica.user).sessions, where);
    replica.noteWritten(this.#inc);
    if (isErased) host.onErased(replica.user);
    for (const k of ended) host.onOvertaken(replica.user, k);
    for (const device of began) host.onBegan(replica.user, device);
  }

  /** Has the record written if it is not as this node wants it. */
  #compare(replica: Replica): void {
    const { record, user } = replica;
    const wasHere = [this.#inc, ...this.#former].some((inc) => record?.parts?.[inc] !== undefined);
    if (this.#options.host.own(user).sessions.length > 0 || replica.isLost || wasHere) this.publisher.touch(user);
  }

  async #renew(): Promise<Members | undefined> {
    const { engine, now } = this.#options;
    const askedAtMs = now();
    this.#renewsAtMs = askedAtMs + (this.members.isUneasy(this.#options.graceMs) ? UNEASY_RENEW_MS : RENEW_MS);
    const inc = this.#inc;
    try {
      const facts = `${this.#addedTo} ${this.#options.url}`;
      const answer = await engine.renew({ inc, beat: ++this.#beat, state: 'live', facts });
      if (inc !== this.#inc) return undefined;
      this.members.heard(answer, askedAtMs, now());
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
    this.#former = [...this.#former, this.#inc].slice(-MOST_FORMER);
    this.#inc = this.#options.newInc();
    this.#options.host.onRejoin();
  }

  #stop(): void {
    this.#state = 'away';
    this.#awaySinceMs = this.#options.now();
    this.#addedTo = '';
    this.#keepsAll = true;
    this.#recovery++;
    this.buckets.restart();
    this.#conditions.clear();
    this.replicas.stopTelling();
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
      // Renews before anything is written: an incarnation that was buried must not write.
      const answer = await this.#renew();
      if (isOver()) return;
      if (answer === undefined) return this.#stop();
      const hasForked = isFork || (this.#history !== '' && answer.history !== this.#history);
      if (hasForked) this.#burial.restart();
      this.#history = answer.history;
      await this.buckets.recover(hasForked, () => this.publisher.nextId(this.#inc));
      if (isOver()) return;
      this.#addedTo = '-';
      for (const user of this.#options.host.usersHere()) this.touch(user);
      this.publisher.pump();
      const waitedMs = (): number => now() - startedAtMs;
      await this.#conditions.until(() => isOver() || this.publisher.isIdle || waitedMs() > SLOW_ADDS_WITHIN_MS);
      if (isOver()) return;
      this.#addedTo = this.#history;
      // A renewal from before the outage may have been waiting in the engine: by the answer to this one it has run.
      if ((await this.#renew()) === undefined && !isOver()) throw new Error('no answer');
      const beats = this.members.beats();
      await this.#conditions.until(
        () => isOver() || this.members.haveAdded(this.#history, beats, this.#inc, waitedMs()),
      );
      if (isOver()) return;
      this.#finish();
    } catch {
      if (!isOver()) this.#stop();
    }
  }

  /** Everybody has written who is here. Now what is gone may be written, and differences are reported. */
  #finish(): void {
    this.#state = 'up';
    this.#keepsAll = false;
    this.replicas.resumeTelling();
    for (const replica of this.replicas.all()) this.#compare(replica);
  }
}
