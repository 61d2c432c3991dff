/**
 * A client: hands out views of what is watched, and tells what it hears of the connection, of staleness and of oneself.
 * Joins watching (what is watched) with a link (the way to the hub); holds no socket and no timer of its own.
 */
import type { HubMessage } from '../../shared/hub-messages.ts';
import { PresenceError } from './error.ts';
import type { Link, LinkEvents, LinkStatus } from './link.ts';
import { Listeners } from './listeners.ts';
import { readIds, readMyStatus, readUser } from './read.ts';
import type { ClientEvents, ConnectionStatus, MyStatus, PresenceClient, PresenceView, Self } from './types.ts';
import { View } from './view.ts';
import type { Watched } from './watched.ts';
import { Watching } from './watching.ts';

/** Opens the link at the first need, and ends what was begun for it. */
export type OpenLink = (events: LinkEvents) => Link;

export class Client implements PresenceClient {
  readonly user: string | null;
  readonly #openLink: OpenLink;
  #link: Link | undefined;
  readonly #watching = new Watching((message) => this.#link?.send(message));
  readonly #views = new Set<View>();
  readonly #listeners = new Listeners<ClientEvents>();
  readonly on = this.#listeners.on;
  #status: ConnectionStatus = 'idle';
  #self: Self | null = null;
  #heardAt: number | null = null;
  #lostAt: number | null = null;
  /** The hub says that it may be behind. */
  #hubStaleSince: number | null = null;
  #toldStaleSince: number | null = null;
  #leaving: Promise<void> | undefined;

  constructor(user: string | undefined, openLink: OpenLink) {
    this.user = user ?? null;
    this.#openLink = openLink;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get self(): Self | null {
    return this.#self;
  }

  get staleSince(): number | null {
    return earliest([this.#hubStaleSince, this.#lostAt, ...Array.from(this.#watching.all, (one) => one.behindSince)]);
  }

  connect(): void {
    this.#reach().connect();
  }

  watchFriends(user: string | null = this.user): PresenceView {
    const owner = readUser(user, 'watchFriends: user');
    this.connect();
    return this.#view(this.#watching.openFriends(owner));
  }

  watch(ids: Iterable<string>): PresenceView {
    const users = readIds(ids);
    this.connect();
    return this.#view(this.#watching.openUsers(users));
  }

  set(what: MyStatus): void {
    if (this.user === null)
      throw new PresenceError('bad_message', 'set: an observer has no status: give the option user');
    this.#reach().set(readMyStatus(what));
    this.connect();
  }

  leave(): Promise<void> {
    return (this.#leaving ??= new Promise((resolve) => {
      if (this.#link === undefined || this.#status === 'closed') this.close();
      if (this.#status === 'closed') return resolve();
      this.#listeners.on('status', ({ status }) => {
        if (status === 'closed') resolve();
      });
      this.#link?.leave();
    }));
  }

  close(): void {
    this.#link?.close();
    this.#heed({ status: 'closed', heardAt: this.#heardAt });
  }

  /** The link, opened where there is none yet. */
  #reach(): Link {
    if (this.#status === 'closed') throw new PresenceError('closed', 'the client is closed: create another one', true);
    return (this.#link ??= this.#openLink({
      onStatus: (status) => this.#heed(status),
      onMessage: (message) => this.#hear(message),
      onError: (error) => this.#listeners.emit('error', error),
    }));
  }

  #view(watched: Watched): PresenceView {
    const view = new View(watched, {
      status: () => this.#status,
      staleSince: () => (watched.isSynced ? earliest([this.#hubStaleSince, watched.behindSince]) : null),
      onClose: () => {
        this.#views.delete(view);
        if (watched.views.size > 0) return;
        this.#watching.close(watched);
        this.#tellStale();
      },
    });
    this.#views.add(view);
    return view;
  }

  #heed({ status: told, heardAt, ...rest }: LinkStatus): void {
    const previous = this.#status;
    if (previous === 'closed') return;
    // Another tab's first attempt may be our second.
    const status = told === 'connecting' && this.#heardAt !== null ? 'reconnecting' : told;
    this.#heardAt = Math.max(this.#heardAt ?? 0, heardAt ?? 0) || null;
    this.#status = status;
    if (status === 'connected') this.#lostAt = null;
    else {
      this.#lostAt ??= this.#heardAt;
      this.#hubStaleSince = null;
      this.#watching.lost(this.#lostAt);
    }
    if (status !== previous || rest.retryInMs !== undefined) {
      this.#listeners.emit('status', { status, previous, ...rest });
      for (const view of [...this.#views]) view.tellStatus();
    }
    this.#tellStale();
    if (status === 'closed') this.#end(rest.reason?.text);
  }

  #hear(message: HubMessage): void {
    this.#heardAt = Date.now();
    switch (message.type) {
      case 'welcome':
        this.#watching.connected();
        break;
      case 'stale':
        this.#hubStaleSince = message.since;
        break;
      case 'fresh':
        this.#hubStaleSince = null;
        break;
      case 'self':
        this.#self = { status: message.status, text: message.text, devices: message.devices };
        this.#listeners.emit('self', this.#self);
        break;
      default:
        this.#watching.hear(message);
    }
    this.#tellStale();
  }

  #tellStale(): void {
    const { staleSince } = this;
    if (staleSince === this.#toldStaleSince) return;
    this.#toldStaleSince = staleSince;
    this.#listeners.emit('stale', { staleSince });
    for (const view of [...this.#views]) view.tellStatus();
  }

  #end(why: string | undefined): void {
    if (why !== undefined) this.#listeners.emit('error', new PresenceError('refused', why, true));
    for (const view of [...this.#views]) view.close();
    this.#listeners.clear();
  }
}

function earliest(instants: readonly (number | null)[]): number | null {
  const known = instants.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
}
