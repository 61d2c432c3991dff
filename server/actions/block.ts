/**
 * Sets and lifts blocks in the order that keeps them secret and durable: store, apply, notify. The ledger knows what a
 * blocked viewer sees, and fan-out knows which viewers to notify.
 */
import type { Reports } from '../fanout/reports.ts';
import type { OwnLedger } from '../presence/entries.ts';
import { isVisible } from '../presence/fold.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { Store } from '../storage/port.ts';
import type { Clock } from '../lib/time/clock.ts';

export interface BlockOptions {
  readonly store: Pick<Store, 'block' | 'unblock'>;
  readonly users: Users;
  /** Schedules storing the user. */
  readonly keep: (user: User) => void;
  readonly ledger: Pick<OwnLedger, 'freeze' | 'versionAfter'>;
  readonly reports: Reports;
  readonly clock: Clock;
  /** A user may block as many others as it may have friends. */
  readonly limits: { readonly maxFriends: number };
}

/**
 * Hides `user` from `other`, as if the user had left now. Resolves when the block is durable and the viewer is
 * notified. Resolves to false, and changes nothing, if the user has reached the maximum number of blocks. Rejects if
 * storage fails, and then nothing has changed. A block that is already set succeeds.
 */
export async function block(options: BlockOptions, user: string, other: string): Promise<boolean> {
  const { store, users, ledger, reports, clock, limits } = options;
  const blocker = users.peek(user);
  // Otherwise the next run could have the block, but not the user that it hides.
  users.ensureStored(blocker);
  const { hiddenFrom } = blocker;
  if (hiddenFrom?.has(other) === true) return true;
  if ((hiddenFrom?.size ?? 0) >= limits.maxFriends) return false;
  const wasVisible = isVisible(blocker.fold);
  // If the user is already offline, that change predates the block, so it is sent. Other pending changes are dropped
  // for the blocked viewer.
  const settled = wasVisible ? undefined : reports.settleFor(other, blocker);
  const frozen = ledger.freeze(blocker, clock.now());
  store.block({ user, viewer: other, ...frozen });
  users.hide(user, other, frozen);
  const held = users.find(user);
  await (wasVisible && held !== undefined ? reports.changedFor(other, held) : settled);
  return true;
}

/**
 * Lifts a block, so that `other` sees the current entry of `user` again. Resolves when the viewer is notified. Rejects
 * if storage fails, and then nothing has changed. A block that is already lifted succeeds.
 */
export async function unblock(options: BlockOptions, user: string, other: string): Promise<void> {
  const { store, users, keep, ledger, reports, clock } = options;
  if (users.peek(user).hiddenFrom?.has(other) !== true) return;
  reports.flush(); // pending changes are not for the blocked viewer, which gets the whole entry below
  store.unblock(user, other);
  const held = users.acquire(user);
  if (users.reveal(held, other, (seen) => ledger.versionAfter(seen, clock.now()))) keep(held);
  const notified = isVisible(held.fold) ? reports.changedFor(other, held) : undefined;
  users.release(held);
  await notified;
}
