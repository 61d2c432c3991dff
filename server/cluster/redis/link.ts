/**
 * Two connections to one Redis server: one for commands and one for what is published, so that a flood of messages does
 * not delay answers. If the first one is lost, or a command has no answer in time, the link is lost: whoever opened it
 * opens another one. Of the second one it replaces the connection itself.
 */
import { openClient, within, type RedisClient } from './client.ts';
import { factsOf, faultAt, readInfo, ServerFault, type ServerFacts } from './server-facts.ts';

/** How long a command may take. */
export const ANSWER_MS = 2000;
/** How often deadlines are checked. */
const SWEEP_MS = 100;
/** Every bucket is ticked within this time, so a subscription that works is heard. */
const PROVED_MS = 3000;

export interface LinkEvents {
  readonly onMessage: (text: string, channel: string) => void;
  /** Another server publishes some of the channels from now on. */
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
  /** Time during which this process ran: while it is stopped, nobody can be late. */
  #awakeMs = 0;
  #sweptAtMs = performance.now();
  readonly #sweeper: NodeJS.Timeout;

  private constructor(address: string, url: string, events: LinkEvents) {
    this.address = address;
    this.#url = url;
    this.#events = events;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** `check`: says why the server can't be used. Rejects with a ServerFault. */
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

  /** `isAsking`: the slot is on its way to this server. */
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

  /** Run id and state of replication. */
  async facts(): Promise<ServerFacts> {
    return factsOf(readInfo(String(await this.send(['INFO', 'replication']))), this.#runId);
  }

  /** Hears these channels from now on. */
  async listen(channels: readonly string[]): Promise<void> {
    const added = channels.filter((channel) => !this.#channels.has(channel));
    for (const channel of added) this.#channels.add(channel);
    const push = this.#push;
    if (push === undefined || added.length === 0) return;
    try {
      await this.#subscribe(push, added);
    } catch (error) {
      for (const channel of added) this.#channels.delete(channel);
      throw error;
    }
  }

  /** No longer hears this channel. */
  async mute(channel: string): Promise<void> {
    if (this.#channels.delete(channel)) await within(ANSWER_MS, this.#push?.unsubscribe(channel) ?? Promise.resolve());
  }

  /** The server itself has ended the subscriptions of all other channels. */
  keepOnly(channels: ReadonlySet<string>): void {
    for (const channel of this.#channels) if (!channels.has(channel)) this.#channels.delete(channel);
  }

  /**
   * The subscription is dead although commands are answered: nothing comes back of what this node publishes. A new one
   * gets time to prove itself, because each bucket notices the dead one at another moment.
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

  /** Ends both connections, and every command that waits for an answer. Calls nobody. */
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
      const heard = new Set<string>();
      for (;;) {
        const missing = [...this.#channels].filter((channel) => !heard.has(channel));
        if (missing.length === 0) break;
        await this.#subscribe(push, missing);
        for (const channel of missing) heard.add(channel);
      }
      if (this.#isClosed) throw new Error('closed');
      this.#push = push;
      this.#pushOpenedAtMs = performance.now();
    } catch (error) {
      push.destroy();
      throw error;
    }
  }

  /** One command for each channel, because those of one command must share a slot. */
  async #subscribe(push: RedisClient, channels: readonly string[]): Promise<void> {
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
