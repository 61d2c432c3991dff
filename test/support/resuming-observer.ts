/**
 * A watcher that keeps its view over many connections: it resumes with the last `at` that it received, on whichever hub.
 * It checks what must hold at all times: versions of a user only grow, also from hub to hub, and equal versions are equal
 * entries for all watchers.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { HubMessage } from '../../shared/messages/hub-messages.ts';
import type { ClusterHub } from './cluster-stage.ts';
import { WsClient } from './ws-client.ts';

/** Ids of the two watches of a resume. */
const RESUMED = 'resumed';
const FRESH = 'fresh';

export class ResumingObserver {
  readonly users: readonly string[];
  readonly view = new Map<string, Entry>();
  readonly faults: string[] = [];
  /** Each change of a user from another status to offline. */
  readonly leaves: string[] = [];
  readonly counts = { resumes: 0, partial: 0, changed: 0, later: 0, stale: 0 };
  isStale = false;
  hub: ClusterHub | undefined;
  #at: number | undefined;
  #client: WsClient | undefined;
  readonly #seen: Map<string, string>;
  /** Resolves when the hub asks this connection to reconnect, or when it has ended. */
  #sentAway: Promise<unknown> = Promise.resolve();

  /** `seen`: every entry that any watcher was shown, by user and version. One map for all watchers of a test. */
  constructor(users: readonly string[], seen: Map<string, string>) {
    this.users = users;
    this.#seen = seen;
  }

  get sentAway(): Promise<unknown> {
    return this.#sentAway;
  }

  /**
   * Watches on this hub, with the last `at` if it has one, and asks for a fresh snapshot right after it. What the resume
   * left must equal the snapshot; differences are faults. `counts.later`: entries that changed between the two.
   */
  async resume(hub: ClusterHub): Promise<void> {
    const client = await this.#open(hub);
    const answered = client.next('snapshot', ({ re }) => re === FRESH);
    client.send({ type: 'watch', users: this.users, id: FRESH });
    await answered;
    this.counts.resumes++;
  }

  /** A resume that is cut after this time, whatever has arrived by then. */
  async interrupted(hub: ClusterHub, afterMs: number): Promise<void> {
    await this.#open(hub);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
  }

  cut(): void {
    this.#client?.cut();
    this.#client = undefined;
    this.hub = undefined;
  }

  async #open(hub: ClusterHub): Promise<WsClient> {
    this.cut();
    const client = await WsClient.open(hub.ws);
    this.#client = client;
    this.hub = hub;
    this.isStale = false;
    let askedAway: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (askedAway = resolve));
    this.#sentAway = Promise.race([asked, client.closed]);
    client.onMessage((message) => {
      if (this.#client !== client) return; // what arrives after a cut was not received
      if (message.type === 'reconnect') askedAway();
      this.#receive(message);
    });
    const since = this.#at === undefined ? {} : { since: this.#at };
    client.send({ type: 'hello', observe: true });
    client.send({ type: 'watch', users: this.users, id: RESUMED, ...since });
    return client;
  }

  #receive(message: HubMessage): void {
    if (message.type === 'stale') {
      this.isStale = true;
      this.counts.stale++;
    } else if (message.type === 'fresh') this.isStale = false;
    else if (message.type === 'error') this.faults.push(JSON.stringify(message));
    else if (message.type === 'snapshot') {
      if (message.re === FRESH) this.#compare(message.entries);
      else if (message.since !== undefined) this.counts.partial++;
      for (const entry of message.entries) this.#take(entry);
      this.#at = message.at;
    } else if (message.type === 'presence') {
      for (const entry of message.entries) this.#take(entry);
      if (message.at !== undefined) this.#at = message.at;
    }
  }

  #compare(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const [resumed, fresh] = [JSON.stringify(this.view.get(entry.user)), JSON.stringify(entry)];
      if (resumed === fresh) continue;
      // A user who changed within 50 ms after the resume is reported later, but a snapshot is not delayed (W40).
      if (this.#at !== undefined && entry.v > this.#at) this.counts.later++;
      else this.faults.push(`resumed with ${resumed} at ${this.#at}, and a fresh snapshot has ${fresh}`);
    }
    const left = this.users.length - entries.length;
    if (left !== 0) this.faults.push(`${left} users are missing in a fresh snapshot`);
  }

  #take(entry: Entry): void {
    const { user, v, status } = entry;
    const before = this.view.get(user);
    const text = JSON.stringify(entry);
    if (before !== undefined && v < before.v) this.faults.push(`${JSON.stringify(before)} was followed by ${text}`);
    const key = `${user} ${v}`;
    const seen = this.#seen.get(key) ?? text;
    if (seen !== text) this.faults.push(`two entries of one version: ${seen} and ${text}`);
    this.#seen.set(key, text);
    if (before !== undefined && before.v !== v) this.counts.changed++;
    if (before !== undefined && before.status !== 'offline' && status === 'offline') this.leaves.push(user);
    this.view.set(user, entry);
  }
}
