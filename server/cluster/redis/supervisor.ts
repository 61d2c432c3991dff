/**
 * Keeps a node connected to its Redis servers: a link to each server that holds some of the slots. If one link is lost, it
 * replaces all of them, because it trusts none to recover. A slot that moves to another server needs no replacement.
 * Decides nothing about presence: the node reacts to `away` and `back`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pass } from 'node:timers/promises';
import { StartError } from '../../lib/start-error.ts';
import { BUCKETS, bucketTags, hashSlot } from '../bucket.ts';
import { ALL_NODES, fitsDirectMessage, type EngineEvents } from '../engine.ts';
import { agree, Disagreement } from './agreement.ts';
import { Fleet, type Channel } from './fleet.ts';
import { MEMBERS_SLOT, RedisEngine } from './redis-engine.ts';
import { addressOf, readRedisUrl, REDIS_URL_FORMS, urlOf, type RedisUrl } from './redis-url.ts';
import { faultAt, faultOf, REFUSED } from './server-facts.ts';
import { findServers, type FindServers } from './servers.ts';

/** The first and the maximum wait before the next attempt to connect. It doubles with each attempt. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 1000;
/** How long a command may follow redirections to the server that holds its slot. */
const REDIRECT_WITHIN_MS = 1500;
const REDIRECT_PAUSE_MS = 50;

export interface RedisOptions {
  /** HUB_REDIS_PREFIX. */
  readonly prefix: string;
  /** Values that must be the same on all nodes, by the names of their settings. */
  readonly agreement: Readonly<Record<string, string>>;
  /** Logs in one line why the engine is away. Called again only if the reason changes. */
  readonly warn: (text: string) => void;
  readonly buckets?: number;
}

/**
 * Connects to the servers that HUB_REDIS_URL names. Nothing is reported before `connect`.
 * @throws StartError if they can't be used, or if the other nodes have other settings.
 */
export async function openRedisEngine(url: string, options: RedisOptions): Promise<RedisSupervisor> {
  const parsed = readRedisUrl(url);
  if (parsed === undefined) throw new StartError(`HUB_REDIS_URL: give it the form ${REDIS_URL_FORMS}`);
  const supervisor = new RedisSupervisor(parsed, options);
  await supervisor.start();
  return supervisor;
}

export class RedisSupervisor {
  readonly engine: RedisEngine;
  readonly #url: RedisUrl;
  readonly #find: FindServers;
  readonly #options: RedisOptions;
  readonly #bucketOf: ReadonlyMap<string, number>;
  readonly #channels: readonly Channel[];
  /** The incarnation whose direct messages are received, if there is one. */
  #incs: readonly string[] = [];
  #fleet: Fleet | undefined;
  #events: EngineEvents | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #warned = '';
  #isStopped = false;

  constructor(url: RedisUrl, options: RedisOptions) {
    const { prefix, buckets = BUCKETS } = options;
    this.#url = url;
    this.#find = findServers(url);
    this.#options = options;
    const engine = new RedisEngine({
      send: (slot, args) => this.#send(slot, args),
      prefix,
      buckets,
      facts: () => this.#inUse.facts(),
      subscribeAs: (inc) => this.#subscribeAs(inc),
      newHistory: () => randomUUID(),
    });
    this.engine = engine;
    const slots = bucketTags(buckets).map(hashSlot);
    this.#channels = slots.map((slot, bucket) => ({ name: engine.channel(bucket), slot }));
    this.#bucketOf = new Map(this.#channels.map(({ name }, bucket) => [name, bucket]));
  }

  /** See `openRedisEngine`. @throws {StartError} */
  async start(): Promise<void> {
    try {
      this.#use(await this.#open());
    } catch (error) {
      throw new StartError(lineOf(error));
    }
  }

