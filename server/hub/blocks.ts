/**
 * Setting and lifting a block, in the order that keeps it secret and lasting: stored, then true, then told. Part of
 * hub.ts; the core knows what a blocked viewer sees, fan-out whom to tell.
 */
import type { Reports } from '../fanout/reports.ts';
import { isVisible } from '../presence/fold.ts';
import type { Presence } from '../presence/presence.ts';
import type { Store } from '../store/port.ts';
import type { Clock } from '../lib/clock.ts';

export interface BlockEdits {
  /** Resolves when it is told; to false if the user has as many blocks as it may, and then nothing has changed. */
  readonly block: (user: string, other: string) => Promise<boolean>;
  /** Resolves when it is told. */
  readonly unblock: (user: string, other: string) => Promise<void>;
}

/** Both reject if storage can't take it, and then nothing has changed. What is so already is done. */
export function buildBlocks(
  { clock, maxBlocks }: { readonly clock: Clock; readonly maxBlocks: number },
  store: Pick<Store, 'block' | 'unblock'>,
  presence: Presence,
  reports: Reports,
  ensureStored: () => void,
): BlockEdits {
  return {
    async block(user, other) {
      // A block of a user whom the next run has never heard of would outlive what it hides.
      ensureStored();
      const blocker = presence.peek(user);
      const { hiddenFrom } = blocker;
      if (hiddenFrom?.has(other) === true) return true;
      if ((hiddenFrom?.size ?? 0) >= maxBlocks) return false;
      const wasVisible = isVisible(blocker.fold);
      // That the user went offline is no news of the block: it is told. What else waits is dropped for the blocked one.
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
      reports.flush(); // what waits is not for the blocked one, who is told all of it below
      store.unblock(user, other);
      const held = presence.acquire(user);
      presence.reveal(held, other, clock.now());
      const told = isVisible(held.fold) ? reports.changedFor(other, held) : undefined;
      presence.release(held);
      await told;
    },
  };
}
