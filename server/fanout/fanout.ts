/**
 * Answers watches and their ends. A snapshot is taken in the same synchronous step as its subscription, so that nothing
 * between them is lost or sent twice. Reads the core, never changes it. `WatchGraph` holds who watches whom, `Reports`
 * sends changes, `ListEditNotifier` sends edits of friend lists, and `WatcherMessages` formats the messages.
 */
import type { MessageId } from '../../shared/messages/client-messages.ts';
import type { Peers } from '../peers.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Roster } from '../roster/port.ts';
import { audienceOf, audienceSize, watchersOf } from './lists/watched-list.ts';
import { notAllowed, type MayWatch } from './may-watch.ts';
import type { Outbox } from './delivery/outbox.ts';
import { Reports, type ReportsOptions } from './reports.ts';
import { ListEditNotifier, type AnnouncedEdit } from './lists/list-edit-notifier.ts';
import { selfJson } from './self-messages.ts';
import {
  headOfFriends,
  headOfUsers,
  WatcherMessages,
  type WatcherMessagesOptions,
} from './delivery/watcher-messages.ts';
import { WatchGraph } from './watch-graph.ts';

export interface FanoutOptions extends Omit<WatcherMessagesOptions, 'unsentEdits' | 'pending'>, ReportsOptions {
  /** The friend lists: those that are not watched yet, and their changes. */
  readonly friends: Pick<Roster, 'load' | 'friendsOf' | 'changesSince'>;
  readonly staleNotifier: StaleNotifier;
  readonly peers: Pick<Peers, 'load'>;
}

/** Notifies connections before they are shown users. */
export interface StaleNotifier {
  /** Whether there may be anything to notify. */
  readonly isOn: boolean;
  before(outbox: Outbox, users: Iterable<User>): void;
  closed(outbox: Outbox): void;
}

export class Fanout {
  readonly reports: Reports;
  readonly #options: FanoutOptions;
  readonly #messages: WatcherMessages;
  readonly #graph: WatchGraph;
  readonly #listEdits: ListEditNotifier;
  /** Watches with a `since`, by what answered them: what changed after it, or a snapshot. */
  readonly resumes = { changes: 0, snapshot: 0 };

