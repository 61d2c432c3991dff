/**
 * Writes this node's sessions into the records of their users. At most one operation of a user is in flight; what
 * changes meanwhile goes with the next one. An operation whose answer is lost is repeated under its id, so that it
 * happens once. Decides neither what a record becomes (next-record.ts) nor when the engine may be asked (node.ts).
 */
import type { Chain } from './chain.ts';
import {
  MAX_IN_FLIGHT,
  type Engine,
  type EventStep,
  type Operation,
  type OperationAnswer,
  type Stored,
} from './engine.ts';
import type { NodeHost } from './node-options.ts';
import { nextRecord, type Context, type Own } from './record/next-record.ts';
import { decodeRecord, encodeErased, isErased, type UserRecord } from './record/record.ts';
import type { Replica, Replicas } from './replicas.ts';
import { bucketOf } from './bucket.ts';
import type { NodeEvents } from './node-events.ts';

export interface PublisherOptions {
  readonly engine: Engine;
  readonly replicas: Replicas;
  readonly chainOf: (bucket: number) => Chain;
  readonly buckets: number;
  readonly host: Pick<NodeHost, 'onWritten'>;
  readonly now: () => number;
  /** Undefined while nothing may be written. */
  readonly inc: () => string | undefined;
  readonly ownOf: (user: string, dirtyForMs: number) => Own;
  readonly contextOf: (
    user: string,
    bucket: number,
  ) => Omit<Context, 'latestBefore' | 'isLost' | 'written' | 'lostParts'>;
  readonly events: Pick<NodeEvents, 'stepsOf' | 'applied'>;
  /** The engine no longer accepts this incarnation. */
  readonly onFenced: () => void;
  /** The engine has lost a record since it was read: other nodes have to write their sessions again first. */
  readonly onLost: () => void;
  /** The record of a user is as this node wants it. `parts`: what is in it. */
  readonly onSettled: (user: string, record: UserRecord | undefined) => void;
}

const NO_STEPS: readonly EventStep[] = [];

