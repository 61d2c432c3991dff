/**
 * What this hub waits for because of the other nodes of the cluster, and for how long. Also drops the records of users
 * that the hub no longer needs.
 */
import { z } from 'zod';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import { PeersUnavailable, type Peers, type HttpSessionValues } from '../../peers.ts';
import type { User } from '../../presence/user.ts';
import type { Calls } from '../calls.ts';
import { Conditions } from '../conditions.ts';
import type { ClusterNode } from '../node.ts';
import { continuedBy } from '../record/one-per-device.ts';

/** How long an answer waits for the store. */
const ANSWER_WITHIN_MS = 1000;
/** How long a watch waits for the store. */
const WATCH_WITHIN_MS = 30_000;
/** How long an unneeded record stays. The caller that asked for it uses it within this time. */
const KEPT_MS = 5000;
/** How long a goodbye counts, for sessions that are still on their way into a record. */
const GOODBYE_MS = 5000;
const MOST_GOODBYES = 50;
const SWEPT_AT_ONCE = 10_000;

export interface ClusterPeersOptions {
  readonly node: ClusterNode;
  readonly findUser: (user: string) => User | undefined;
  /** A clock in milliseconds that never goes back. */
  readonly nowMs: () => number;
  /** An answer could not wait any longer: watchers must know that views may be behind. */
  readonly onLate: () => void;
  /** Schedules writing the sessions of a user, after this step. */
  readonly scheduleWrite: (user: string) => void;
  /** Has changes written that were noted in this turn. */
  readonly writeNow: () => void;
  readonly calls: Pick<Calls, 'on' | 'call'>;
  /** Ends waiting sessions of that user and device on this node. */
  readonly leaveHere: (user: string, device: string) => void;
}

const goodbyeForm = z.object({ user: z.string().max(128), device: z.string().max(64) });

interface Goodbye {
  readonly device: string;
  readonly atMs: number;
}

export class ClusterPeers implements Peers {
  readonly #options: ClusterPeersOptions;
  readonly #conditions = new Conditions();
  /** Users whose record may not be needed, since when. In order. */
  readonly #unneeded = new Map<string, number>();
  readonly #goodbyes = new Map<string, Goodbye[]>();

  /** Goodbyes that are on the way to other nodes, by user. */
  readonly #announcing = new Map<string, Promise<void>>();

  constructor(options: ClusterPeersOptions) {
    this.#options = options;
    options.calls.on('goodbye', (payload) => this.#takeGoodbye(payload));
  }

  settled(user: string, waitedMs = 0): Promise<void> | undefined {
    const { node, writeNow, onLate } = this.#options;
    writeNow();
    const [written, announced] = [node.publisher.written(user), this.#announcing.get(user)];
    if (written === undefined && announced === undefined) return undefined;
    const restMs = Math.max(0, ANSWER_WITHIN_MS - waitedMs);
    return this.#atMost(restMs, Promise.all([written, announced])).then((isDone) => (isDone ? undefined : onLate()));
  }

  load(users: readonly string[]): Promise<void> {
    return this.#load(users);
  }

  /** Reads the records of users that may be needed, and drops them after a while. Undefined: they are known. */
  hold(users: readonly string[]): Promise<void> | undefined {
    for (const user of users) this.unneeded(user);
    return this.#options.node.load(users);
  }

  refresh(users: readonly string[]): Promise<void> {
    return this.#refresh(users);
  }

  goodbye(user: string, device: string): void {
    const { nowMs, scheduleWrite } = this.#options;
    const goodbyes = this.goodbyesOf(user);
    this.#goodbyes.set(user, [...goodbyes.slice(1 - MOST_GOODBYES), { device, atMs: nowMs() }]);
    scheduleWrite(user);
    const announced = this.#announceGoodbye(user, device).finally(() => {
      if (this.#announcing.get(user) === announced) this.#announcing.delete(user);
    });
    this.#announcing.set(user, announced);
  }

  /** Only the node that has a session knows whether it is in its grace. */
  async #announceGoodbye(user: string, device: string): Promise<void> {
    const { node, calls } = this.#options;
    const known = node.replicas.get(user);
    if (known?.isKnown !== true || known.record?.parts === null) {
      await this.#refresh([user]).catch(() => undefined); // without the store, no other node can be reached
    }
    const parts = Object.entries(node.replicas.get(user)?.record?.parts ?? {});
    const others = parts.filter(([inc, part]) => inc !== node.inc && part.some(({ d }) => d === device));
    const live = others.map(([inc]) => inc).filter((inc) => !node.members.hasEnded(inc));
    if (live.length > 0) await calls.call(live, 'goodbye', { user, device }, ANSWER_WITHIN_MS);
  }

