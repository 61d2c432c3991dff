/**
 * What the erasure of a user deletes in a cluster. First its record becomes one that says only that, which ends its
 * sessions on every hub. Then every hub sends the last entry and deletes what it holds, and the hub that was asked
 * deletes the rest.
 */
import { UNITS_PER_TURN, type TurnBudget } from '../lib/time/turn-budget.ts';
import { StorageUnavailable } from '../lib/storage-unavailable.ts';
import type { Fanout } from '../fanout/fanout.ts';
import type { HistoryStore } from '../history/port.ts';
import type { Journal } from '../presence/explain/journal.ts';
import { eraseEntry } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { ListEdits } from '../roster/port.ts';
import type { Store } from '../storage/port.ts';
import type { WebhookQueue } from '../webhooks/queue.ts';

export interface EraseInClusterOptions {
  /** Null if each hub has lists of its own. */
  readonly sharedEdits: Pick<ListEdits, 'erase'> | null;
  /** Replaces the record. Returns its number: nothing of the user from before has a larger one. */
  readonly eraseRecord: (user: string) => Promise<number>;
  /** Resolves once `eraseHere` has run on every live hub, with this one. */
  readonly confirmed: (user: string, n: number) => Promise<void>;
  /** Deletes the record, and keeps that a user was erased with that number. */
  readonly forgetRecord: (user: string, n: number) => Promise<void>;
  readonly eraseEvents: (user: string) => Promise<void>;
  /** Some of the users who block this one, sorted, after that id. */
  readonly blockersAfter: (user: string, after: string) => Promise<readonly string[]>;
  readonly unblock: (user: string, other: string) => Promise<void>;
}

/** Rejects with `StorageUnavailable`; a part may be erased then. */
export async function eraseInCluster(options: EraseInClusterOptions, user: string): Promise<void> {
  const { sharedEdits, eraseRecord, confirmed, forgetRecord, eraseEvents, blockersAfter, unblock } = options;
  const n = await eraseRecord(user);
  await confirmed(user, n);
  await eraseEvents(user);
  // The sessions have ended, so nobody is shown who had set a block.
  for (let some = await blockersAfter(user, ''); some.length > 0; some = await blockersAfter(user, '')) {
    for (const blocker of some) await unblock(blocker, user);
  }
  await sharedEdits?.erase(user, () => Promise.resolve());
  await forgetRecord(user, n);
}

export interface EraseHereOptions {
  /** Null if all hubs have the same lists. */
  readonly ownEdits: Pick<ListEdits, 'erase'> | null;
  /** What HUB_DATA may hold from before this hub joined the cluster. */
  readonly store: Pick<Store, 'erase'>;
  readonly historyStore: Pick<HistoryStore, 'eraseSome'>;
  readonly webhookQueue: Pick<WebhookQueue, 'eraseUser'>;
  /** The hub clock. */
  readonly now: () => number;
  readonly scrub: (user: string) => Promise<boolean>;
  /** Deletes what is kept of the user in a database, up to the version `n`, and what this hub would still write there. */
  readonly eraseKept: (user: string, n: number) => Promise<void>;
  readonly journal: Pick<Journal, 'forget'>;
  readonly users: Pick<Users, 'find' | 'release'>;
  readonly fanout: Pick<Fanout, 'sendLast'>;
  readonly turns: Pick<TurnBudget, 'take'>;
  readonly hasReturned: (user: string) => boolean;
}

/** Deletes what this hub holds of a user whose record is erased. Rejects with `StorageUnavailable`. */
export async function eraseHere(options: EraseHereOptions, id: string, n: number): Promise<void> {
  const { ownEdits, store, historyStore, webhookQueue, now, scrub, eraseKept, journal, turns, hasReturned } = options;
  if (!hasReturned(id)) await forget(options, id);
  journal.forget(id);
  await ownEdits?.erase(id, () => Promise.resolve());
  while (historyStore.eraseSome(id)) await turns.take(UNITS_PER_TURN);
  store.erase(id, now());
  webhookQueue.eraseUser(id);
  await eraseKept(id, n);
  if (await scrub(id)) return;
  throw new StorageUnavailable('cannot be cleaned', new Error('another program reads hub.sqlite'));
}

async function forget({ users, fanout, hasReturned }: EraseHereOptions, id: string): Promise<void> {
  const user = users.find(id);
  if (user === undefined) return;
  if (user.v > 0) await fanout.sendLast(user);
  if (user.firstSession === null && !hasReturned(id)) eraseEntry(user, 0);
  users.release(user);
}