export class Publisher {
  readonly #options: PublisherOptions;
  /** Users whose record may have to change, and since when. */
  readonly #dirty = new Map<string, number>();
  /** The oldest change in the operation of each user, since when. */
  readonly #inFlight = new Map<string, number>();
  /** Who waits until the changes of a user are written. */
  readonly #waiting = new Map<string, (() => void)[]>();
  /** Bodies of operations in flight, by id. */
  readonly #bodies = new Map<string, string>();
  #operations = 0;
  #generation = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#dirty.size === 0 && this.#inFlight.size === 0;
  }

  scheduleWrite(user: string): void {
    if (!this.#dirty.has(user)) this.#dirty.set(user, this.#options.now());
    this.pump();
  }

  /** Whether a change of the user is not written yet. */
  isWriting(user: string): boolean {
    return this.#dirty.has(user) || this.#inFlight.has(user);
  }

  /** Resolves when all changes of the user until now are written; undefined if they are. */
  written(user: string): Promise<void> | undefined {
    if (!this.isWriting(user)) return undefined;
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(user);
      if (waiting === undefined) this.#waiting.set(user, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** Whether a change has not been written for that long. In a backlog, the first ones are the oldest. */
  isBehind(ms: number): boolean {
    const untilMs = this.#options.now() - ms;
    for (const sinceMs of this.#inFlight.values()) if (sinceMs <= untilMs) return true;
    for (const sinceMs of this.#dirty.values()) if (sinceMs <= untilMs) return true;
    return false;
  }

  /** Forgets what is in flight, because the engine was away: records are read again before anything is written. */
  restart(): void {
    this.#generation++;
    for (const [user, sinceMs] of this.#inFlight) this.#dirty.set(user, sinceMs);
    this.#inFlight.clear();
  }

  pump(): void {
    if (this.#options.inc() === undefined) return;
    for (const [user, sinceMs] of this.#dirty) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      if (this.#inFlight.has(user)) continue;
      this.#inFlight.set(user, sinceMs);
      void this.#publish(user, sinceMs, this.#generation);
    }
  }

  /** What was heard, with the sessions that the message of an operation of this node left out. */
  whole<Heard extends Stored | undefined>(heard: Heard): Heard {
    const body = heard && this.#bodies.get(heard.op);
    return body === undefined ? heard : { ...heard, body };
  }

  /** An id that no other operation of any node ever has. */
  nextId(inc: string): string {
    return `${inc}.${(++this.#operations).toString(36)}`;
  }

  /**
   * Replaces the record of a user by one that says only that the user was erased. Returns its number, above which nothing
   * of the user is older; without a record, the clock of the bucket. Rejects if this node may not write, or if no
   * answer is known; it may be erased then.
   */
  async erase(user: string): Promise<number> {
    const bucket = bucketOf(user, this.#options.buckets);
    const { engine, chainOf, now } = this.#options;
    const read = await engine.read(bucket, [user]);
    for (let stored = read.records[0]; stored !== undefined;) {
      const record = decodeRecord(stored);
      if (isErased(record)) return record.n;
      const answer = await this.#ask(this.#erasureOf(user, bucket, record), this.#generation);
      if (answer.kind === 'fenced') throw new Error('this node was declared dead');
      if (answer.kind === 'ok') {
        chainOf(bucket).acknowledged(answer.stamp.op, answer.stamp.n, now());
        return answer.stamp.n;
      }
      stored = answer.record;
    }
    return read.clock;
  }

  /** Deletes the record of an erased user, once all nodes know it. Rejects if no answer is known. */
  forget(user: string, n: number): Promise<void> {
    return this.#options.engine.forget(bucketOf(user, this.#options.buckets), user, n);
  }

  #erasureOf(user: string, bucket: number, { n, v, hidden, parts }: UserRecord): Operation {
    const { inc: incNow, contextOf } = this.#options;
    const inc = incNow();
    if (inc === undefined) throw new Error('the engine is away');
    const body = encodeErased(contextOf(user, bucket).offline.code);
    const versions = [v, ...Array.from(hidden.values(), (frozen) => frozen.v)];
    return {
      user,
      bucket,
      op: this.nextId(inc),
      inc,
      expect: n,
      floor: Math.max(n, ...versions),
      // One who was never seen stays a user never seen.
      isShown: versions.some((version) => version > 0),
      body,
      pushed: body,
      joins: [],
      leaves: Object.keys(parts ?? {}),
      steps: NO_STEPS,
    };
  }

  async #publish(user: string, sinceMs: number, generation: number): Promise<void> {
    this.#dirty.delete(user);
    const waiting = this.#waiting.get(user) ?? [];
    this.#waiting.delete(user);
    let isDone = false;
    try {
      isDone = await this.#write(user, sinceMs, generation);
    } catch {
      // No answer. If the engine is away, the node says so, and everything starts again when it is back.
    }
    if (isDone) for (const resolve of waiting) resolve();
    else if (waiting.length > 0) this.#waiting.set(user, [...waiting, ...(this.#waiting.get(user) ?? [])]);
    if (generation !== this.#generation) return;
    this.#inFlight.delete(user);
    if (!isDone) this.#dirty.set(user, Math.min(sinceMs, this.#dirty.get(user) ?? Infinity));
    if (!this.#dirty.has(user)) this.#resolve(user);
    if (isDone) this.pump();
  }

  #resolve(user: string): void {
    const waiting = this.#waiting.get(user) ?? [];
    this.#waiting.delete(user);
    for (const resolve of waiting) resolve();
  }

  /** Returns whether nothing is left to write. */
  async #write(user: string, sinceMs: number, generation: number): Promise<boolean> {
    const { engine, replicas, now, onFenced, onLost, onSettled, host } = this.#options;
    const bucket = bucketOf(user, this.#options.buckets);
    const held = replicas.get(user);
    let base: UserRecord | undefined;
    if (held !== undefined && hasParts(held)) base = held.record;
    else base = this.#read(held, (await engine.read(bucket, [user])).records[0]);
    for (;;) {
      const inc = this.#options.inc();
      if (inc === undefined || generation !== this.#generation) return false;
      if (base === undefined && held?.record !== undefined && !isErased(held.record)) {
        onLost();
        return false;
      }
      const operation = this.#next(user, bucket, inc, held, base, now() - sinceMs);
      const before = base ?? held?.lost;
      if (operation === undefined) {
        if (base !== undefined) host.onWritten(user, base, base);
        onSettled(user, base);
        return true;
      }
      this.#bodies.set(operation.op, operation.body);
      const answer = await this.#ask(operation, generation).finally(() => this.#bodies.delete(operation.op));
      if (generation !== this.#generation) return false;
      if (answer.kind === 'fenced') {
        onFenced();
        return false;
      }
      const stored = answer.kind === 'ok' ? { ...answer.stamp, body: operation.body } : answer.record;
      if (answer.kind === 'ok') {
        this.#options.chainOf(bucket).acknowledged(operation.op, answer.stamp.n, now());
        this.#options.events.applied(operation.steps, answer.results);
      }
      base = this.#read(held, stored);
      if (answer.kind !== 'moved') {
        if (base !== undefined) host.onWritten(user, before, base);
        onSettled(user, base);
        return true;
      }
    }
  }

  /** Once more under the same id if the answer is lost: an operation that happened is answered `done`. */
  async #ask(operation: Operation, generation: number): Promise<OperationAnswer> {
    try {
      return await this.#options.engine.change(operation);
    } catch (error) {
      if (this.#options.inc() === undefined || generation !== this.#generation) throw error;
      return this.#options.engine.change(operation);
    }
  }

  #read(held: Replica | undefined, stored: Stored | undefined): UserRecord | undefined {
    if (held !== undefined) this.#options.replicas.receive(held, stored, this.#options.now());
    return stored === undefined ? undefined : decodeRecord(stored);
  }

  #next(
    user: string,
    bucket: number,
    inc: string,
    held: Replica | undefined,
    base: UserRecord | undefined,
    dirtyForMs: number,
  ): Operation | undefined {
    const { now, contextOf, ownOf, events } = this.#options;
    const context = contextOf(user, bucket);
    const lost = base === undefined ? held?.lost : undefined;
    const record = lost === undefined ? base : lostRecord(lost);
    const patch = nextRecord(record, ownOf(user, dirtyForMs), {
      ...context,
      latestBefore: (ageMs) => held?.latestBefore(now() - ageMs) ?? 0,
      written: held?.writtenBy(inc) ?? [],
      lostParts: held?.lost?.parts ?? {},
      // Whoever was never seen stays a user never seen.
      isLost: lost !== undefined && (held?.reportedV ?? 0) > 0,
    });
    if (patch === undefined) return undefined;
    const { from, to, origin, ...rest } = patch;
    const floor = Math.max(base?.n ?? 0, held?.reportedV ?? 0, patch.floor);
    const steps = patch.isShown ? events.stepsOf({ user, from, to, origin, isLost: lost !== undefined }) : NO_STEPS;
    return { user, bucket, op: this.nextId(inc), inc, expect: base?.n ?? 0, ...rest, floor, steps };
  }
}

function hasParts({ isKnown, record }: Replica): boolean {
  return isKnown && record?.parts !== null;
}

/** What stands for a record that the engine lost: its entry and its blocks are known, its sessions are not. */
function lostRecord(lost: UserRecord): UserRecord {
  return { ...lost, n: 0, op: '-', t: 0, parts: {} };
}