  constructor(options: FanoutOptions) {
    const { presence, turns, friends, peers } = options;
    this.#options = options;
    this.reports = new Reports({
      ...options,
      messages: () => this.#messages,
      staleNotifier: () => options.staleNotifier,
    });
    const { pending } = this.reports;
    this.#messages = new WatcherMessages({ ...options, pending, unsentEdits: () => this.#listEdits });
    this.#graph = new WatchGraph({ presence, turns, friends, peers });
    this.#listEdits = new ListEditNotifier({
      presence,
      turns,
      peers,
      graph: this.#graph,
      messages: this.#messages,
      flush: () => this.flush(),
      beforeShown: (outbox, user) => {
        pending.shown(outbox, [user]);
        this.#options.staleNotifier.before(outbox, [user]);
      },
      sendAgain: (user) => this.reports.sendAgain(user),
    });
  }

  /** Unasked snapshots of everything that a connection watches, by reason. */
  get resyncs(): WatcherMessages['resyncs'] {
    return this.#messages.resyncs;
  }

  /** Sends pending changes, as far as the turn has room. */
  flush(): void {
    this.reports.flush();
  }

  /**
   * Loads a friend list that is not in memory, so that its watch takes little time. @returns a promise to wait for
   * before the watch, over as many loop turns as loading takes; undefined if the watch may follow now.
   */
  prepare(owner: string, viewer: Viewer): Promise<void> | undefined {
    return this.#graph.lists.prepare(owner, viewer);
  }

  /** Starts or renews the watch of a friend list, and answers it with a snapshot. */
  watchFriends(outbox: Outbox, owner: string, since: number | undefined, re: MessageId | undefined): void {
    this.#sendPending(outbox);
    // While an edit of the list is being sent, the list in memory may differ from the stored one. The answer is then
    // the whole list.
    const from = this.#listEdits.isUnsent(owner) ? undefined : this.#answerable(since);
    // Storage is read before anything is watched, so that a storage failure also fails the watch.
    const news = from === undefined ? undefined : this.#options.friends.changesSince(owner, from);
    const list = this.#graph.watchFriends(outbox, owner);
    this.#messages.charge(outbox, list.friends.size);
    this.#options.staleNotifier.before(outbox, list.friends);
    const head = headOfFriends(owner);
    this.#countResume(since, from !== undefined && news !== undefined);
    if (from === undefined || news === undefined) {
      this.#messages.snapshot(outbox, head, re, list.friends, undefined);
      return;
    }
    const added = new Set(news.added);
    const newer = [...list.friends].filter((user) => this.#isNewer(user, from, outbox) || added.has(user.id));
    this.#messages.snapshot(outbox, head, re, newer, { since: from, removed: news.removed });
  }

  /** Returns how many connections watch the user. Large numbers are estimates. */
  watchersOf(id: string): number {
    const user = this.#options.presence.find(id);
    return user === undefined ? 0 : audienceSize(user, this.#options.largeAudience);
  }

  watchesFriendsOf(outbox: Outbox, owner: string): boolean {
    const list = this.#graph.lists.get(owner);
    return list !== undefined && outbox.lists.has(list);
  }

  /** Watches these users by id, and answers with a snapshot of them. The ids must all be different. */
  watchUsers(outbox: Outbox, ids: readonly string[], since: number | undefined, re: MessageId | undefined): void {
    this.#sendPending(outbox);
    const users = this.#graph.watchUsers(outbox, ids);
    this.#messages.charge(outbox, users.length);
    this.#options.staleNotifier.before(outbox, users);
    const head = headOfUsers(ids);
    const from = this.#answerable(since);
    // A user that seems never seen may have been deleted since then, and no entry shows that.
    const { timekeeper } = this.#options;
    const mayLack = from !== undefined && timekeeper.mayHaveForgotten(from) && users.some(({ v }) => v === 0);
    this.#countResume(since, from !== undefined && !mayLack);
    if (from === undefined || mayLack) {
      this.#messages.snapshot(outbox, head, re, users, undefined);
      return;
    }
    const newer = users.filter((user) => this.#isNewer(user, from, outbox));
    this.#messages.snapshot(outbox, head, re, newer, { since: from, removed: [] });
  }

  /** Returns how many watches the connection would have with these ids added. */
  watchCountWith(outbox: Outbox, ids: readonly string[]): number {
    const { presence } = this.#options;
    let count = outbox.watchCount;
    for (const id of ids) {
      const user = presence.find(id);
      if (user === undefined || !outbox.users.has(user)) count++;
    }
    return count;
  }

  /** Ends the watch of a friend list, and drops pending changes of users that no other watch covers. */
  unwatchFriends(outbox: Outbox, owner: string, re: MessageId | undefined): void {
    this.#graph.unwatchFriends(outbox, owner);
    this.#sendPending(outbox);
    this.#messages.unwatchedFriends(outbox, owner, re);
  }

  unwatchUsers(outbox: Outbox, ids: readonly string[], re: MessageId | undefined): void {
    this.#messages.charge(outbox, ids.length);
    for (const id of ids) this.#graph.unwatchUser(outbox, this.#options.presence.find(id));
    this.#sendPending(outbox);
    this.#messages.unwatchedUsers(outbox, ids, re);
  }

  /**
   * Ends watches that are no longer allowed, at most `most` of them, and notifies the connection. Checks the
   * permissions before it ends any watch. @returns the number of ended watches.
   */
  endNotAllowed(outbox: Outbox, mayWatch: MayWatch, most: number): number {
    const { owners, ids } = notAllowed(outbox, mayWatch, most);
    // All watches end first, so that nothing of them is sent with the pending changes.
    for (const owner of owners) this.#graph.unwatchFriends(outbox, owner);
    for (const id of ids) this.#graph.unwatchUser(outbox, this.#options.presence.find(id));
    if (owners.length + ids.length > 0) this.#sendPending(outbox);
    for (const owner of owners) this.#messages.unwatchedFriends(outbox, owner, undefined);
    this.#messages.unwatchedUsers(outbox, ids, undefined);
    return owners.length + ids.length;
  }

  /**
   * Changes the viewer of a connection after a new token. If the new viewer sees other entries, all watched users are
   * sent again.
   */
  changeViewer(outbox: Outbox, viewer: Viewer): void {
    const before = outbox.viewer;
    outbox.viewer = viewer;
    this.#graph.viewerChanged(outbox);
    if (before.user === viewer.user && before.isAdmin === viewer.isAdmin) return;
    this.flush();
    this.#messages.sendAllAgain(outbox);
  }

  /** Sends the connection its user's own true fold, now and after each change. */
  watchSelf(outbox: Outbox, id: string): void {
    this.#messages.self(outbox, selfJson(this.#graph.watchSelf(outbox, id)));
  }

  /**
   * Announces an edit of the friend lists of these users at this time. After the edit is stored, watchers of the lists
   * are notified, and watches by id that depended on a removed friendship end.
   */
  beginListEdit(atMs: number, owners: Iterable<string>): AnnouncedEdit {
    return this.#listEdits.begin(atMs, owners);
  }

  /**
   * Sends the last entry of a user who is erased, and ends the watches by id that only a friendship allowed. Resolves
   * when all watchers are sent it.
   */
  async sendLast(user: User): Promise<void> {
    await this.reports.sendNow(user);
    for (const outbox of watchersOf(user)) outbox.loseChange();
    for (const outbox of [...audienceOf(user)]) {
      const { follower, mayObserve } = outbox.viewer;
      if (mayObserve || follower === null || follower === user.id) continue;
      this.#graph.unwatchUser(outbox, user);
      this.#sendPending(outbox);
      this.#messages.unwatchedUsers(outbox, [user.id], undefined);
    }
  }

  /** Whether that friend list is in memory, or decides about watches of the user. */
  usesList(owner: string): boolean {
    return this.#graph.lists.holds(owner) || this.#graph.followers.has(owner);
  }

  /** Drops unwatched lists from memory, which otherwise stay for a few seconds. */
  dropIdleLists(): void {
    this.#graph.lists.stop();
  }

  /**
   * Sends all pending changes to one connection, including those held back. @returns the `at` that then applies;
   * undefined if the connection does not read, so that some changes are still pending.
   */
  settle(outbox: Outbox): number | undefined {
    this.flush();
    return this.#messages.settle(outbox);
  }

  /** Sends the latest entries of users that changed while the peer did not read. */
  drained(outbox: Outbox): void {
    if (!outbox.isBehind) return;
    this.flush();
    this.#messages.caughtUp(outbox);
  }

  /** Ends all watches of a closed connection. */
  close(outbox: Outbox): void {
    this.#graph.close(outbox);
    outbox.caughtUp(); // pending changes are not sent to a socket that drains while it closes
    outbox.pendingSnapshots = null;
    this.#options.staleNotifier.closed(outbox);
  }

  /** Returns the `since` if this hub can answer it; undefined if a full snapshot is needed. */
  #answerable(since: number | undefined): number | undefined {
    return since !== undefined && this.#options.timekeeper.canAnswer(since) ? since : undefined;
  }

  #countResume(since: number | undefined, isAnswered: boolean): void {
    if (since !== undefined) this.resumes[isAnswered ? 'changes' : 'snapshot']++;
  }

  #isNewer(user: User, since: number, { viewer }: Outbox): boolean {
    return this.#options.presence.versionFor(user, viewer) > since;
  }

  /** Sends pending changes before the answer that follows, so that versions only grow. */
  #sendPending(outbox: Outbox): void {
    this.flush();
    this.#messages.sendPending(outbox);
  }
}
