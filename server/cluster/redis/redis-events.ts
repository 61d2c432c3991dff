/** The webhook events of a cluster in Redis: implements the port with scripts. Validates what it reads. */
import { z } from 'zod';
import type { StepResult } from '../engine.ts';
import type {
  BatchCounts,
  BucketCounts,
  Claim,
  EventStore,
  PlacedEvent,
  RestateOptions,
  StoredBatch,
  Taken,
  TakenEvent,
} from '../webhooks/event-store.ts';
import {
  CLAIM,
  CLEAR,
  COUNT,
  COUNT_SENT,
  DELETE,
  FIND,
  FIRST,
  FORGET,
  FORGET_DEAD,
  NAMES,
  POSTPONE,
  RELEASE,
  REPLACE_BATCH,
  REPLAY,
  RESTATE,
  SETTLE,
  STORE,
  TAKE,
  UNNAME,
} from './event-scripts.ts';
import type { RedisEngine } from './redis-engine.ts';

/** How long a claim lasts without renewal. Longer than an attempt to send. */
const HELD_MS = 15_000;
const RULES = 'w';
/** Maximum dead events of a rule that are searched for one user. */
const MOST_READ = 100_000;
const RESTATE_RESULTS: Readonly<Record<string, StepResult>> = { n: 'new', s: 'replaced', d: 'dropped' };

const placed = z.object({ bucket: z.int().min(0), user: z.string().max(128), id: z.string().max(250) });
const batchForm = z.object({
  id: z.string().max(64),
  body: z.string(),
  count: z.int().min(0),
  formedAt: z.number(),
  attempts: z.int().min(0),
  nextAt: z.number(),
  taken: z.array(placed),
});

export class RedisEvents implements EventStore {
  readonly #engine: RedisEngine;
  readonly #buckets: number;
  readonly #wallMs: () => number;

  constructor(engine: RedisEngine, buckets: number, wallMs: () => number) {
    this.#engine = engine;
    this.#buckets = buckets;
    this.#wallMs = wallMs;
  }

