/**
 * What fan-out must know of time: the `at` that a message may state, and which `since` of a client can be answered. A
 * single hub knows both from its clock and its store. In a cluster they depend on what other hubs have sent.
 */
export interface Timekeeper {
  /** Returns the `at` of what is sent now. Every later change has a larger version. */
  sentUpTo(): number;
  /** Whether this hub knows everything that changed after `since`. */
  canAnswer(since: number): boolean;
  /** Whether an entry may have been deleted after `since`. A user that seems never seen may then be such a one. */
  mayHaveForgotten(since: number): boolean;
}
