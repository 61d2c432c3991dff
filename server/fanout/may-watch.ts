/** Which watches of a connection its viewer may keep: asked by `Fanout` where a fresh token allows less. Decides nothing itself. */
import type { Outbox } from './outbox.ts';

/** What somebody may watch. */
export interface MayWatch {
  friendsOf(owner: string): boolean;
  user(id: string): boolean;
}

export interface Watches {
  readonly owners: readonly string[];
  readonly ids: readonly string[];
}

export function notAllowed(outbox: Outbox, mayWatch: MayWatch): Watches {
  return {
    owners: Array.from(outbox.circles, ({ owner }) => owner).filter((owner) => !mayWatch.friendsOf(owner)),
    ids: Array.from(outbox.users, ({ id }) => id).filter((id) => !mayWatch.user(id)),
  };
}
