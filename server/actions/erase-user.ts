/**
 * Erases a user: its friendships, blocks, entry, history, webhook events and sessions, in memory and in the files of the
 * hub. Watchers are sent one last entry. Afterwards the user was never seen. An erasure that has begun completes by
 * itself: if another program prevents that the files are cleaned, if storage fails, and after a crash.
 */
import { UNITS_PER_TURN, type TurnBudget } from '../lib/time/turn-budget.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Fanout } from '../fanout/fanout.ts';
import type { HistoryStore } from '../history/port.ts';
import type { Intake } from '../intake.ts';
import type { Journal } from '../presence/explain/journal.ts';
import type { Session } from '../presence/sessions/session.ts';
import { eraseEntry, type User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { VersionClock } from '../presence/version-clock.ts';
import type { ListEdits } from '../roster/port.ts';
import type { Store } from '../storage/port.ts';
import type { UnfinishedErasures } from '../storage/unfinished-erasures.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
import type { WebhookQueue } from '../webhooks/queue.ts';
import type { ChangeNotes } from '../webhooks/change-notes.ts';

export interface EraseOptions {
  readonly edits: Pick<ListEdits, 'erase'>;
  readonly store: Pick<Store, 'erase' | 'blockersAfter'>;
  readonly historyStore: Pick<HistoryStore, 'eraseSome'>;
  readonly webhookQueue: Pick<WebhookQueue, 'eraseUser'>;
  readonly unfinished: Pick<UnfinishedErasures, 'users' | 'add' | 'delete'>;
  /** See `Scrubber`. */
  readonly scrub: (user: string) => Promise<boolean>;
  readonly unblock: (user: string, other: string) => Promise<void>;
  readonly users: Users;
  readonly intake: Pick<Intake, 'kick'>;
  readonly journal: Pick<Journal, 'forget'>;
  readonly versions: Pick<VersionClock, 'versionAfter' | 'pass' | 'now'>;
  readonly writeBehind: Pick<WriteBehind<User>, 'drop'>;
  readonly fanout: Pick<Fanout, 'sendLast'>;
  /** Forgets what is recorded of the user and not stored yet. */
  readonly forgetHistory: (user: string) => void;
  /** Null if no setting asks for webhooks. */
  readonly webhooks: Pick<ChangeNotes, 'eraseUser'> | null;
  readonly turns: Pick<TurnBudget, 'take'>;
  readonly clock: Clock;
  /** Reports that files cannot be cleaned now (an error), or can be again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

const RETRY_AFTER_MS = 1000;

export class EraseUser {
  readonly #options: EraseOptions;
  /** Erased users who may still be in the files. */
  readonly #uncleaned = new Set<string>();
  /** Users whose erasure failed halfway, or was cut off by the end of the last run. */
  readonly #halfway = new Set<string>();
  #lastCleaning: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: EraseOptions) {
    this.#options = options;
  }

  /** Completes what the last run had begun. */
  start(): void {
    for (const user of this.#options.unfinished.users) this.#halfway.add(user);
    if (this.#halfway.size > 0) void this.#clean();
  }

  /**
   * @returns whether nothing of the user is left in the files. If not, that is tried again until it succeeds. @throws
   * errors of storage; a part may be erased then, and the rest is tried again, unless not even that could be stored.
   */
  async erase(user: string): Promise<boolean> {
    this.#options.unfinished.add(user);
    try {
      await this.#eraseEverywhere(user);
    } catch (error) {
      this.#halfway.add(user);
      this.#retryLater();
      throw error;
    }
    await this.#clean();
    return !this.#uncleaned.has(user);
  }

  async #eraseEverywhere(user: string): Promise<void> {
    const { edits, store, historyStore, unblock, turns, fanout, users } = this.#options;
    const erased = await edits.erase(user, async () => {
      for (let some = store.blockersAfter(user, ''); some.length > 0; some = store.blockersAfter(user, '')) {
        for (const blocker of some) await unblock(blocker, user);
      }
      while (historyStore.eraseSome(user)) await turns.take(UNITS_PER_TURN);
      return this.#eraseNow(user);
    });
    if (erased !== undefined) {
      const { v } = erased;
      await fanout.sendLast(erased);
      if (erased.v === v && erased.firstSession === null) eraseEntry(erased, 0); // it has not returned
      users.release(erased);
    }
    this.#halfway.delete(user);
    this.#uncleaned.add(user);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await this.#lastCleaning;
  }

  /** In one turn, so that the user cannot return halfway. @returns the user, if anybody may know it. */
  #eraseNow(id: string): User | undefined {
    const {
      store,
      historyStore,
      webhookQueue,
      users,
      intake,
      journal,
      versions,
      writeBehind,
      forgetHistory,
      webhooks,
      clock,
    } = this.#options;
    const user = users.acquire(id);
    for (const session of sessionsOf(user)) intake.kick(session);
    const { wallMs } = clock.now();
    const before = Math.max(user.v, ...Array.from(user.hiddenFrom?.values() ?? [], (hidden) => hidden.v));
    const v = versions.versionAfter(before, wallMs);
    versions.pass(v);
    store.erase(id, versions.now(wallMs));
    historyStore.eraseSome(id); // what was recorded since
    if (webhooks === null) webhookQueue.eraseUser(id);
    else webhooks.eraseUser(id);
    // From here on nothing fails.
    forgetHistory(id);
    users.unhideAll(user);
    writeBehind.drop(user);
    journal.forget(id);
    if (before > 0) {
      eraseEntry(user, v);
      return user;
    }
    eraseEntry(user, 0);
    users.release(user);
    return undefined;
  }

  /** Erases who is left halfway, then cleans the files, one user after another. */
  #clean(): Promise<unknown> {
    return (this.#lastCleaning = this.#lastCleaning.then(() => this.#cleanAll()));
  }

  async #cleanAll(): Promise<void> {
    const { scrub, unfinished, onHealth } = this.#options;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    try {
      for (const user of this.#halfway) {
        if (this.#isStopped) return;
        await this.#eraseEverywhere(user);
      }
      for (const user of this.#uncleaned) {
        if (!(await scrub(user))) break;
        unfinished.delete(user);
        this.#uncleaned.delete(user);
      }
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
    }
    if (this.#uncleaned.size + this.#halfway.size > 0) this.#retryLater();
  }

  #retryLater(): void {
    if (!this.#isStopped) this.#retry ??= setTimeout(() => void this.#clean(), RETRY_AFTER_MS);
  }
}

function sessionsOf({ firstSession }: User): Session[] {
  const sessions: Session[] = [];
  for (let session = firstSession; session !== null; session = session.next) sessions.push(session);
  return sessions;
}
