/**
 * Follows the messages of all buckets: keeps their chains, ticks quiet buckets, and reads a bucket again if a message
 * is missing. Detects a fork of the history, but leaves the recovery to the node.
 */
import { bucketOf } from './bucket.ts';
import { Chain } from './chain.ts';
import type { Engine, Stored } from './engine.ts';
import type { NodeHost } from './node-options.ts';
import { readMessage, userOf } from './record/message.ts';
import type { NodeEvents } from './node-events.ts';
import type { Replica, Replicas } from './replicas.ts';

/** Silence of a bucket after which it is ticked. Up to half is added at random, so that one node ticks for all. */
const TICK_AFTER_MS = 1100;
/** Silence after which the subscription counts as dead, because not even this node's own ticks arrive. */
const DEAD_SUBSCRIPTION_MS = 3000;
/** How long the message of an acknowledged operation may take. */
const OVERDUE_MS = 1500;
/** How long reading a bucket again may take before views count as behind. */
const BEHIND_MS = 500;
/** How long a read of users may take before views count as behind. Less than the time that an answer waits. */
const READ_WITHIN_MS = 900;

export interface BucketsOptions {
  readonly engine: Engine;
  readonly count: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly host: Pick<NodeHost, 'onOperation' | 'onDeadSubscription'>;
  readonly replicas: () => Replicas;
  /** A held record arrived in a message, or was read for the first time. Undefined: the engine has none. */
  readonly onReceived: (replica: Replica, stored: Stored | undefined) => void;
  readonly events: Pick<NodeEvents, 'received' | 'readAgain' | 'forked'>;
  /** A held record was read again. */
  readonly onRead: (replica: Replica) => void;
  /** Received operations are missing in the present history of the engine. */
  readonly onFork: () => void;
  /** Asks the engine for its history. */
  readonly renew: () => Promise<unknown>;
  /** Whether the node is neither away nor recovering. */
  readonly isUp: () => boolean;
}

export class Buckets {
  readonly #options: BucketsOptions;
  readonly #chains: readonly Chain[];
  readonly #ticksAtMs: number[];
  /** Buckets that are being read again, and since when. */
  readonly #behind = new Map<number, number>();
  /** Reads of users that are not answered. */
  readonly #reading = new Set<{ readonly sinceMs: number }>();
  #generation = 0;

  constructor(options: BucketsOptions) {
    this.#options = options;
    this.#chains = Array.from({ length: options.count }, () => new Chain());
    this.#ticksAtMs = this.#chains.map(() => 0);
  }

  chain(bucket: number): Chain {
    return this.#chains[bucket] as Chain;
  }

  /** Every change that was not received yet has a larger version. */
  get leastClock(): number {
    return this.#chains.reduce((least, { clock }) => Math.min(least, clock), Infinity);
  }

