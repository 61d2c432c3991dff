/**
 * What the erasure of a user deletes on a single hub: friendships, blocks, the entry, history, webhook events and
 * sessions, in memory and in storage. Watchers are sent one last entry. Afterwards the user was never seen.
 */
import { UNITS_PER_TURN, type TurnBudget } from '../lib/time/turn-budget.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Fanout } from '../fanout/fanout.ts';
import type { HistoryStore } from '../history/port.ts';
import type { Intake } from '../intake.ts';
import type { Journal } from '../presence/explain/journal.ts';
import { sessionsOf } from '../presence/sessions/session-list.ts';
import { eraseEntry, type User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { VersionClock } from '../presence/version-clock.ts';
import type { ListEdits } from '../roster/port.ts';
import type { Store } from '../storage/port.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
import type { WebhookQueue } from '../webhooks/queue.ts';
import type { ChangeNotes } from '../webhooks/change-notes.ts';

export interface EraseDataOptions {
  readonly edits: Pick<ListEdits, 'erase'>;
  readonly store: Pick<Store, 'erase' | 'blockersAfter'>;
  readonly historyStore: Pick<HistoryStore, 'eraseSome'>;
  readonly webhookQueue: Pick<WebhookQueue, 'eraseUser'>;
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
}

/** Rejects with errors of storage; a part may be erased then. */
export async function eraseData(options: EraseDataOptions, user: string): Promise<void> {
  const { edits, historyStore, turns } = options;
  const erased = await edits.erase(user, async () => {
    while (historyStore.eraseSome(user)) await turns.take(UNITS_PER_TURN);
    return eraseNow(options, user);
  });
  if (erased !== undefined) await showLast(options, erased);
  // Only now, because it sends pending changes, and the last entry must be sent once.
  await liftBlocks(options, user);
}

async function showLast({ fanout, users }: EraseDataOptions, erased: User): Promise<void> {
  const { v } = erased;
  await fanout.sendLast(erased);
  if (erased.v === v && erased.firstSession === null) eraseEntry(erased, 0); // it has not returned
  users.release(erased);
}

/** Lifts the blocks that others have set. The sessions have ended, so nobody is shown who had set one. */
async function liftBlocks({ store, unblock }: EraseDataOptions, user: string): Promise<void> {
  for (let some = store.blockersAfter(user, ''); some.length > 0; some = store.blockersAfter(user, '')) {
    for (const blocker of some) await unblock(blocker, user);
  }
}

/** In one turn, so that the user cannot return halfway. @returns the user, if anybody may know it. */
function eraseNow(options: EraseDataOptions, id: string): User | undefined {
  const { store, historyStore, webhookQueue, users, intake, versions, webhooks, clock } = options;
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
  options.forgetHistory(id);
  users.unhideAll(user);
  options.writeBehind.drop(user);
  options.journal.forget(id);
  if (before > 0) {
    eraseEntry(user, v);
    return user;
  }
  eraseEntry(user, 0);
  users.release(user);
  return undefined;
}
