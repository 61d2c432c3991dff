/**
 * A client: provides views of watched users, and emits events about the connection, staleness and the user's own
 * presence. Joins `Watching` (what is watched) with a link (the connection to the hub). Has no socket and no timer of
 * its own.
 */
import type { HubMessage } from '../../shared/messages/hub-messages.ts';
import { HubTime } from '../../shared/hub-time.ts';
import { PresenceError } from './error.ts';
import type { Link, LinkEvents, LinkStatus } from './link/link.ts';
import { Listeners } from './listeners.ts';
import { bad, readIds, readMyStatus, readUser } from './link/read.ts';
import type {
  ClientEvents,
  ConnectionStatus,
  MyStatus,
  PresenceClient,
  PresenceView,
  Self,
  StatusChange,
} from './types.ts';
import type { View, ViewOwner } from './view.ts';
import { Watching } from './watching.ts';

/**
 * Minimum time between reports of input, because input comes by the hundred. It is a quarter of the away time if that
 * is less.
 */
const ACTIVE_EVERY_MS = 1_000;

/** Opens the link when it is first needed. Throws at once if no connection is possible. */
export type OpenLink = (events: LinkEvents) => Promise<Link>;

export class Client extends Listeners<ClientEvents> implements PresenceClient, ViewOwner {
  readonly user: string | null;
  readonly #awayAfterMs: number | undefined;
  readonly #openLink: OpenLink;
  #link: Promise<Link> | undefined;
  readonly #hubTime = new HubTime();
  readonly #watching = new Watching((message) => this.#call('send', message));
  status: ConnectionStatus = 'idle';
  self: Self | null = null;
  /** For a module that is loaded after it happened. `declare` keeps the field out of the script. */
  declare change: StatusChange | undefined;
  /** By this machine's clock. */
  #receivedAt = 0;
  /** By the hub's clock. */
  #lostAt = Infinity;
  /** The time since which the hub says that its data may be out of date. */
  #hubStaleSince = Infinity;
  #reportedStaleSince: number | null = null;
  #activeAt = -Infinity;
  #leaving: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;

  constructor(user: string | undefined, awayAfterMs: number | undefined, openLink: OpenLink) {
    super();
    this.user = user ?? null;
    this.#awayAfterMs = awayAfterMs;
    this.#openLink = openLink;
  }

  get staleSince(): number | null {
    return this.#staleSince(this.#isBehind);
  }

  staleSinceOf({ isSynced, unanswered }: View): number | null {
    return isSynced ? this.#staleSince(unanswered.size > 0) : null;
  }

  hubNow(): number {
    return this.#hubTime.now();
  }

  connect(): void {
    if (this.status === 'idle') this.#reach();
  }

  watchFriends(user: string | null = this.user): PresenceView {
    const owner = readUser(user, 'user');
    this.#reach();
    return this.#watching.open(owner, new Set([owner]), this);
  }

  watch(ids: Iterable<string>): PresenceView {
    const users = readIds(ids);
    this.#reach();
    return this.#watching.open(undefined, users, this);
  }

  set(what: MyStatus): void {
    if (this.user === null) throw bad('observers have no status');
    readMyStatus(what);
    this.#reach();
    this.#call('set', what);
  }

  markActive(): void {
    const awayAfterMs = this.#awayAfterMs;
    if (awayAfterMs === undefined || this.#link === undefined || this.status === 'closed') return;
    const now = performance.now();
    if (now < this.#activeAt + Math.min(ACTIVE_EVERY_MS, awayAfterMs / 4)) return;
    this.#activeAt = now;
    this.#call('input', awayAfterMs);
  }

  check(): void {
    this.#call('check');
  }

  leave(): Promise<void> {
    return (this.#leaving ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      if (this.#link === undefined || this.status === 'closed') this.close();
      else this.#call('leave');
    }));
  }

  close(): void {
    this.#call('close');
    this.#applyStatus({ status: 'closed', receivedAt: 0 });
    this.#onClosed?.();
  }

  get #isBehind(): boolean {
    return (
      this.status !== 'connected' || [...this.#watching.views].some((view) => view.isSynced && view.unanswered.size > 0)
    );
  }

  /** Opens the link and connects, if there is no link yet. */
  #reach(): void {
    if (this.status === 'closed') throw new PresenceError('closed', 'client is closed', true);
    if (this.#link !== undefined) return;
    this.#link = this.#openLink({
      onStatus: (status) => this.#applyStatus(status),
      onMessage: (message) => this.#receive(message),
      onError: (error) => this.emit('error', error),
    });
    this.#applyStatus({ status: 'connecting', receivedAt: 0 });
    this.#call('connect');
  }

  #call<Name extends keyof Link>(name: Name, ...args: Parameters<Link[Name]>): void {
    void this.#link?.then((link) => (link[name] as (...args: Parameters<Link[Name]>) => void)(...args));
  }

  #applyStatus({ status: linkStatus, receivedAt, ...rest }: LinkStatus): void {
    const previous = this.status;
    if (previous === 'closed') return;
    // Another tab's first attempt may be this client's second.
    const status = linkStatus === 'connecting' && this.#receivedAt > 0 ? 'reconnecting' : linkStatus;
    if (status !== 'connected') this.#lost(Math.max(this.#receivedAt, receivedAt));
    this.status = status;
    if (status !== previous || rest.retryInMs !== undefined) {
      this.emit('status', (this.change = { status, previous, ...rest }));
      this.#watching.reportStatus();
    }
    this.#reportStale();
    if (status === 'closed') this.#end(rest.reason?.text);
  }

  #receive(message: HubMessage): void {
    const receivedAt = this.#receivedAt;
    this.#receivedAt = Date.now();
    this.#hubTime.receive(message);
    switch (message.type) {
      case 'welcome':
        // Another tab may have taken over the connection without notice.
        this.#lost(receivedAt);
        this.#watching.connected();
        // A hub that is still stale says so next.
        this.#hubStaleSince = Infinity;
        break;
      case 'fresh':
        this.#hubStaleSince = Infinity;
        break;
      case 'stale':
        this.#hubStaleSince = message.since;
        break;
      case 'self':
        this.self = { status: message.status, text: message.text, devices: message.devices };
        this.emit('self', this.self);
        break;
      case 'ok':
        // The answer to a fresh token.
        this.#watching.askDenied();
        break;
      default:
        this.#watching.receive(message);
    }
    this.#reportStale();
  }

  /** `receivedAt`: the time until which the data was current, unless it was out of date before. */
  #lost(receivedAt: number): void {
    if (!this.#isBehind) this.#lostAt = receivedAt > 0 ? this.#hubTime.at(receivedAt) : Infinity;
    this.#watching.lost();
  }

  #staleSince(isBehind: boolean): number | null {
    const at = Math.min(this.#hubStaleSince, isBehind ? this.#lostAt : Infinity);
    return at < Infinity ? at : null;
  }

  #reportStale(): void {
    const { staleSince } = this;
    if (staleSince === this.#reportedStaleSince) return;
    this.#reportedStaleSince = staleSince;
    this.emit('stale', { staleSince });
    this.#watching.reportStatus();
  }

  #end(why: string | undefined): void {
    if (why !== undefined) this.emit('error', new PresenceError('refused', why, true));
    for (const view of [...this.#watching.views]) view.close();
    this.silence();
    this.#onClosed?.();
  }
}