  chainOf(user: string): Chain {
    return this.chain(bucketOf(user, this.#options.count));
  }

  /** The latest epoch of all buckets: before it, changes may have been lost. */
  get latestEpoch(): number {
    return this.#chains.reduce((latest, { epoch }) => Math.max(latest, epoch), 0);
  }

  get isBehind(): boolean {
    const nowMs = this.#options.now();
    const [oldest] = this.#reading;
    if (oldest !== undefined && nowMs - oldest.sinceMs > READ_WITHIN_MS) return true;
    return [...this.#behind.values()].some((sinceMs) => nowMs - sinceMs > BEHIND_MS);
  }

  /** Ignores the answers of all reads in flight. */
  restart(): void {
    this.#generation++;
    this.#behind.clear();
    this.#reading.clear();
  }

  receive(bucket: number, text: string): void {
    const message = readMessage(text);
    if (message === undefined) return;
    const { now, replicas, onReceived, host, events } = this.#options;
    const chain = this.chain(bucket);
    const { epoch } = chain;
    if (message.kind === 'state') {
      if (chain.receive(message.link, now()) === 'gap') void this.#catchUp(bucket);
      if (chain.epoch > epoch) for (const replica of replicas().of(bucket)) replicas().report(replica);
      return;
    }
    const { stored, before } = message.operation;
    const step = chain.receive({ last: stored.op, clock: stored.n, epoch, before }, now());
    const replica = replicas().get(userOf(text));
    if (step === 'next') {
      host.onOperation(stored.op, stored.t);
      replicas().noteErasure(stored);
      events.received(bucket, userOf(text), stored);
    }
    // Also during the first read of the record, because its answer may be older than this message and arrive later.
    if (step === 'next' && replica !== undefined) onReceived(replica, stored);
    else if (step === 'gap') void this.#catchUp(bucket);
  }

  /** Reads records for the first time. */
  async load(unknown: readonly Replica[]): Promise<void> {
    const buckets = new Map<number, Replica[]>();
    for (const replica of unknown) buckets.set(replica.bucket, [...(buckets.get(replica.bucket) ?? []), replica]);
    const loadOne = async ([bucket, replicas]: [number, Replica[]]): Promise<void> => {
      const users = replicas.map(({ user }) => user);
      const { records } = await this.#options.engine.read(bucket, users);
      for (const [i, replica] of replicas.entries()) this.#options.onReceived(replica, records[i]);
    };
    const reading = { sinceMs: this.#options.now() };
    this.#reading.add(reading);
    await Promise.all([...buckets].map(loadOne)).finally(() => this.#reading.delete(reading));
  }

  tick(): void {
    const { now, random, engine, host } = this.#options;
    const nowMs = now();
    for (const [bucket, chain] of this.#chains.entries()) {
      const silentMs = nowMs - chain.receivedAtMs;
      if (silentMs > DEAD_SUBSCRIPTION_MS && !this.#behind.has(bucket)) {
        host.onDeadSubscription();
        chain.resetSilence(nowMs);
        void this.#catchUp(bucket);
      } else if (chain.isOverdue(nowMs - OVERDUE_MS)) {
        void this.#catchUp(bucket);
      } else if (silentMs >= TICK_AFTER_MS && nowMs >= (this.#ticksAtMs[bucket] ?? 0)) {
        this.#ticksAtMs[bucket] = nowMs + TICK_AFTER_MS * (1 + random() / 2);
        engine.tick(bucket).catch(() => undefined);
      }
    }
  }

  /**
   * Reads all buckets again. Starts an epoch after a fork, and in a bucket without data, because states that clients
   * received before may be lost. `newOp` returns a new id of an operation.
   */
  async recover(hasForked: boolean, newOp: () => string): Promise<void> {
    const generation = this.#generation;
    const { now, engine, events } = this.#options;
    if (hasForked) events.forked();
    const recoverOne = async (chain: Chain, bucket: number): Promise<void> => {
      chain.resetSilence(now());
      if (hasForked && chain.clock > 0) await engine.epoch(bucket, chain.clock, newOp());
      if (generation === this.#generation) await this.#read(bucket);
      if (chain.epoch > 0 || generation !== this.#generation) return;
      await engine.epoch(bucket, 0, newOp());
      if (generation === this.#generation) await this.#read(bucket);
    };
    await Promise.all(this.#chains.map(recoverOne));
  }

  /** Reads one bucket again, because a message of it is missing. */
  async #catchUp(bucket: number): Promise<void> {
    if (this.#behind.has(bucket) || !this.#options.isUp()) return;
    this.#behind.set(bucket, this.#options.now());
    const generation = this.#generation;
    let isFork = false;
    try {
      // If the history is another one, the renewal starts a recovery of all buckets.
      await this.#options.renew();
      if (generation === this.#generation) isFork = await this.#read(bucket);
    } catch {
      // Either the engine is away, or the next message leads to another attempt.
    }
    if (generation !== this.#generation) return;
    this.#behind.delete(bucket);
    if (isFork) this.#options.onFork();
  }

  /** Returns whether received operations are missing in the history that was read. */
  async #read(bucket: number): Promise<boolean> {
    const { engine, replicas, now, onRead, isUp, events } = this.#options;
    const generation = this.#generation;
    const held = replicas().of(bucket);
    const users = held.map(({ user }) => user);
    const read = await engine.read(bucket, users);
    if (generation !== this.#generation) return false;
    if (read.clock < this.chain(bucket).clock && isUp()) return true;
    this.chain(bucket).resync(read, now());
    events.readAgain(
      bucket,
      held.filter(({ lost }, i) => lost !== undefined && (read.records[i]?.n ?? 0) < lost.n).map(({ user }) => user),
    );
    for (const [i, replica] of held.entries()) {
      replicas().replace(replica, read.records[i], now());
      onRead(replica);
    }
    return false;
  }
}
