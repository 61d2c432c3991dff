/**
 * An engine that asks a database about users that the store does not know, and restores them before anyone is shown them.
 * So a store that lost its data does not reveal blocked users. If the database does not answer, the state of such a user
 * is unknown, and the read fails.
 */
import { isVisible, type Shown } from '../../presence/fold.ts';
import type { BucketRead, Engine, EngineEvents, Member, Members, Operation, OperationAnswer } from '../engine.ts';
import { encodeBody, encodeEntry } from '../record/record.ts';
import type { KeptUser, UserStore } from './port.ts';

export interface RestoringOptions {
  readonly engine: Engine;
  readonly users: Pick<UserStore, 'recall'>;
  readonly offline: Shown;
  /** The incarnation of this node now. */
  readonly inc: () => string;
  /** Whether this node has read or heard of the user before: then the database is not asked again. */
  readonly knows: (user: string) => boolean;
}

interface Asked {
  readonly user: string;
  readonly resolve: (kept: KeptUser | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class RestoringEngine implements Engine {
  readonly #options: RestoringOptions;
  #asked: Asked[] = [];
  #count = 0;

  constructor(options: RestoringOptions) {
    if (isVisible(options.offline)) throw new Error('offline is no status of a present user');
    this.#options = options;
  }

  async read(bucket: number, users: readonly string[]): Promise<BucketRead> {
    const { engine, knows } = this.#options;
    const read = await engine.read(bucket, users);
    const unknown = users.filter((user, i) => read.records[i] === undefined && !knows(user));
    if (unknown.length === 0) return read;
    const kept = (await Promise.all(unknown.map((user) => this.#recall(user)))).filter((one) => one !== undefined);
    if (kept.length === 0) return read;
    await Promise.all(kept.map((one) => this.#restore(bucket, one)));
    return engine.read(bucket, users);
  }

  change(operation: Operation): Promise<OperationAnswer> {
    return this.#options.engine.change(operation);
  }

  tick(bucket: number): Promise<void> {
    return this.#options.engine.tick(bucket);
  }

  forget(bucket: number, user: string, n: number): Promise<void> {
    return this.#options.engine.forget(bucket, user, n);
  }

  epoch(bucket: number, floor: number, op: string): Promise<number> {
    return this.#options.engine.epoch(bucket, floor, op);
  }

  renew(self: Member): Promise<Members> {
    return this.#options.engine.renew(self);
  }

  declareDead(inc: string, beat: number): Promise<boolean> {
    return this.#options.engine.declareDead(inc, beat);
  }

  fence(bucket: number, inc: string): Promise<readonly string[]> {
    return this.#options.engine.fence(bucket, inc);
  }

  send(to: string, text: string): Promise<void> {
    return this.#options.engine.send(to, text);
  }

  /** All who are asked about in one turn of the event loop cost one query. */
  #recall(user: string): Promise<KeptUser | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#asked.length === 0) setImmediate(() => void this.#ask());
      this.#asked.push({ user, resolve, reject });
    });
  }

  async #ask(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    try {
      const kept = await this.#options.users.recall([...new Set(asked.map(({ user }) => user))]);
      for (const { user, resolve } of asked) resolve(kept.get(user));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }

  /** If another node was faster, its record stays. */
  async #restore(bucket: number, { user, since, lastSeen, v, n, hidden }: KeptUser): Promise<void> {
    const { engine, offline, inc } = this.#options;
    const { status, code, shownDevices: devices, text } = offline;
    const entry = encodeEntry({ status, code, devices, text, since, lastSeen, sign: null, origin: '', hidden });
    const answer = await engine.change({
      user,
      bucket,
      op: `${inc()}+${(++this.#count).toString(36)}`, // no operation of the publisher has such an id
      inc: inc(),
      expect: 0,
      floor: Math.max(v, n, ...Array.from(hidden.values(), (frozen) => frozen.v)),
      isShown: v > 0,
      body: encodeBody(entry, {}),
      pushed: encodeBody(entry, {}),
      joins: [],
      leaves: [],
      steps: [],
    });
    if (answer.kind === 'fenced') throw new Error('this node was declared dead');
  }
}

interface Connection {
  connect(events: EngineEvents): void;
  stop(): void;
  replacePush(): Promise<void>;
}

/** The connection to a store, with another engine in front. */
export function withEngine(connection: Connection, engine: Engine): Connection & { readonly engine: Engine } {
  return {
    engine,
    connect: (events) => connection.connect(events),
    stop: () => connection.stop(),
    replacePush: () => connection.replacePush(),
  };
}
