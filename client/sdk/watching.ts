/**
 * All that a client watches, against what the hub was asked for on this connection: asks for what is missing and no more,
 * with the `since` from which it is missing, and gives what comes to the views it concerns. Does not know how a connection
 * is made or kept: the client says when one is there. What is asked in one turn of the loop goes out together.
 */
import type { Unwatch, Watch } from '../../shared/client-messages.ts';
import type { Entry } from '../../shared/entry.ts';
import type { HubMessage, Snapshot } from '../../shared/hub-messages.ts';
import { inChunks } from './chunks.ts';
import { PresenceError } from './error.ts';
import { Watched } from './watched.ts';

type Of<T extends HubMessage['type']> = Extract<HubMessage, { type: T }>;

/** After an error that is not the watch's fault. */
const ASK_AGAIN_MS = 5_000;

export class Watching {
  readonly #send: (message: Watch | Unwatch) => void;
  readonly #all = new Set<Watched>();
  readonly #lists = new Map<string, Watched>();
  readonly #byId = new Map<string, Set<Watched>>();
  #isConnected = false;
  #nextId = 0;
  /** Asked and not yet answered, by the message's id: for whom, and which ids. */
  readonly #asked = new Map<number, { readonly all: readonly Watched[]; readonly users: readonly string[] }>();
  readonly #askedLists = new Set<string>();
  /** Ids asked for on this connection, and of those the ones without a snapshot yet. */
  readonly #askedIds = new Set<string>();
  readonly #pendingIds = new Set<string>();
  /** The `at` that holds for every id with an entry. */
  #idsAt: number | undefined;
  /** The same for those answered on this connection. */
  #answeredAt: number | undefined;
  readonly #toAsk = new Set<Watched>();
  readonly #toDrop = new Set<string>();
  #isFlushDue = false;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (message: Watch | Unwatch) => void) {
    this.#send = send;
  }

  get all(): Iterable<Watched> {
    return this.#all;
  }

  /** `lostAt`: since when there is no connection. */
  openFriends(owner: string): Watched {
    const there = this.#lists.get(owner);
    if (there !== undefined) return there;
    const watched = new Watched(owner, new Set());
    this.#lists.set(owner, watched);
    this.#open(watched);
    return watched;
  }

  openUsers(ids: ReadonlySet<string>): Watched {
    const watched = new Watched(undefined, ids);
    const known: Entry[] = [];
    for (const id of ids) {
      let others = this.#byId.get(id);
      if (others === undefined) this.#byId.set(id, (others = new Set()));
      for (const other of others) {
        const entry = other.entries.get(id);
        if (entry === undefined) continue;
        known.push(entry);
        watched.behindSince ??= other.behindSince;
        break;
      }
      others.add(watched);
    }
    if (known.length > 0 || ids.size === 0) {
      const { behindSince } = watched;
      watched.apply(known, { isComplete: known.length === ids.size });
      watched.behindSince = behindSince;
    }
    this.#open(watched);
    return watched;
  }

  /** Its last view is closed. */
  close(watched: Watched): void {
    this.#all.delete(watched);
    this.#toAsk.delete(watched);
    if (watched.owner !== undefined) this.#lists.delete(watched.owner);
    for (const id of watched.ids) {
      const others = this.#byId.get(id);
      others?.delete(watched);
      if (others?.size !== 0) continue;
      this.#byId.delete(id);
      this.#toDrop.add(id);
    }
    this.#flushSoon();
  }

  /** A connection is there that knows of no watch: all are asked anew. Those refused before go alone, to spoil no other. */
  connected(): void {
    this.lost(null);
    this.#isConnected = true;
    const good = [...this.#all].filter(({ error }) => error === null);
    this.#ask(good);
    this.askRefused();
  }

  /** What was refused may be allowed now. */
  askRefused(): void {
    for (const watched of this.#all) if (watched.error !== null) this.#ask([watched]);
  }

  /** `at`: the last moment when what is shown was right. */
  lost(at: number | null): void {
    this.#isConnected = false;
    clearTimeout(this.#again);
    this.#asked.clear();
    this.#askedLists.clear();
    this.#askedIds.clear();
    this.#pendingIds.clear();
    this.#toAsk.clear();
    this.#toDrop.clear();
    this.#answeredAt = undefined;
    for (const watched of this.#all) {
      watched.isPending = true;
      if (watched.isSynced) watched.behindSince ??= at;
    }
  }

  hear(message: HubMessage): void {
    switch (message.type) {
      case 'snapshot':
        if (message.re !== undefined) this.#asked.delete(Number(message.re));
        if ('friendsOf' in message) this.#snapshotOfFriends(message);
        else this.#snapshotOfUsers(message);
        break;
      case 'presence':
        this.#presence(message);
        break;
      case 'friend':
        this.#friend(message);
        break;
      case 'unwatched':
        // With `re` it answers an unwatch of ours.
        if (message.re === undefined) this.#unwatched(message);
        break;
      case 'error':
        if (message.re !== undefined) this.#refused(message);
        break;
      default: // nothing of the views
    }
  }

  #open(watched: Watched): void {
    this.#all.add(watched);
    this.#toAsk.add(watched);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#isFlushDue || !this.#isConnected) return;
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      if (this.#isConnected) this.#flush();
    });
  }

  #flush(): void {
    for (const owner of this.#askedLists) {
      if (this.#lists.has(owner)) continue;
      this.#askedLists.delete(owner);
      this.#send({ type: 'unwatch', id: this.#nextId++, friendsOf: owner });
    }
    const dropped = [...this.#toDrop].filter((id) => !this.#byId.has(id) && this.#askedIds.delete(id));
    for (const id of dropped) this.#pendingIds.delete(id);
    this.#toDrop.clear();
    for (const users of inChunks(dropped)) this.#send({ type: 'unwatch', id: this.#nextId++, users });
    const toAsk = [...this.#toAsk];
    this.#toAsk.clear();
    this.#ask(toAsk);
  }

  #ask(all: readonly Watched[]): void {
    const unknown = new Set<string>();
    const known = new Set<string>();
    for (const watched of all) {
      const { owner, at: since, ids, entries } = watched;
      if (owner !== undefined) {
        this.#askedLists.add(owner);
        this.#sendWatch([watched], [], { friendsOf: owner, since });
      }
      for (const id of ids) {
        const isKnown = entries.has(id);
        if (!isKnown || !this.#askedIds.has(id) || this.#pendingIds.has(id)) (isKnown ? known : unknown).add(id);
      }
    }
    const ofUsers = all.filter(({ owner }) => owner === undefined);
    for (const users of inChunks(unknown)) this.#sendWatch(ofUsers, users, { users });
    for (const users of inChunks(known)) this.#sendWatch(ofUsers, users, { users, since: this.#idsAt });
  }

  #sendWatch(
    all: readonly Watched[],
    users: readonly string[],
    what: { friendsOf: string; since: number | undefined } | { users: string[]; since?: number | undefined },
  ): void {
    const id = this.#nextId++;
    this.#asked.set(id, { all, users });
    for (const user of users) {
      this.#askedIds.add(user);
      this.#pendingIds.add(user);
    }
    this.#send({ type: 'watch', id, ...what });
  }

  #snapshotOfFriends(message: Snapshot & { friendsOf: string }): void {
    const watched = this.#lists.get(message.friendsOf);
    if (watched === undefined) return;
    watched.at = message.at;
    watched.isPending = false;
    const mode = message.since === undefined ? 'whole' : 'newer';
    watched.apply(message.entries, { mode, without: message.removed, isSnapshot: true, isComplete: true });
  }

  #snapshotOfUsers({ users, entries, since, at }: Snapshot & { users: string[] }): void {
    for (const id of users) this.#pendingIds.delete(id);
    const answeredAt = (this.#answeredAt = Math.min(this.#answeredAt ?? at, at));
    if (this.#pendingIds.size === 0) this.#idsAt = answeredAt;
    else if (this.#idsAt !== undefined) this.#idsAt = Math.min(this.#idsAt, answeredAt);
    const news = new Map<Watched, Entry[]>();
    for (const id of users) for (const watched of this.#byId.get(id) ?? []) news.set(watched, []);
    for (const entry of entries) for (const watched of this.#byId.get(entry.user) ?? []) news.get(watched)?.push(entry);
    for (const [watched, own] of news) {
      const isComplete = this.#isAnswered(watched, own);
      watched.apply(own, { mode: since === undefined ? 'these' : 'newer', isSnapshot: true, isComplete });
    }
  }

  #isAnswered({ ids, entries }: Watched, news: readonly Entry[]): boolean {
    const added = new Set(news.map(({ user }) => user));
    for (const id of ids) if (this.#pendingIds.has(id) || !(entries.has(id) || added.has(id))) return false;
    return true;
  }

  #presence({ entries, at }: Of<'presence'>): void {
    const news = new Map<Watched, Entry[]>();
    const add = (watched: Watched, entry: Entry): void => {
      const own = news.get(watched);
      if (own === undefined) news.set(watched, [entry]);
      else own.push(entry);
    };
    for (const entry of entries) {
      for (const watched of this.#lists.values()) if (watched.entries.has(entry.user)) add(watched, entry);
      // One whose snapshot is on its way is in it.
      for (const watched of this.#byId.get(entry.user) ?? []) if (watched.entries.has(entry.user)) add(watched, entry);
    }
    for (const [watched, own] of news) watched.apply(own);
    if (at === undefined) return;
    for (const watched of this.#lists.values()) if (!watched.isPending) watched.at = at;
    if (this.#answeredAt === undefined) return;
    this.#answeredAt = at;
    if (this.#pendingIds.size === 0) this.#idsAt = at;
  }

  #friend(message: Of<'friend'>): void {
    const watched = this.#lists.get(message.friendsOf);
    if (message.op === 'add') watched?.apply([message.entry]);
    else watched?.apply([], { without: [message.user] });
  }

  /** The hub ends a watch by itself: what it showed can't be kept true. */
  #unwatched(message: Of<'unwatched'>): void {
    const error = new PresenceError('forbidden', 'the hub no longer allows this watch');
    const refuse = (watched: Watched, without: Iterable<string>): void => {
      watched.at = undefined;
      watched.apply([], { without });
      watched.refuse(error);
    };
    if ('friendsOf' in message) {
      const watched = this.#lists.get(message.friendsOf);
      if (watched !== undefined) refuse(watched, watched.entries.keys());
      return;
    }
    const concerned = new Set<Watched>();
    for (const id of message.users) {
      this.#askedIds.delete(id);
      for (const watched of this.#byId.get(id) ?? []) concerned.add(watched);
    }
    for (const watched of concerned) refuse(watched, message.users);
  }

  #refused({ re, code, message }: Of<'error'>): void {
    const asked = this.#asked.get(Number(re));
    if (asked === undefined) return;
    this.#asked.delete(Number(re));
    for (const user of asked.users) {
      this.#askedIds.delete(user);
      this.#pendingIds.delete(user);
    }
    const all = asked.all.filter((watched) => this.#all.has(watched));
    if (code === 'internal' || code === 'rate_limited') {
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#ask([...this.#all]), ASK_AGAIN_MS);
    } else if (all.length > 1) {
      // Asked for together, and one of them spoiled it.
      for (const watched of all) this.#ask([watched]);
    } else {
      for (const watched of all) watched.refuse(new PresenceError(code, message));
    }
  }
}
