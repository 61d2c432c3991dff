/**
 * An engine in the memory of one process, for the simulation and its tests. It can show the faults of a real one. The
 * caller provides time and delivery, so that a run can be repeated exactly.
 */
import {
  ALL_NODES,
  fitsDirectMessage,
  type BucketRead,
  type Engine,
  type EngineEvents,
  type Member,
  type Members,
  type Operation,
  type OperationAnswer,
  type Stored,
} from '../engine.ts';
import { readStored } from '../record/message.ts';

export interface MemoryOptions {
  /** The server's wall clock. */
  readonly clock: () => number;
  /** Delivers an answer or a message later. Must keep the order for each connection. */
  readonly later: (run: () => void, connection: string) => void;
}

/** Faults of one connection. `answers`: requests arrive, but their answers are lost. `messages`: messages are lost. */
export type Fault = 'none' | 'cut' | 'answers' | 'messages';

interface Bucket {
  last: string;
  clock: number;
  epoch: number;
  fences: string[];
  records: Map<string, string>;
  index: Map<string, Set<string>>;
}

interface Connection {
  readonly events: EngineEvents;
  fault: Fault;
  isOpen: boolean;
  /** The incarnation whose direct messages it receives. */
  inc: string;
}

export class MemoryEngine {
  readonly #options: MemoryOptions;
  readonly #connections = new Map<string, Connection>();
  #buckets = new Map<number, Bucket>();
  #members = new Map<string, Member>();
  #copy: { buckets: Map<number, Bucket>; members: Map<string, Member> } | undefined;
  #history = 1;
  #erasedAt = 0;
  #isPaused = false;
  #waiting: (() => void)[] = [];
  /** Scripts that were run. */
  calls = 0;

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  connect(name: string, events: EngineEvents): Engine {
    this.#connections.set(name, { events, fault: 'none', isOpen: true, inc: '' });
    const ask = <Answer>(run: () => Answer): Promise<Answer> => this.#ask(name, run);
    return {
      read: (bucket, users) => ask(() => this.#read(bucket, users)),
      change: (operation) => ask(() => this.#change(operation)),
      tick: (bucket) => ask(() => this.#tick(bucket)),
      forget: (bucket, user, n) => ask(() => this.#forget(bucket, user, n)),
      epoch: (bucket, floor, op) => ask(() => this.#epoch(bucket, floor, op)),
      renew: (self) => ask(() => this.#renew(name, self)),
      declareDead: (inc, beat) => ask(() => this.#declareDead(inc, beat)),
      fence: (bucket, inc) => ask(() => this.#fence(bucket, inc)),
      send: (to, text) =>
        fitsDirectMessage(text)
          ? ask(() => this.#send(to, text))
          : Promise.reject(new RangeError('the message is too long')),
    };
  }

  disconnect(name: string): void {
    this.#connections.delete(name);
  }

  /** Sets or ends a fault of one node's connection. The connection itself does not notice lost messages. */
  setFault(name: string, fault: Fault): void {
    const connection = this.#connections.get(name);
    if (connection === undefined) return;
    connection.fault = fault;
    const isOpen = fault !== 'cut' && !this.#isPaused;
    if (isOpen === connection.isOpen) return;
    connection.isOpen = isOpen;
    if (isOpen) connection.events.back();
    else connection.events.away();
  }

  /** Stops the server. It runs the requests that it received meanwhile at `resume`. */
  pause(): void {
    this.#isPaused = true;
    for (const { events } of this.#connections.values()) events.away();
    for (const connection of this.#connections.values()) connection.isOpen = false;
  }

  resume(): void {
    this.#isPaused = false;
    for (const run of this.#waiting.splice(0)) run();
    for (const connection of this.#connections.values()) {
      if (connection.fault === 'cut') continue;
      connection.isOpen = true;
      connection.events.back();
    }
  }

  /** Deletes all data. No connection notices. */
  flush(): void {
    this.#buckets = new Map();
    this.#members = new Map();
    this.#history++;
  }

  /** Copies the state, to which a later `failOver` returns. */
  replicate(): void {
    this.#copy = structuredClone({ buckets: this.#buckets, members: this.#members });
  }

  /** Another server takes over, with the state of the last `replicate`. */
  failOver(): void {
    const { buckets, members } = this.#copy ?? {
      buckets: new Map<number, Bucket>(),
      members: new Map<string, Member>(),
    };
    this.#buckets = structuredClone(buckets);
    this.#members = structuredClone(members);
    this.#history++;
  }

  record(bucket: number, user: string): Stored | undefined {
    return readStored(this.#bucket(bucket).records.get(user) ?? '');
  }

  #ask<Answer>(name: string, run: () => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        const connection = this.#connections.get(name);
        if (connection === undefined) return;
        if (connection.fault === 'cut') {
          this.#options.later(() => reject(new Error('no answer')), name);
          return;
        }
        const answer = run();
        const isLost = connection.fault === 'answers' || this.#isPaused;
        this.#options.later(() => (isLost ? reject(new Error('no answer')) : resolve(answer)), name);
      };
      if (this.#isPaused) {
        this.#waiting.push(() => void run());
        this.#options.later(() => reject(new Error('no answer')), name);
      } else {
        this.#options.later(arrive, name);
      }
    });
  }

  #bucket(bucket: number): Bucket {
    let found = this.#buckets.get(bucket);
    if (found === undefined) {
      found = { last: '-', clock: 0, epoch: 0, fences: [], records: new Map(), index: new Map() };
      this.#buckets.set(bucket, found);
    }
    return found;
  }

  #read(at: number, users: readonly string[]): BucketRead {
    const { last, clock, epoch, records } = this.#bucket(at);
    return { last, clock, epoch, records: users.map((user) => readStored(records.get(user) ?? '')) };
  }

  #change(operation: Operation): OperationAnswer {
    const { user, op, inc, expect, floor, isShown, body, pushed } = operation;
    const bucket = this.#bucket(operation.bucket);
    if (bucket.fences.includes(inc)) return { kind: 'fenced' };
    const old = readStored(bucket.records.get(user) ?? '');
    if (old?.op === op) return { kind: 'done', record: old };
    if ((old?.n ?? 0) !== expect) return { kind: 'moved', record: old };
    const t = this.#options.clock();
    const n = Math.max(t, bucket.clock + 1, expect + 1, floor + 1);
    const stamp = { n, v: isShown ? n : (old?.v ?? 0), op, t };
    const head = `${n} ${stamp.v} ${op} ${t}`;
    bucket.records.set(user, `${head} ${body}`);
    for (const name of operation.joins) bucket.index.set(name, (bucket.index.get(name) ?? new Set<string>()).add(user));
    for (const name of operation.leaves) bucket.index.get(name)?.delete(user);
    this.#publish(operation.bucket, `${user}\t${head}\t${bucket.last}\t${pushed}`);
    bucket.last = op;
    bucket.clock = n;
    // Events are not kept: this engine is for simulations of records.
    return { kind: 'ok', stamp, results: [] };
  }

  #tick(at: number): void {
    const bucket = this.#bucket(at);
    bucket.clock = Math.max(this.#options.clock(), bucket.clock + 1);
    this.#publish(at, `\t${bucket.last} ${bucket.clock} ${bucket.epoch}\t${bucket.last}`);
  }

  #forget(at: number, user: string, n: number): void {
    const { records } = this.#bucket(at);
    this.#erasedAt = Math.max(this.#erasedAt, n);
    if (readStored(records.get(user) ?? '')?.n === n) records.delete(user);
  }

  #epoch(at: number, floor: number, op: string): number {
    const bucket = this.#bucket(at);
    if (bucket.epoch > floor) return bucket.epoch;
    bucket.clock = Math.max(this.#options.clock(), bucket.clock + 1, floor + 1);
    bucket.epoch = bucket.clock;
    this.#publish(at, `\t${op} ${bucket.clock} ${bucket.epoch}\t${bucket.last}`);
    bucket.last = op;
    return bucket.epoch;
  }

  #renew(name: string, self: Member): Members {
    const connection = this.#connections.get(name);
    if (connection !== undefined) connection.inc = self.inc;
    if (this.#members.get(self.inc)?.state !== 'dead') this.#members.set(self.inc, self);
    return {
      members: [...this.#members.values()],
      history: String(this.#history),
      replicas: undefined,
      erasedAt: this.#erasedAt,
    };
  }

  #declareDead(inc: string, beat: number): boolean {
    const member = this.#members.get(inc);
    if (member?.state !== 'live' || member.beat !== beat) return false;
    this.#members.set(inc, { ...member, state: 'dead' });
    return true;
  }

  #fence(at: number, inc: string): readonly string[] {
    const bucket = this.#bucket(at);
    if (!bucket.fences.includes(inc)) bucket.fences.push(inc);
    return [...(bucket.index.get(inc) ?? [])];
  }

  #send(to: string, text: string): void {
    this.#deliver(
      ({ events }) => events.directMessage(text),
      ({ inc }) => to === ALL_NODES || to === inc,
    );
  }

  #publish(bucket: number, text: string): void {
    this.#deliver(({ events }) => events.message(bucket, text));
  }

  #deliver(give: (connection: Connection) => void, isFor: (connection: Connection) => boolean = () => true): void {
    for (const [name, connection] of this.#connections) {
      const { fault } = connection;
      if ((fault !== 'none' && fault !== 'answers') || !isFor(connection)) continue;
      this.#options.later(() => give(connection), name);
    }
  }
}
