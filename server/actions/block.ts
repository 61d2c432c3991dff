/**
 * Sets and lifts blocks in the order that keeps them secret and durable: store, apply, notify. The core knows what a
 * blocked viewer sees, and fan-out knows which viewers to notify.
 */
import type { Reports } from '../fanout/reports.ts';
import { isVisible } from '../presence/fold.ts';
import type { Presence } from '../presence/presence.ts';
import type { Store } from '../storage/port.ts';
import type { Clock } from '../lib/time/clock.ts';

export interface BlockEdits {
  /**
   * Resolves when the viewer is notified. Resolves to false, and changes nothing, if the user has reached the maximum
   * number of blocks.
   */
  readonly block: (user: string, other: string) => Promise<boolean>;
  /** Resolves when the viewer is notified. */
  readonly unblock: (user: string, other: string) => Promise<void>;
}

/** Both edits reject if storage fails, and then nothing has changed. A block that is already set or lifted succeeds. */
export function buildBlocks(
  { clock, maxBlocks }: { readonly clock: Clock; readonly maxBlocks: number },
  store: Pick<Store, 'block' | 'unblock'>,
  presence: Presence,
  reports: Reports,
  ensureStored: () => void,
): BlockEdits {
  return {
    async block(user, other) {
      // A block of a user whom the next run does not know would outlive what it hides.
      ensureStored();
      const blocker = presence.peek(user);
      const { hiddenFrom } = blocker;
      if (hiddenFrom?.has(other) === true) return true;
      if ((hiddenFrom?.size ?? 0) >= maxBlocks) return false;
      const wasVisible = isVisible(blocker.fold);
      // If the user is already offline, that change predates the block, so it is sent. Other pending changes are
      // dropped for the blocked viewer.
      const settled = wasVisible ? undefined : reports.settleFor(other, blocker);
      const frozen = presence.freeze(blocker, clock.now());
      store.block({ user, viewer: other, ...frozen });
      presence.hide(user, other, frozen);
      const held = presence.find(user);
      await (wasVisible && held !== undefined ? reports.changedFor(other, held) : settled);
      return true;
    },
    async unblock(user, other) {
      if (presence.peek(user).hiddenFrom?.has(other) !== true) return;
      reports.flush(); // pending changes are not for the blocked viewer, which gets the whole entry below
      store.unblock(user, other);
      const held = presence.acquire(user);
      presence.reveal(held, other, clock.now());
      const told = isVisible(held.fold) ? reports.changedFor(other, held) : undefined;
      presence.release(held);
      await told;
    },
  };
}
