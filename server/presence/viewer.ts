/** The facts about a reader on which the shown entry depends. Holds facts and no rules. */
export interface Viewer {
  /** The user for whom blocks apply; null for a viewer that is not a user, and for an admin, who sees the truth. */
  readonly user: string | null;
  /** Whether the viewer sees what HUB_LAST_SEEN=hide hides from others. */
  readonly isAdmin: boolean;
  /**
   * The user whose friends the viewer watches by right of friendship, also for an admin; null for a viewer that is not
   * a user.
   */
  readonly follower: string | null;
  /** Whether the viewer may watch anyone. The watches of all others end with the friendship. */
  readonly mayObserve: boolean;
}
