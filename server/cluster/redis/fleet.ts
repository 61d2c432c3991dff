/**
 * The links to all servers that hold the hub's slots: one server, or the masters of a Redis Cluster. Follows slots that
 * move between them. If a link is lost, the fleet closes, and the supervisor opens another one.
 */
import { setTimeout as pass } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { Link } from './link.ts';
import { faultAt, ServerFault } from './server-facts.ts';
import type { FindServers } from './servers.ts';

/** How long finding the servers of moved slots may take. */
const REFIT_WITHIN_MS = 2000;
const REFIT_PAUSE_MS = 100;

/** A shard channel, and the slot of its name. */
export interface Channel {
  readonly name: string;
  readonly slot: number;
}

export interface FleetOptions {
  readonly find: FindServers;
  readonly urlOf: (address: string) => string;
  /** Returns why a server can't be used, or undefined. */
  readonly check: (info: ReadonlyMap<string, string>) => string | undefined;
  readonly slots: readonly number[];
  /** The channels to subscribe to now. */
  readonly channels: () => readonly Channel[];
  readonly onMessage: (text: string, channel: string) => void;
  /** Called once, unless the fleet was closed. */
  readonly onLost: (error: Error) => void;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #links = new Map<string, Promise<Link>>();
  #bySlot = new Map<number, Link>();
  #refitting: Promise<void> | undefined;
  #mustRefit = false;
  #isClosed = false;

  private constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Rejects with a ServerFault. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    try {
      await fleet.#fit();
      return fleet;
    } catch (error) {
      fleet.close();
      throw error;
    }
  }

  linkOf(slot: number): Link {
    const link = this.#bySlot.get(slot);
    if (link === undefined) throw new Error('away');
    return link;
  }

  /** The link to a server, even if it holds no slot yet. */
  linkAt(address: string): Promise<Link> {
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const { urlOf, check, onMessage } = this.#options;
    const opening = Link.open(
      address,
      urlOf(address),
      { onMessage, onMoved: () => void this.refit(address), onLost: (error) => this.#lose(error) },
      check,
    );
    this.#links.set(address, opening);
    opening.then(
      (link) => this.#isClosed && link.close(),
      () => this.#links.delete(address),
    );
    return opening;
  }

  /** Finds again which server holds which slot. `hint`: the address of a server to ask first. Never rejects. */
  refit(hint?: string): Promise<void> {
    this.#mustRefit = true;
    this.#refitting ??= this.#refit(hint).finally(() => (this.#refitting = undefined));
    return this.#refitting;
  }

  async subscribe({ name, slot }: Channel): Promise<void> {
    await this.linkOf(slot).subscribe([name]);
  }

  async unsubscribe({ name, slot }: Channel): Promise<void> {
    await this.linkOf(slot).unsubscribe(name);
  }

  async replacePush(): Promise<void> {
    await Promise.all([...new Set(this.#bySlot.values())].map((link) => link.replacePush()));
  }

  /** What the servers report about themselves. */
  async facts(): Promise<{ servers: string; replicas: number | undefined }> {
    const links = [...new Set(this.#bySlot.values())];
    const facts = await Promise.all(links.map((link) => link.facts()));
    const demoted = facts.findIndex(({ isMaster }) => !isMaster);
    if (demoted >= 0) this.#lose(new ServerFault(links[demoted]?.address ?? '', 'is a replica now'));
    const names = facts.map(({ runId, replicationId }) => `${runId}/${replicationId}`);
    const counts = facts.flatMap(({ replicas }) => replicas ?? []);
    return {
      servers: createHash('sha1').update(names.sort().join()).digest('hex'),
      replicas: counts.length === facts.length ? counts.reduce((sum, count) => sum + count, 0) : undefined,
    };
  }

  /** Closes all links. Calls no callback. */
  close(): void {
    this.#isClosed = true;
    for (const opening of this.#links.values()) opening.then((link) => link.close()).catch(() => undefined);
    for (const link of this.#bySlot.values()) link.close();
  }

  async #refit(hint: string | undefined): Promise<void> {
    const untilMs = performance.now() + REFIT_WITHIN_MS;
    let asked = hint;
    while (this.#mustRefit && !this.#isClosed) {
      this.#mustRefit = false;
      try {
        await this.#fit(asked);
      } catch (error) {
        if (performance.now() > untilMs) return this.#lose(error);
        this.#mustRefit = true;
        asked = undefined;
        await pass(REFIT_PAUSE_MS);
      }
    }
  }

  async #fit(hint?: string): Promise<void> {
    const { find, slots, channels } = this.#options;
    const masters = await find(hint);
    const addressOf = (slot: number): string => {
      const master = masters.find(({ holds }) => holds(slot));
      if (master === undefined) throw new ServerFault(masters[0]?.address ?? '', `has no master for slot ${slot}`);
      return master.address;
    };
    const opened = slots.map(async (slot) => [slot, await this.linkAt(addressOf(slot))] as const);
    const bySlot = new Map(await Promise.all(opened));
    if (this.#isClosed) throw new Error('closed');
    this.#bySlot = bySlot;
    const used = new Set(bySlot.values());
    for (const [address, opening] of this.#links) {
      const link = await opening.catch(() => undefined);
      if (link === undefined || used.has(link)) continue;
      this.#links.delete(address);
      link.close();
    }
    const wanted = channels();
    const subscribing = [...used].map((link) => {
      const names = wanted.filter(({ slot }) => bySlot.get(slot) === link).map(({ name }) => name);
      link.keepOnly(new Set(names));
      return link.subscribe(names).catch((error: unknown) => {
        throw faultAt(link.address, error);
      });
    });
    await Promise.all(subscribing);
  }

  #lose(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.#options.onLost(error as Error);
  }
}
