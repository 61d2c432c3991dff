/**
 * Keeps a node connected to one Redis: two clients, one for commands and one for what is published. Watches over both
 * and replaces them rather than trusting them to recover. A command that has no answer in time means that the engine is
 * away. Decides nothing about presence; what follows from `away` and `back` is the node's.
 */
import { randomUUID } from 'node:crypto';
import { StartError } from '../../lib/start-error.ts';
import { EVERYBODY, isMail, type EngineEvents } from '../engine.ts';
import { openClient, within, type RedisClient } from './client.ts';
import { RedisEngine } from './redis-engine.ts';
import { factsOf, faultOf, faultOfError, readInfo, REFUSED, type ServerFacts } from './server-facts.ts';

/** How long a command may take. */
const ANSWER_MS = 2000;
/** How often deadlines are checked. */
const SWEEP_MS = 100;
/** The wait before the next attempt to connect: doubles up to the second figure. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 2000;

export interface SupervisorOptions {
  /** `redis[s]://[user:password@]host[:port][/database]`, from HUB_REDIS_URL. */
  readonly url: string;
  readonly prefix: string;
  readonly buckets: number;
  readonly events: EngineEvents;
  /** Says once, in one line, why the engine is away. */
  readonly warn: (text: string) => void;
}

interface Clients {
  readonly commands: RedisClient;
  push: RedisClient;
}

interface Waiting {
  readonly sinceMs: number;
  readonly reject: (error: Error) => void;
}

export class RedisSupervisor {
  readonly engine: RedisEngine;
  readonly #options: SupervisorOptions;
  readonly #bucketOf: ReadonlyMap<string, number>;
  #clients: Clients | undefined;
  /** The incarnation whose mail is heard. */
  #inc = '';
  #facts: ServerFacts = { runId: '', replicationId: '', isMaster: true, replicas: undefined };
  /** Commands without an answer, oldest first. */
  readonly #waiting = new Set<Waiting>();
  /** Time during which this process ran: while it is stopped, nobody can be late. */
  #awakeMs = 0;
  #sweptAtMs = 0;
  #sweeper: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isReplacingPush = false;
  #warned = '';
  #isStopped = false;

  constructor(options: SupervisorOptions) {
    const { prefix, buckets } = options;
    this.#options = options;
    const engine = new RedisEngine({
      send: (args) => this.#send(args),
      prefix,
      buckets,
      facts: () => this.#readFacts(),
      listenAs: (inc) => this.#listenAs(inc),
      newHistory: () => randomUUID(),
    });
    this.engine = engine;
    this.#bucketOf = new Map(Array.from({ length: buckets }, (_, bucket) => [engine.channel(bucket), bucket]));
  }

