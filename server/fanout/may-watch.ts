/**
 * Finds the watches of a connection that its viewer may not keep, for example after a token with fewer rights. Ends
 * none itself.
 */
import type { Outbox } from './delivery/outbox.ts';

/** The permissions of a viewer. */
export interface MayWatch {
  friendsOf(owner: string): boolean;
  user(id: string): boolean;
}

interface Watches {
  readonly owners: readonly string[];
  readonly ids: readonly string[];
}

/** Returns at most `most` watches that are not allowed. */
export function notAllowed(outbox: Outbox, mayWatch: MayWatch, most: number): Watches {
  const owners: string[] = [];
  for (const { owner } of outbox.lists) {
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