  async #takeGoodbye(payload: unknown): Promise<boolean> {
    const { user, device } = goodbyeForm.parse(payload);
    this.#options.leaveHere(user, device);
    await this.settled(user);
    return true;
  }

  forgetGoodbyes(user: string): void {
    this.#goodbyes.delete(user);
  }

  /** Goodbyes of the last seconds. */
  goodbyesOf(user: string): Goodbye[] {
    const sinceMs = this.#options.nowMs() - GOODBYE_MS;
    return (this.#goodbyes.get(user) ?? []).filter(({ atMs }) => atMs > sinceMs);
  }

  sessionsElsewhere(user: string, device: string): number {
    const { node } = this.#options;
    const parts = Object.entries(node.replicas.get(user)?.record?.parts ?? {});
    const elsewhere = parts.flatMap(([inc, part]) => (inc === node.inc || node.members.hasEnded(inc) ? [] : part));
    return elsewhere.length - (elsewhere.some(({ d }) => d === device) ? 1 : 0);
  }

  async httpSession(user: string, device: string): Promise<HttpSessionValues | undefined> {
    const { node } = this.#options;
    try {
      await this.#refresh([user]);
    } catch (error) {
      // Heartbeats are accepted even if the store is away.
      if (!(error instanceof StorageUnavailable)) throw error;
    }
    const parts = node.replicas.get(user)?.record?.parts ?? {};
    const session = continuedBy({ a: 'http', d: device }, parts, node.inc);
    return session && { status: session.s, text: session.X === 0 ? undefined : session.x };
  }

  /** Drops the record of a user after a while, unless the hub needs it then. */
  unneeded(user: string): void {
    this.#unneeded.delete(user); // the latest request keeps it for the whole time
    this.#unneeded.set(user, this.#options.nowMs());
  }

  /** Does what is due. Must be called about ten times a second. */
  tick(): void {
    this.#conditions.check();
    const untilMs = this.#options.nowMs() - KEPT_MS;
    let count = 0;
    for (const [user, sinceMs] of this.#unneeded) {
      if (sinceMs > untilMs || ++count > SWEPT_AT_ONCE) break;
      this.#unneeded.delete(user);
      if (this.goodbyesOf(user).length === 0) this.#goodbyes.delete(user);
      if (this.#options.findUser(user) === undefined) this.#drop(user);
    }
  }

  #drop(user: string): void {
    const { node } = this.#options;
    if (node.publisher.isWriting(user)) this.unneeded(user);
    else node.replicas.release(user);
  }

  async #load(users: readonly string[]): Promise<void> {
    const { node, nowMs } = this.#options;
    const endsAtMs = nowMs() + WATCH_WITHIN_MS;
    const isLate = (): boolean => nowMs() >= endsAtMs;
    while (!isLate()) {
      if (node.state !== 'up') await this.#conditions.until(() => node.state === 'up' || isLate());
      // Each turn holds the users again, because the last one may be long ago.
      for (const user of users) this.unneeded(user);
      try {
        await node.load(users);
        if (node.state === 'up') return await afterReads();
      } catch {
        // The store is away again: the next turn waits until it is back.
        await this.#conditions.until(() => true);
      }
    }
    throw new PeersUnavailable('the other hubs could not be asked');
  }

  async #refresh(users: readonly string[]): Promise<void> {
    const { node, onLate } = this.#options;
    for (const user of users) this.unneeded(user);
    const replicas = users.map((user) => node.replicas.acquire(user));
    if (node.state === 'up') {
      const isRead = node.buckets.load(replicas).then(
        () => true,
        () => false,
      );
      if ((await this.#atMost(ANSWER_WITHIN_MS, isRead)) === true) return;
    }
    onLate();
    if (replicas.every(({ isKnown }) => isKnown)) return;
    throw new StorageUnavailable('cannot be reached', new Error('the store of the cluster does not answer'));
  }

  /** @returns the result, or undefined after the time. A result without a value is true. */
  async #atMost<T>(ms: number, result: Promise<T>): Promise<T | true | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)));
    const done = result.then((value) => value ?? (true as const));
    const first = await Promise.race([done, late]);
    clearTimeout(timer);
    return first;
  }
}

/**
 * Resolves after what the store published before has been read. A client that received the confirmation of a change may
 * then watch here at once.
 */
function afterReads(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
