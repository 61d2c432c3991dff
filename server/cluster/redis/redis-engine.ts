/**
 * The engine on Redis: turns operations into scripts and reads their answers. Opens no connections and knows no deadlines.
 * The supervisor gives it a function that sends commands.
 */
import { createHash } from 'node:crypto';
import { bucketTags, hashSlot } from '../bucket.ts';
import {
  fitsDirectMessage,
  type BucketRead,
  type Engine,
  type EventStep,
  type Member,
  type Members,
  type Operation,
  type OperationAnswer,
  type StepResult,
  type Stored,
} from '../engine.ts';
import { readStored } from '../record/message.ts';
import { DECLARE_DEAD, EPOCH, ERASED_UP_TO, FENCE, FORGET_RECORD, REGISTER, RENEW, TICK } from './scripts.ts';

/** Sends one command to the server of a slot. Rejects with an error of Redis, or if there is no answer. */
export type Send = (slot: number, args: readonly string[]) => Promise<unknown>;

/** How long dead incarnations are remembered and fenced. */
const REMEMBERED_MS = 86_400_000;
/** Hash tag of keys about nodes instead of users. */
const MEMBERS_TAG = 'm';
export const MEMBERS_SLOT = hashSlot(MEMBERS_TAG);
/** Beside the members. No incarnation has this name, and its value is not the state of one. */
const ERASED_FIELD = '*';
/** Digests of scripts, computed at their first use. */
const shas = new Map<string, string>();
const STEP_RESULTS: Readonly<Record<string, StepResult>> = { n: 'new', r: 'replaced', d: 'dropped' };

export interface RedisEngineOptions {
  readonly send: Send;
  readonly prefix: string;
  readonly buckets: number;
  /**
   * Identifies the servers and their replication, and counts their replicas. If `servers` changes, a server was restarted or
   * promoted, so operations may be lost.
   */
  readonly facts: () => Promise<{ readonly servers: string; readonly replicas: number | undefined }>;
  /** Receives the direct messages to this incarnation from now on. */
  readonly subscribeAs: (inc: string) => Promise<void>;
  /** A name for a new history. */
  readonly newHistory: () => string;
}

export class RedisEngine implements Engine {
  readonly #options: RedisEngineOptions;
  readonly #tags: readonly string[];
  readonly #slots: readonly number[];

  constructor(options: RedisEngineOptions) {
    this.#options = options;
    this.#tags = bucketTags(options.buckets);
    this.#slots = this.#tags.map(hashSlot);
  }

  /** The shard channel on which a bucket is published. */
  channel(bucket: number): string {
    return this.#key(bucket, 'c');
  }

  /** The shard channel for direct messages to one incarnation, or to all nodes. */
  directChannel(to: string): string {
    return this.#memberKey(`to:${to}`);
  }

