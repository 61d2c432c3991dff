/**
 * Blocks: who is kept from seeing a user, and the entry each of them sees instead, as if the user had left at the moment
 * of the block. Holds them all; decides nothing about whom to tell, and keeps nothing past the process (the store does).
 * Written by `Presence` alone, which hangs each user's blocks on it, so that whoever shows a user asks one field.
 *
 * All are in memory, whether their users are held or not: a blocked one's read must cost what any other does. Measured
 * on Node 20: about 450 bytes a block where each user has one, 200 where a user has a thousand.
 */
import type { Entry } from '../../shared/entry.ts';
import type { Shown } from './fold.ts';

/** What one blocked viewer sees of a user: offline, since then. */
export interface Frozen {
  /** Null, like `lastSeen`, where nobody had ever seen the user. */
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly v: number;
}

/** A frozen entry with its JSON, made when somebody asks. */
export interface Hidden extends Frozen {
  json: string | null;
}

export class Blocks {
  readonly #byUser = new Map<string, Map<string, Hidden>>();

  /** The blocked viewers of a user; null where there are none. The same map as long as there are some. */
  of(user: string): ReadonlyMap<string, Hidden> | null {
    return this.#byUser.get(user) ?? null;
  }

  set(user: string, viewer: string, { since, lastSeen, v }: Frozen): void {
    const hidden = { since, lastSeen, v, json: null };
    const viewers = this.#byUser.get(user);
    if (viewers === undefined) this.#byUser.set(user, new Map([[viewer, hidden]]));
    else viewers.set(viewer, hidden);
  }

  lift(user: string, viewer: string): void {
    const viewers = this.#byUser.get(user);
    viewers?.delete(viewer);
    if (viewers?.size === 0) this.#byUser.delete(user);
  }
}

/** A frozen entry as its viewer sees it. */
export function frozenEntry(user: string, { since, lastSeen, v }: Frozen, offline: Shown): Entry {
  return { user, status: offline.status, code: offline.code, since, lastSeen, devices: [], v };
}
