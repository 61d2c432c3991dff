/**
 * A client as the contract lets it be written: it keeps what it is sent, by the rules of PROTOCOL.md section 4, and
 * resumes with the last `at`. Fails at the first message that the contract forbids. Knows nothing of the hub's insides.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { HubMessage } from '../../shared/messages/hub-messages.ts';

export class Replica {
  readonly entries = new Map<string, Entry>();
  /** The lists and ids that the hub has confirmed. */
  readonly lists = new Map<string, Set<string>>();
  readonly ids = new Set<string>();
  readonly listAt = new Map<string, number>();
  readonly idAt = new Map<string, number>();
  self: string | undefined;
  /** The `since` of each watch asked for, in the order asked, by `id`. */
  readonly asked = new Map<number, number | undefined>();
  #lastAt = 0;
  readonly #lastV = new Map<string, number>();

  receive(message: HubMessage): void {
    switch (message.type) {
      case 'snapshot':
        this.#snapshot(message);
        break;
      case 'presence':
        this.#presence(message.entries, message.at);
        break;
      case 'friend':
        this.#friend(message);
        break;
      case 'unwatched':
        if ('friendsOf' in message) this.#dropList(message.friendsOf);
        else for (const id of message.users) this.#dropId(id);
        break;
      case 'self': {
        const { type: _, ...fold } = message;
        const json = JSON.stringify(fold);
        if (json === this.self) throw new Error('self was sent twice');
        this.self = json;
        break;
      }
      default:
        throw new Error(`unexpected ${message.type}`);
    }
    for (const user of this.entries.keys()) if (!this.covers(user)) this.entries.delete(user);
  }

  /** A new connection: nothing asked before will be answered. */
  reconnected(): void {
    this.asked.clear();
    this.self = undefined;
  }

  covers(user: string): boolean {
    return this.ids.has(user) || [...this.lists.values()].some((list) => list.has(user));
  }

  #dropList(owner: string): void {
    this.lists.delete(owner);
    this.listAt.delete(owner);
  }

  #dropId(id: string): void {
    this.ids.delete(id);
    this.idAt.delete(id);
  }

  /** Forgets what it no longer watches if the answer to its `unwatch` never came. */
  keepOnly(lists: ReadonlySet<string>, ids: ReadonlySet<string>): void {
    for (const owner of [...this.lists.keys()]) if (!lists.has(owner)) this.#dropList(owner);
    for (const id of [...this.ids]) if (!ids.has(id)) this.#dropId(id);
    for (const user of this.entries.keys()) if (!this.covers(user)) this.entries.delete(user);
  }

  #snapshot(message: Extract<HubMessage, { type: 'snapshot' }>): void {
    const since = message.re === undefined ? undefined : this.asked.get(message.re as number);
    if (message.re === undefined && !this.#isWatched(message)) throw new Error('a snapshot nobody asked for');
    if (message.since !== since) throw new Error(`asked since ${String(since)}, answered ${String(message.since)}`);
    this.#advance(message.at);
    const isFull = since === undefined;
    if ('friendsOf' in message) {
      const before = this.lists.get(message.friendsOf);
      const list = isFull ? new Set<string>() : before;
      if (list === undefined) throw new Error('news of a list that is not known');
      for (const user of message.removed ?? []) list.delete(user);
      for (const { user } of message.entries) list.add(user);
      this.lists.set(message.friendsOf, list);
      this.listAt.set(message.friendsOf, message.at);
    } else {
      if (isFull && message.users.length !== message.entries.length) throw new Error('one entry for each');
      for (const id of message.users) {
        this.ids.add(id);
        this.idAt.set(id, message.at);
      }
    }
    this.#once(message.entries);
    for (const entry of message.entries) this.#take(entry, 'again');
  }

  /** Sent anew, since changes were dropped: of a list, or of ids, that the client watches. */
  #isWatched(message: Extract<HubMessage, { type: 'snapshot' }>): boolean {
    return 'friendsOf' in message ? this.lists.has(message.friendsOf) : message.users.every((id) => this.ids.has(id));
  }

  #presence(entries: readonly Entry[], at: number | undefined): void {
    this.#once(entries);
    if (entries.length === 0) throw new Error('empty presence message');
    for (const entry of entries) {
      if (!this.covers(entry.user)) throw new Error(`${entry.user} is not watched`);
      this.#take(entry, 'new');
    }
    if (at === undefined) return;
    this.#advance(at);
    for (const owner of this.lists.keys()) this.listAt.set(owner, at);
    for (const id of this.ids) this.idAt.set(id, at);
  }

  #friend(message: Extract<HubMessage, { type: 'friend' }>): void {
    const list = this.lists.get(message.friendsOf);
    if (list === undefined) throw new Error('friend of a list that is not watched');
    if (message.op === 'add') {
      if (list.has(message.entry.user)) throw new Error('added twice');
      list.add(message.entry.user);
      this.#take(message.entry, 'again');
    } else if (!list.delete(message.user)) {
      throw new Error('removed though not in the list');
    }
  }

  #take(entry: Entry, kind: 'new' | 'again'): void {
    const last = this.#lastV.get(entry.user) ?? -1;
    if (entry.v < last) throw new Error(`version of ${entry.user} went back`);
    if (kind === 'new' && entry.v === last) throw new Error(`${entry.user} was sent twice`);
    const known = this.entries.get(entry.user);
    if (known?.v === entry.v && JSON.stringify(known) !== JSON.stringify(entry)) throw new Error('two entries, one v');
    this.#lastV.set(entry.user, entry.v);
    this.entries.set(entry.user, entry);
  }

  #once(entries: readonly Entry[]): void {
    if (new Set(entries.map(({ user }) => user)).size !== entries.length)
      throw new Error('a user twice in one message');
  }

  #advance(at: number): void {
    if (at < this.#lastAt) throw new Error('at went back');
    this.#lastAt = at;
  }
}
