/**
 * Setting and lifting a block, in the order that keeps it secret and lasting: stored, then true, then told. Part of
 * hub.ts; the core knows what a blocked viewer sees, fan-out whom to tell.
 */
import type { Fanout } from '../fanout/fanout.ts';
import { isVisible } from '../presence/fold.ts';
import type { Presence } from '../presence/presence.ts';
import type { Store } from '../store/port.ts';
import type { Clock } from '../lib/clock.ts';

export interface BlockEdits {
  /** @returns false where the user has as many blocks as it may; nothing has changed then. */
  readonly block: (user: string, other: string) => boolean;
  readonly unblock: (user: string, other: string) => void;
}

/** Both throw where storage can't take it; nothing has changed then. What is so already is done. */
export function buildBlocks(
  { clock, maxBlocks }: { readonly clock: Clock; readonly maxBlocks: number },
  store: Pick<Store, 'block' | 'unblock'>,
  presence: Presence,
  fanout: Fanout,
  ensureStored: () => void,
): BlockEdits {
  return {
    block(user, other) {
      // A block of a user whom the next run has never heard of would outlive what it hides.
      ensureStored();
      const blocker = presence.peek(user);
      const { hiddenFrom } = blocker;
      if (hiddenFrom?.has(other) === true) return true;
      if ((hiddenFrom?.size ?? 0) >= maxBlocks) return false;
      const wasVisible = isVisible(blocker.fold);
      // That the user went offline is no news of the block: it is told. What else waits is dropped for the blocked one.
      if (!wasVisible) fanout.settleFor(other, blocker);
      const frozen = presence.freeze(blocker, clock.now());
      store.block({ user, viewer: other, ...frozen });
      presence.hide(user, other, frozen);
      const held = presence.find(user);
      if (wasVisible && held !== undefined) fanout.changedFor(other, held);
      return true;
    },
    unblock(user, other) {
      if (presence.peek(user).hiddenFrom?.has(other) !== true) return;
      fanout.flush(); // what waits is not for the blocked one, who is told all of it below
      store.unblock(user, other);
      const held = presence.acquire(user);
      presence.reveal(held, other, clock.now());
      if (isVisible(held.fold)) fanout.changedFor(other, held);
      presence.release(held);
    },
  };
}
