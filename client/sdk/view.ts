/**
 * A view: a friend list or a set of users, as the hub reported them. Keeps the entries and which keys the hub has
 * answered on this connection, and emits events. Sends nothing; watching.ts does. A key is what a message names: the
 * list's owner, or an id.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { Snapshot } from '../../shared/messages/hub-messages.ts';
import type { PresenceError } from './error.ts';
import { fold, type Entries, type FoldMode } from './fold.ts';
import type { Changes } from './iterate.ts';
import { Listeners } from './listeners.ts';
import type { ConnectionStatus, PresenceView, ViewChange, ViewEvents } from './types.ts';

/** The client, as its views see it. */
export interface ViewOwner {
  readonly status: ConnectionStatus;
  staleSinceOf(view: View): number | null;
}

// `declare` keeps fields that the constructor sets out of the script.
export class View extends Listeners<ViewEvents> implements PresenceView {
  declare readonly owner: string | undefined;
  declare readonly keys: ReadonlySet<string>;
  entries: Entries = new Map();
  declare isSynced: boolean;
  error: PresenceError | null = null;
  /** The keys that the hub has not answered on this connection. */
  declare unanswered: Set<string>;
  /** The keys that the hub refused or ended. */
  readonly denied = new Set<string>();
  /** The `at` that is valid for all entries. */
  declare at: number | undefined;
  /** The `at` that is valid for what was answered on this connection. */
  #answeredAt: number | undefined;
  readonly #client: ViewOwner;
  readonly #onClose: () => void;
  #isClosed = false;

  constructor(owner: string | undefined, keys: ReadonlySet<string>, client: ViewOwner, onClose: () => void) {
    super();
    this.owner = owner;
    this.keys = keys;
    this.unanswered = new Set(keys);
    this.isSynced = keys.size === 0;
    this.#client = client;
    this.#onClose = onClose;
  }

  get staleSince(): number | null {
    return this.#client.staleSinceOf(this);
  }

  get status(): ConnectionStatus {
    return this.#isClosed ? 'closed' : this.#client.status;
  }

  get(user: string): Entry | undefined {
    return this.entries.get(user);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.reportStatus();
    this.silence();
    this.#onClose();
  }

  // Marks every key as unanswered, because the next connection knows of no watch.

  lost(): void {
    this.#answeredAt = undefined;
    this.unanswered = new Set(this.keys);
  }

  snapshot(keys: readonly string[], { at, entries, since, removed }: Snapshot): void {
    const isList = this.owner !== undefined;
    const mode = since !== undefined ? 'newer' : isList ? 'whole' : 'these';
    const answered = keys.filter(
      (key) => this.keys.has(key) && (isList || since === undefined || this.entries.has(key)),
    );
    if (answered.length === 0) return;
    for (const key of answered) {
      this.unanswered.delete(key);
      this.denied.delete(key);
    }
    this.#noteAnswer(Math.min(this.#answeredAt ?? at, at));
    const isSync = this.unanswered.size === 0;
    if (isSync) {
      this.isSynced = true;
      this.error = null;
    }
    const own = isList ? entries : entries.filter(({ user }) => this.keys.has(user));
    const change = this.apply(own, mode, removed, true);
    if (isSync) this.emit('sync', change);
  }

  presence(news: readonly Entry[], at: number | undefined): void {
    const own = news.filter(({ user }) => this.entries.has(user));
    if (own.length > 0) this.apply(own);
    if (at !== undefined && this.#answeredAt !== undefined) this.#noteAnswer(at);
  }

  apply(news: readonly Entry[], mode?: FoldMode, without?: Iterable<string>, isSnapshot = false): ViewChange {
    const change = { ...fold(this.entries, news, mode, without), isSnapshot };
    const isChange = change.entries !== this.entries;
    this.entries = change.entries;
    if (isChange) this.emit('change', change);
    return change;
  }

  /** Removes what was shown for these keys, because it can no longer be kept current. */
  deny(all: readonly string[], error: PresenceError): void {
    const keys = all.filter((key) => this.keys.has(key));
    if (keys.length === 0) return;
    for (const key of keys) {
      this.unanswered.delete(key);
      this.denied.add(key);
    }
    if (this.owner !== undefined) this.at = undefined;
    this.error = error;
    this.apply([], 'newer', this.owner === undefined ? keys : [...this.entries.keys()]);
    this.emit('error', error);
  }

  reportStatus(): void {
    this.emit('status', { status: this.status, staleSince: this.staleSince });
  }

  /**
   * While some keys wait for their first answer, the older `at` stays valid for all entries, and a lower one always
   * replaces it.
   */
  #noteAnswer(at: number): void {
    this.#answeredAt = at;
    if (this.unanswered.size === 0 || at < (this.at ?? 0)) this.at = at;
  }

  /** Loaded when it is needed, because most apps listen to events. */
  [Symbol.asyncIterator](): Changes {
    const changes = import('./iterate.ts').then(({ iterate }) => iterate(this));
    return { next: () => changes.then((own) => own.next()), return: () => changes.then((own) => own.return()) };
  }
}
