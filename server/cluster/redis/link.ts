/**
 * Two connections to one Redis server: one for commands and one for subscriptions, so that a flood of messages does not
 * delay answers. If the first one is lost, or a command has no answer in time, the link is lost, and the supervisor opens
 * others. If the second one is lost, the link replaces it.
 */
import { openClient, within, type RedisClient } from './client.ts';
import { factsOf, faultAt, readInfo, ServerFault, type ServerFacts } from './server-facts.ts';

/** How long a command may take. */
export const ANSWER_MS = 2000;
/** How often deadlines are checked. */
const SWEEP_MS = 100;
/** Every bucket is ticked within this time, so a working subscription delivers messages. */
const PROVED_MS = 3000;

export interface LinkEvents {
  readonly onMessage: (text: string, channel: string) => void;
  /** Another server publishes some of the channels now. */
  readonly onMoved: () => void;
  /** Called once, unless the link was closed. */
  readonly onLost: (error: Error) => void;
}

interface Waiting {
  readonly sinceMs: number;
  readonly reject: (error: Error) => void;
}

export class Link {
  /** `host:port`. */
  readonly address: string;
  readonly #url: string;
  readonly #events: LinkEvents;
  readonly #channels = new Set<string>();
  /** Commands without an answer, oldest first. */
  readonly #waiting = new Set<Waiting>();
  #commands: RedisClient | undefined;
  #push: RedisClient | undefined;
  #runId = '';
  #pushOpenedAtMs = 0;
  #isReplacingPush = false;
  #isClosed = false;
  /** Time during which this process ran. Deadlines use it, because a stall of this process is no fault of the server. */
  #awakeMs = 0;
  #sweptAtMs = performance.now();
  readonly #sweeper: NodeJS.Timeout;

  private constructor(address: string, url: string, events: LinkEvents) {
    this.address = address;
    this.#url = url;
    this.#events = events;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** `check` returns why the server can't be used. Rejects with a ServerFault. */
  static async open(
    address: string,
    url: string,
    events: LinkEvents,
    check: (info: ReadonlyMap<string, string>) => string | undefined,
  ): Promise<Link> {
    const link = new Link(address, url, events);
    try {
      link.#commands = await openClient(
        url,
        { onLost: () => link.#lose(new Error('the connection was closed')), onMoved: () => undefined },
        ANSWER_MS,
      );
      const info = readInfo(String(await link.send(['INFO'])));
      const fault = check(info);
      if (fault !== undefined) throw new ServerFault(address, fault);
      if (info.get('loading') === '1') throw new Error('LOADING the server reads its data');
      link.#runId = info.get('run_id') ?? '';
      await link.#openPush();
      return link;
    } catch (error) {
      link.close();
      throw faultAt(address, error);
    }
  }

  /** `isAsking`: the slot is being moved to this server. */
  send(args: readonly string[], isAsking = false): Promise<unknown> {
    const commands = this.#commands;
    if (commands === undefined) return Promise.reject(new Error('no answer'));
    return new Promise((resolve, reject) => {
      const waiting = { sinceMs: this.#awakeMs, reject };
      this.#waiting.add(waiting);
      if (isAsking) commands.sendCommand(['ASKING']).catch(() => undefined);
      commands.sendCommand(args).then(
        (answer) => {
          this.#waiting.delete(waiting);
          resolve(answer);
        },
        (reason: unknown) => {
          this.#waiting.delete(waiting);
          reject(reason instanceof Error ? reason : new Error(String(reason)));
        },
      );
    });
  }

  async facts(): Promise<ServerFacts> {
    return factsOf(readInfo(String(await this.send(['INFO', 'replication']))), this.#runId);
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    const added = channels.filter((channel) => !this.#channels.has(channel));
    for (const channel of added) this.#channels.add(channel);
    const push = this.#push;
    if (push === undefined || added.length === 0) return;
    try {
      await this.#subscribeOn(push, added);
    } catch (error) {
      for (const channel of added) this.#channels.delete(channel);
      throw error;
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    if (this.#channels.delete(channel)) await within(ANSWER_MS, this.#push?.unsubscribe(channel) ?? Promise.resolve());
  }

  /** Forgets all other channels, because the server itself has ended their subscriptions. */
  keepOnly(channels: ReadonlySet<string>): void {
    for (const channel of this.#channels) if (!channels.has(channel)) this.#channels.delete(channel);
  }

  /**
   * Replaces the connection for subscriptions, because it delivers nothing although commands are answered. Does nothing if
   * the connection is new, because each bucket notices a dead one at another time.
   */
  async replacePush(): Promise<void> {
    if (performance.now() - this.#pushOpenedAtMs >= PROVED_MS) await this.#reopenPush();
  }

  async #reopenPush(): Promise<void> {
    if (this.#isReplacingPush || this.#isClosed) return;
    this.#isReplacingPush = true;
    const old = this.#push;
    try {
      await this.#openPush();
    } catch (error) {
      this.#lose(error);
    } finally {
      old?.destroy();
      this.#isReplacingPush = false;
    }
  }

  /** Closes both connections and rejects every command that waits for an answer. Calls no callback. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    this.#commands?.destroy();
    this.#push?.destroy();
    this.#commands = this.#push = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Error('no answer'));
  }

  async #openPush(): Promise<void> {
    const push: RedisClient = await openClient(
      this.#url,
      {
        onLost: () => void (this.#push === push && this.#reopenPush()),
        onMoved: (channel) => {
          if (this.#push !== push) return;
          this.#channels.delete(channel);
          this.#events.onMoved();
        },
      },
      ANSWER_MS,
    );
    try {
      const subscribed = new Set<string>();
      for (;;) {
        const missing = [...this.#channels].filter((channel) => !subscribed.has(channel));
        if (missing.length === 0) break;
        await this.#subscribeOn(push, missing);
        for (const channel of missing) subscribed.add(channel);
      }
      if (this.#isClosed) throw new Error('closed');
      this.#push = push;
      this.#pushOpenedAtMs = performance.now();
    } catch (error) {
      push.destroy();
      throw error;
    }
  }

  /** Sends one command for each channel, because the channels of one command must share a slot. */
  async #subscribeOn(push: RedisClient, channels: readonly string[]): Promise<void> {
    const onMessage = (text: string, channel: string): void => {
      if (this.#push === push) this.#events.onMessage(text, channel);
    };
    await within(ANSWER_MS, Promise.all(channels.map((channel) => push.subscribe(channel, onMessage))));
  }

  #sweep(): void {
    const nowMs = performance.now();
    this.#awakeMs += Math.min(nowMs - this.#sweptAtMs, 2 * SWEEP_MS);
    this.#sweptAtMs = nowMs;
    const [oldest] = this.#waiting;
    if (oldest !== undefined && this.#awakeMs - oldest.sinceMs >= ANSWER_MS) this.#lose(new Error('no answer'));
  }

  #lose(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.onLost(faultAt(this.address, error));
  }
}