  async read(bucket: number, users: readonly string[]): Promise<BucketRead> {
    const keys = [this.#key(bucket, 'm'), ...users.map((user) => this.#key(bucket, `r:${user}`))];
    const [meta, ...records] = texts(await this.#options.send(this.#slot(bucket), ['MGET', ...keys]));
    const [last = '-', clock = '0', epoch = '0'] = meta === undefined ? [] : meta.split(' ');
    return { last, clock: Number(clock), epoch: Number(epoch), records: records.map((text) => readStored(text ?? '')) };
  }

  async change(operation: Operation): Promise<OperationAnswer> {
    const { user, bucket, op, inc, expect, floor, isShown, body, pushed, joins, leaves, steps } = operation;
    const indexes = [...joins, ...leaves].map((name) => this.#key(bucket, `i:${name}`));
    const queues = steps.flatMap(({ rule }) => [`q:${rule}`, `e:${rule}`].map((name) => this.#key(bucket, name)));
    const keys = [this.#key(bucket, 'm'), this.#key(bucket, `r:${user}`), ...indexes, ...queues];
    const signs = '+'.repeat(joins.length) + '-'.repeat(leaves.length);
    const numbers = [String(expect), String(floor), isShown ? '1' : '0'];
    const args = [op, inc, ...numbers, this.channel(bucket), user, body, pushed, signs, ...steps.flatMap(stepArgs)];
    const [kind, text = '', results = ''] = texts(await this.#run(this.#slot(bucket), REGISTER, keys, args));
    if (kind === 'fenced') return { kind };
    if (kind === 'moved') return { kind, record: readStored(text) };
    if (kind === 'done') return { kind, record: known(text) };
    const { n, v, t } = known(`${text} `);
    return { kind: 'ok', stamp: { n, v, op, t }, results: Array.from(results, (sign) => STEP_RESULTS[sign] ?? 'new') };
  }

  async forget(bucket: number, user: string, n: number): Promise<void> {
    // Before the record is gone, so that no node that starts later can miss both.
    await this.#run(MEMBERS_SLOT, ERASED_UP_TO, [this.#memberKey('n')], [ERASED_FIELD, String(n)]);
    await this.#run(this.#slot(bucket), FORGET_RECORD, [this.#key(bucket, `r:${user}`)], [String(n)]);
  }

  async tick(bucket: number): Promise<void> {
    await this.#run(this.#slot(bucket), TICK, [this.#key(bucket, 'm')], [this.channel(bucket)]);
  }

  async epoch(bucket: number, floor: number, op: string): Promise<number> {
    return Number(
      await this.#run(this.#slot(bucket), EPOCH, [this.#key(bucket, 'm')], [this.channel(bucket), String(floor), op]),
    );
  }

  async renew({ inc, beat, state, facts }: Member): Promise<Members> {
    const keys = [this.#memberKey('n'), this.#memberKey('h')];
    const args = [inc, String(beat), state, facts, this.#options.newHistory()];
    await this.#options.subscribeAs(inc);
    const [{ servers, replicas }, answer] = await Promise.all([
      this.#options.facts(),
      this.#run(MEMBERS_SLOT, RENEW, keys, args),
    ]);
    const [history, all] = answer as [string, unknown];
    const fields = texts(all);
    const members: Member[] = [];
    let erasedAt = 0;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const member = readMember(fields[i] ?? '', fields[i + 1] ?? '');
      if (member !== undefined) members.push(member);
      else if (fields[i] === ERASED_FIELD) erasedAt = Number(fields[i + 1]) || 0; // a foreign writer may have set it
    }
    return { members, history: `${servers}/${history}`, replicas, erasedAt };
  }

  async declareDead(inc: string, beat: number): Promise<boolean> {
    return (
      (await this.#run(
        MEMBERS_SLOT,
        DECLARE_DEAD,
        [this.#memberKey('n')],
        [inc, String(beat), String(REMEMBERED_MS)],
      )) === 1
    );
  }

  async fence(bucket: number, inc: string): Promise<readonly string[]> {
    const keys = [this.#key(bucket, 'm'), this.#key(bucket, `i:${inc}`)];
    return texts(await this.#run(this.#slot(bucket), FENCE, keys, [inc, String(REMEMBERED_MS)])).flatMap(
      (user) => user ?? [],
    );
  }

  /** Runs a script with keys of one bucket, or with those of all nodes (null). */
  script(
    bucket: number | null,
    script: string,
    names: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const keys = names.map((name) => (bucket === null ? this.#memberKey(name) : this.#key(bucket, name)));
    return this.#run(bucket === null ? MEMBERS_SLOT : this.#slot(bucket), script, keys, args.map(String));
  }

  async send(to: string, text: string): Promise<void> {
    if (!fitsDirectMessage(text)) throw new RangeError('the message is too long');
    await this.#options.send(MEMBERS_SLOT, ['SPUBLISH', this.directChannel(to), text]);
  }

  #key(bucket: number, name: string): string {
    return `${this.#options.prefix}{${this.#tags[bucket] ?? ''}}:${name}`;
  }

  #slot(bucket: number): number {
    return this.#slots[bucket] ?? 0;
  }

  #memberKey(name: string): string {
    return `${this.#options.prefix}{${MEMBERS_TAG}}:${name}`;
  }

  /** Sends the script itself if the server does not know its digest, because it was just started. */
  async #run(slot: number, script: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    let sha = shas.get(script);
    if (sha === undefined) shas.set(script, (sha = sha1(script)));
    try {
      return await this.#options.send(slot, ['EVALSHA', sha, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return this.#options.send(slot, ['EVAL', script, ...rest]);
    }
  }
}

function stepArgs({ rule, event }: EventStep): string[] {
  if (event === null) return [rule, '', '0', '0'];
  const { from, status, cause, isNews, afterMs, most } = event;
  return [rule, `${from} ${status} ${cause} ${isNews ? 1 : 0}`, String(afterMs), String(most)];
}

function sha1(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}

function texts(answer: unknown): (string | undefined)[] {
  if (!Array.isArray(answer)) throw new Error('the answer of Redis is not a list');
  return answer.map((value: unknown) => (typeof value === 'string' ? value : undefined));
}

function known(text: string): Stored {
  const stored = readStored(text);
  if (stored === undefined) throw new Error('the answer of Redis is not a record');
  return stored;
}

function readMember(inc: string, text: string): Member | undefined {
  const found = /^(\d+) (live|left|dead) (.*)$/.exec(text);
  if (found === null) return undefined;
  return { inc, beat: Number(found[1]), state: found[2] as Member['state'], facts: found[3] ?? '' };
}