  /** Reports to the node from now on, first `back` if the engine answers. */
  connect(events: EngineEvents): void {
    this.#events = events;
    if (this.#fleet !== undefined) events.back();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    this.#fleet?.close();
    this.#fleet = undefined;
  }

  /** Replaces subscriptions that deliver nothing although commands are answered. */
  async replacePush(): Promise<void> {
    await this.#fleet?.replacePush();
  }

  get #inUse(): Fleet {
    if (this.#fleet === undefined) throw new Error('away');
    return this.#fleet;
  }

  async #open(): Promise<Fleet> {
    const { prefix, agreement } = this.#options;
    // If a link is lost before all of them are open, opening fails, and `onLost` must do nothing.
    const opened: { fleet?: Fleet } = {};
    const fleet = await Fleet.open({
      find: this.#find,
      urlOf: (address) => urlOf(this.#url, address),
      check: (info) => faultOf(info, this.#url.kind),
      slots: [...new Set([...this.#channels.map(({ slot }) => slot), MEMBERS_SLOT])],
      channels: () => [...this.#channels, ...[ALL_NODES, ...this.#incs].map((to) => this.#directChannelOf(to))],
      onMessage: (text, channel) =>
        this.#fleet !== undefined && this.#fleet === opened.fleet && this.#receive(text, channel),
      onLost: (error) => opened.fleet !== undefined && this.#loseIf(opened.fleet, error),
    });
    opened.fleet = fleet;
    const link = fleet.linkOf(MEMBERS_SLOT);
    try {
      await agree((args) => link.send(args), prefix, { buckets: this.#channels.length, settings: agreement });
      return fleet;
    } catch (error) {
      fleet.close();
      throw error instanceof Disagreement ? error : faultAt(link.address, error);
    }
  }

  #use(fleet: Fleet): void {
    this.#fleet = fleet;
    this.#retryMs = FIRST_RETRY_MS;
    this.#warned = '';
    this.#events?.back();
  }

  /** Sends a command to the server of the slot. Follows a slot that has moved or is being moved. */
  async #send(slot: number, args: readonly string[]): Promise<unknown> {
    const fleet = this.#inUse;
    const untilMs = performance.now() + REDIRECT_WITHIN_MS;
    let link = fleet.linkOf(slot);
    let isAsking = false;
    for (;;) {
      try {
        return await link.send(args, isAsking);
      } catch (error) {
        const { message } = error as Error;
        const [kind, , target = ''] = message.split(' ');
        const colon = target.lastIndexOf(':');
        const address = addressOf(target.slice(0, colon), target.slice(colon + 1));
        const isElsewhere = kind === 'MOVED' || kind === 'ASK' || kind === 'TRYAGAIN';
        if (REFUSED.test(message)) this.#loseIf(fleet, faultAt(link.address, error));
        if (!isElsewhere || performance.now() > untilMs) throw error;
        if (kind === 'MOVED') await fleet.refit(address);
        isAsking = kind === 'ASK';
        if (!isAsking) await pass(REDIRECT_PAUSE_MS);
        link = isAsking ? await fleet.linkAt(address) : fleet.linkOf(slot);
      }
    }
  }

  #receive(text: string, channel: string): void {
    const bucket = this.#bucketOf.get(channel);
    if (bucket !== undefined) this.#events?.message(bucket, text);
    else if (fitsDirectMessage(text)) this.#events?.directMessage(text);
  }

  #directChannelOf(to: string): Channel {
    return { name: this.engine.directChannel(to), slot: MEMBERS_SLOT };
  }

  async #subscribeAs(inc: string): Promise<void> {
    const former = this.#incs;
    if (former.includes(inc)) return;
    const fleet = this.#inUse;
    this.#incs = [inc];
    try {
      await fleet.subscribe(this.#directChannelOf(inc));
      for (const one of former) await fleet.unsubscribe(this.#directChannelOf(one));
    } catch (error) {
      this.#loseIf(fleet, error);
      throw error;
    }
  }

  #loseIf(fleet: Fleet, error: unknown): void {
    if (fleet !== this.#fleet) return;
    fleet.close();
    this.#fleet = undefined;
    this.#events?.away();
    this.#retryLater(error);
  }

  #retryLater(error: unknown): void {
    const text = lineOf(error);
    if (text !== this.#warned) this.#options.warn(text);
    this.#warned = text;
    const waitMs = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
    this.#retry = setTimeout(() => void this.#reconnect(), waitMs);
  }

  async #reconnect(): Promise<void> {
    try {
      const fleet = await this.#open();
      if (this.#isStopped) fleet.close();
      else this.#use(fleet);
    } catch (error) {
      if (!this.#isStopped) this.#retryLater(error);
    }
  }
}

/** One line that begins with the name of a setting, without a password. */
function lineOf(error: unknown): string {
  return error instanceof Disagreement ? error.message : `HUB_REDIS_URL: ${(error as Error).message}`;
}
