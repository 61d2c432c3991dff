/**
 * Who looks: what of an entry depends on its reader. Given to whoever shows entries (fanout, api); made by auth from an
 * identity. Holds facts and no rule.
 */
export interface Viewer {
  /** Against whom blocks hold; null for one who is no user, and for an admin, who sees what is true. */
  readonly user: string | null;
  /** Sees what HUB_LAST_SEEN=hide keeps from others. */
  readonly isAdmin: boolean;
  /** Whose friends it watches by right of friendship, an admin's too; null for one who is no user. */
  readonly follower: string | null;
  /** May watch anyone; the watches of all others end with the friendship. */
  readonly mayObserve: boolean;
}