  async take(
    bucket: number,
    rule: string,
    { limit, afterMs, wantsUsers }: { limit: number; afterMs: number; wantsUsers: boolean },
  ): Promise<Taken> {
    const args = [limit, afterMs, wantsUsers ? 1 : 0];
    const answer = (await this.#engine.script(
      bucket,
      TAKE,
      [`q:${rule}`, `e:${rule}`, `t:${rule}`],
      args,
    )) as unknown[];
    const fields = (answer[0] as unknown[]).map(String);
    const next = String(answer[1]);
    const events: TakenEvent[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const event = readEvent(fields[i] ?? '', fields[i + 1] ?? '');
      if (event !== undefined) events.push(event);
      else await this.eraseUser(fields[i] ?? '', bucket, rule); // written by a foreign program
    }
    return { events, nextInMs: next === '' ? undefined : Number(next), users: texts(answer[2]) };
  }

  async clear(rule: string, events: readonly PlacedEvent[]): Promise<void> {
    const byBucket = new Map<number, string[]>();
    for (const { bucket, user, id } of events) {
      byBucket.set(bucket, [...(byBucket.get(bucket) ?? []), user, id]);
    }
    await Promise.all([...byBucket].map(([bucket, args]) => this.#engine.script(bucket, CLEAR, [`t:${rule}`], args)));
  }

  async restate(
    bucket: number,
    rule: string,
    users: readonly string[],
    { op, on, afterMs, most }: RestateOptions,
  ): Promise<readonly StepResult[]> {
    const names = [`q:${rule}`, `e:${rule}`, ...users.map((user) => `r:${user}`)];
    const answer = await this.#engine.script(bucket, RESTATE, names, [
      op,
      rule,
      `,${on.join()},`,
      afterMs,
      most,
      ...users,
    ]);
    return Array.from(String(answer), (sign) => RESTATE_RESULTS[sign] ?? 'new');
  }

  async counts(bucket: number, rules: readonly string[]): Promise<readonly BucketCounts[]> {
    const names = rules.flatMap((rule) => [`q:${rule}`, `t:${rule}`]);
    const found = ((await this.#engine.script(bucket, COUNT, names, [])) as unknown[]).map(String);
    return rules.map((_, i) => {
      const [waiting, taken, oldest = ''] = found.slice(3 * i, 3 * i + 3);
      return {
        waiting: Number(waiting),
        taken: Number(taken),
        oldestForMs: oldest === '' ? undefined : Number(oldest),
      };
    });
  }

  async claim(rule: string, sender: string, over = ''): Promise<Claim> {
    const answer = (await this.#members(CLAIM, rule, 'cbp', [sender, HELD_MS, over])) as [string, string, number?];
    if (answer[0] !== 'granted') return { kind: 'refused', holder: answer[1] };
    return { kind: 'granted', batch: readBatch(answer[1]), replayed: Number(answer[2]) };
  }

  async release(rule: string, sender: string): Promise<void> {
    await this.#members(RELEASE, rule, 'c', [sender]);
  }

  async store(rule: string, sender: string, batch: StoredBatch, replayed: number): Promise<boolean> {
    return (await this.#members(STORE, rule, 'cbp', [sender, textOf(batch), replayed])) === 1;
  }

  async postpone(rule: string, sender: string, { id, attempts, nextAt }: StoredBatch): Promise<void> {
    await this.#members(POSTPONE, rule, 'cb', [sender, id, attempts, nextAt]);
  }

  async settle(
    rule: string,
    sender: string,
    batchId: string,
    dead: readonly string[],
    mostDead: number,
  ): Promise<void> {
    await this.#members(SETTLE, rule, 'cbd', [sender, batchId, mostDead, ...dead]);
  }

  async replayed(rule: string, limit: number): Promise<readonly string[]> {
    return texts(await this.#members(FIRST, rule, 'p', [limit]));
  }

  async replay(rule: string): Promise<number> {
    let count = 0;
    for (;;) {
      const moved = Number(await this.#members(REPLAY, rule, 'dp', []));
      count += moved;
      if (moved === 0) return count;
    }
  }

  async batchCounts(rule: string): Promise<BatchCounts> {
    const [batch, replayed, dead] = (await this.#members(COUNT_SENT, rule, 'bpd', [])) as [string, number, number];
    const { count = 0, formedAt } = readBatch(batch) ?? {};
    return { sent: count, sentForMs: formedAt && this.#wallMs() - formedAt, replayed, dead };
  }

  async rules(): Promise<readonly string[]> {
    return texts(await this.#engine.script(null, NAMES, [RULES], []));
  }

  async addRule(rule: string): Promise<void> {
    await this.#engine.script(null, NAMES, [RULES], [rule]);
  }

  async dropRule(rule: string): Promise<void> {
    const dropOne = (_: unknown, bucket: number): Promise<unknown> =>
      this.#engine.script(bucket, DELETE, [`q:${rule}`, `e:${rule}`, `t:${rule}`], []);
    await Promise.all(Array.from({ length: this.#buckets }, dropOne));
    await this.#members(DELETE, rule, 'cbdp', []);
    await this.#engine.script(null, UNNAME, [RULES], [rule]);
  }

  async eventsOf(
    user: string,
    bucket: number,
    rule: string,
  ): Promise<{ sent: readonly string[]; waiting: readonly TakenEvent[] }> {
    const [batch] = (await this.#members(COUNT_SENT, rule, 'bpd', [])) as [string];
    const [dead, replayed] = await Promise.all(['d', 'p'].map((name) => this.#members(FIRST, rule, name, [MOST_READ])));
    const inBatch = eventsIn(readBatch(batch)?.body);
    const sent = [...texts(dead), ...texts(replayed), ...inBatch].filter((event) => userOf(event) === user);
    const found = texts(await this.#engine.script(bucket, FIND, [`e:${rule}`, `t:${rule}`], [user]));
    return { sent, waiting: found.flatMap((text) => readEvent(user, text) ?? []) };
  }

  async eraseUser(user: string, bucket: number, rule: string): Promise<void> {
    await this.#engine.script(bucket, FORGET, [`q:${rule}`, `e:${rule}`, `t:${rule}`], [user]);
    await this.#eraseFromBatch(user, rule);
    await this.#members(FORGET_DEAD, rule, 'dp', [user]);
  }

  async #eraseFromBatch(user: string, rule: string): Promise<void> {
    for (let isDone = false; !isDone;) {
      const [text] = (await this.#members(COUNT_SENT, rule, 'bpd', [])) as [string];
      const batch = readBatch(text);
      const events = eventsIn(batch?.body);
      const rest = events.filter((event) => userOf(event) !== user);
      if (batch === undefined || rest.length === events.length) return;
      const body = JSON.stringify({
        ...(JSON.parse(batch.body) as object),
        events: rest.map((one): unknown => JSON.parse(one)),
      });
      const taken = batch.taken.filter((one) => one.user !== user);
      const left = rest.length === 0 ? '' : textOf({ ...batch, body, count: rest.length, taken });
      isDone = (await this.#members(REPLACE_BATCH, rule, 'b', [text, left])) === 1;
    }
  }

  /** Runs a script with keys of a rule outside the buckets, each named by one letter. */
  #members(script: string, rule: string, letters: string, args: readonly (string | number)[]): Promise<unknown> {
    const names = Array.from(letters, (letter) => `${letter}:${rule}`);
    return this.#engine.script(null, script, names, args);
  }
}

/** The scripts expect the id at the beginning, and `attempts` before `nextAt`. */
function textOf({ id, body, count, formedAt, attempts, nextAt, taken }: StoredBatch): string {
  return JSON.stringify({ id, body, count, formedAt, attempts, nextAt, taken });
}

/** The events of a message, as JSON. */
export function eventsIn(body: string | undefined): readonly string[] {
  if (body === undefined) return [];
  return (JSON.parse(body) as { events: unknown[] }).events.map((event) => JSON.stringify(event));
}

function userOf(event: string): unknown {
  return (JSON.parse(event) as { entry?: { user?: unknown } }).entry?.user;
}

function readEvent(user: string, text: string): TakenEvent | undefined {
  const found = /^([\w.@:-]{1,250}) (online|away|busy|offline) (online|away|busy|offline) (\w{1,20}) [01] (.*)$/s.exec(
    text,
  );
  if (found === null) return undefined;
  const [, id = '', from = '', status = '', cause = '', record = ''] = found;
  return { user, id, from, status, cause, record };
}

function readBatch(text: string): StoredBatch | undefined {
  try {
    return text === '' ? undefined : batchForm.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function texts(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String).filter((text) => text !== '') : [];
}