  /** Throws a StartError if the server can't be used. */
  async start(): Promise<void> {
    let clients: Clients;
    try {
      new URL(this.#options.url);
      clients = await this.#open();
    } catch (error) {
      throw new StartError(`HUB_REDIS_URL: ${this.#describe(error)}`);
    }
    this.#sweptAtMs = performance.now();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#use(clients);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#sweeper);
    clearTimeout(this.#retry);
    this.#drop();
  }

  /** The subscription is dead although commands are answered: nothing comes back of what this node publishes. */
  async replacePush(): Promise<void> {
    const clients = this.#clients;
    if (clients === undefined || this.#isReplacingPush) return;
    this.#isReplacingPush = true;
    const old = clients.push;
    try {
      const push = await this.#openPush(() => clients);
      if (clients === this.#clients) clients.push = push;
      else push.destroy();
    } catch (error) {
      if (clients === this.#clients) this.#lose(error);
    } finally {
      old.destroy();
      this.#isReplacingPush = false;
    }
  }

  async #open(): Promise<Clients> {
    let clients: Clients | undefined;
    const commands = await openClient(this.#options.url, () => this.#loseIf(clients), ANSWER_MS);
    try {
      await this.#check(commands);
      clients = { commands, push: await this.#openPush(() => clients) };
      return clients;
    } catch (error) {
      commands.destroy();
      throw error;
    }
  }

  /** `of`: the pair that the client belongs to when it is lost. */
  async #openPush(of: () => Clients | undefined): Promise<RedisClient> {
    const push: RedisClient = await openClient(this.#options.url, () => void this.#losePush(push, of()), ANSWER_MS);
    try {
      await this.#subscribe(push, [...this.#bucketOf.keys(), this.engine.mailChannel(EVERYBODY)]);
      let inc: string;
      do {
        inc = this.#inc;
        if (inc !== '') await this.#subscribe(push, [this.engine.mailChannel(inc)]);
      } while (inc !== this.#inc);
      return push;
    } catch (error) {
      push.destroy();
      throw error;
    }
  }

  async #subscribe(push: RedisClient, channels: readonly string[]): Promise<void> {
    const onMessage = (text: string, channel: string): void => {
      if (this.#clients?.push === push) this.#hear(text, channel);
    };
    await within(ANSWER_MS, push.subscribe(channels, onMessage));
  }

  #hear(text: string, channel: string): void {
    const bucket = this.#bucketOf.get(channel);
    if (bucket !== undefined) this.#options.events.message(bucket, text);
    else if (isMail(text)) this.#options.events.mail(text);
  }

  async #listenAs(inc: string): Promise<void> {
    const clients = this.#clients;
    const former = this.#inc;
    if (inc === former) return;
    this.#inc = inc;
    if (clients === undefined) return;
    const { push } = clients;
    try {
      await this.#subscribe(push, [this.engine.mailChannel(inc)]);
      if (former !== '') await within(ANSWER_MS, push.unsubscribe(this.engine.mailChannel(former)));
    } catch (error) {
      if (clients.push === push) this.#loseIf(clients, error);
      throw error;
    }
  }

  /** Throws if the server can't be used, or can't write now. */
  async #check(commands: RedisClient): Promise<void> {
    const info = readInfo(String(await within(ANSWER_MS, commands.sendCommand(['INFO']))));
    const fault = faultOf(info);
    if (fault !== undefined) throw new Unusable(fault);
    if (info.get('loading') === '1') throw new Error('LOADING the server reads its data');
    await within(ANSWER_MS, commands.sendCommand(['SET', `${this.#options.prefix}{m}:w`, '1', 'PX', '60000']));
    this.#facts = factsOf(info, info.get('run_id') ?? '');
  }

  #use(clients: Clients): void {
    this.#clients = clients;
    this.#retryMs = FIRST_RETRY_MS;
    this.#warned = '';
    this.#options.events.back();
  }

  #send(args: readonly string[]): Promise<unknown> {
    const clients = this.#clients;
    if (clients === undefined) return Promise.reject(new Error('away'));
    return new Promise((resolve, reject) => {
      const waiting = { sinceMs: this.#awakeMs, reject };
      this.#waiting.add(waiting);
      clients.commands.sendCommand(args).then(
        (answer) => {
          this.#waiting.delete(waiting);
          resolve(answer);
        },
        (reason: unknown) => {
          const error = reason instanceof Error ? reason : new Error(String(reason));
          this.#waiting.delete(waiting);
          reject(error);
          if (REFUSED.test(error.message)) this.#loseIf(clients, error);
        },
      );
    });
  }

  /** Run id and state of replication: they name the history, and replicas that are gone make burials doubtful. */
  async #readFacts(): Promise<ServerFacts> {
    const clients = this.#clients;
    const info = readInfo(String(await this.#send(['INFO', 'replication'])));
    this.#facts = factsOf(info, this.#facts.runId);
    if (!this.#facts.isMaster) this.#loseIf(clients, new Unusable('is a replica now'));
    return this.#facts;
  }

  #sweep(): void {
    const nowMs = performance.now();
    this.#awakeMs += Math.min(nowMs - this.#sweptAtMs, 2 * SWEEP_MS);
    this.#sweptAtMs = nowMs;
    for (const { sinceMs } of this.#waiting) {
      if (this.#awakeMs - sinceMs >= ANSWER_MS) this.#lose(new Error('no answer'));
      return;
    }
  }

  async #losePush(push: RedisClient, clients: Clients | undefined): Promise<void> {
    if (clients !== undefined && clients === this.#clients && clients.push === push) await this.replacePush();
  }

  #loseIf(clients: Clients | undefined, error: unknown = new Error('the connection was closed')): void {
    if (clients !== undefined && clients === this.#clients) this.#lose(error);
  }

  #lose(error: unknown): void {
    this.#drop();
    this.#options.events.away();
    this.#retryLater(error);
  }

  /** Gives up both clients, and every command that waits for an answer. */
  #drop(): void {
    const clients = this.#clients;
    this.#clients = undefined;
    clients?.commands.destroy();
    clients?.push.destroy();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Error('no answer'));
  }

  #retryLater(error: unknown): void {
    const text = this.#describe(error);
    if (text !== this.#warned) this.#options.warn(text);
    this.#warned = text;
    const waitMs = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    this.#retry = setTimeout(() => void this.#reconnect(), waitMs);
  }

  async #reconnect(): Promise<void> {
    try {
      const clients = await this.#open();
      if (!this.#isStopped) return this.#use(clients);
      clients.commands.destroy();
      clients.push.destroy();
    } catch (error) {
      if (!this.#isStopped) this.#retryLater(error);
    }
  }

  /** Never prints the password. */
  #describe(error: unknown): string {
    if (!URL.canParse(this.#options.url) || !/^rediss?:/.test(this.#options.url)) {
      return 'give it the form redis://[user:password@]host[:port][/database], or rediss:// for TLS';
    }
    const { host } = new URL(this.#options.url);
    return `${host} ${error instanceof Unusable ? error.message : faultOfError(error)}`;
  }
}

class Unusable extends Error {}
