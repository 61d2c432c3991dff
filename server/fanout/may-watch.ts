/** Which watches of a connection its viewer may keep: asked by `Fanout` where a fresh token allows less. Decides nothing itself. */
import type { Outbox } from './outbox.ts';

/** What somebody may watch. */
export interface MayWatch {
  friendsOf(owner: string): boolean;
  user(id: string): boolean;
}

interface Watches {
  readonly owners: readonly string[];
  readonly ids: readonly string[];
}

/** As many of them as `most` at a time. */
export function notAllowed(outbox: Outbox, mayWatch: MayWatch, most: number): Watches {
  const owners: string[] = [];
  for (const { owner } of outbox.circles) {
    if (owners.length === most) break;
    if (!mayWatch.friendsOf(owner)) owners.push(owner);
  }
  const ids: string[] = [];
  for (const { id } of outbox.users) {
    if (owners.length + ids.length === most) break;
    if (!mayWatch.user(id)) ids.push(id);
  }
  return { owners, ids };
}
