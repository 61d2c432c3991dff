/** What the core answers: changes, and what ran out. Read by intake, expiry and the hub. */
import type { TransitionCause } from '../../shared/explain.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { AdapterName, Session } from './session.ts';
import type { User } from './user.ts';

/** A user's true fold changed; `isShown`: its entry did, too, and has a new version. */
export interface Change {
  readonly user: User;
  readonly isShown: boolean;
  /** What happened, and the session that it happened to. */
  readonly cause: TransitionCause;
  readonly session: Session;
  /** The status that was shown before. */
  readonly from: UserStatus;
  /** On the wall clock. */
  readonly at: number;
}

/** The end of very many sessions of one adapter is held. */
export interface Doubt {
  readonly adapter: AdapterName;
  /** On the forward clock. */
  readonly heldUntil: number;
  /** The oldest last sign of life among them, on the wall clock: until then the hub was sure. */
  readonly since: number;
}

/** What ran out in one look at the wheel. */
export interface Expired {
  readonly changes: readonly Change[];
  /** Sessions whose lease ran out; those whose grace did are not in it. */
  readonly lapsed: readonly Session[];
  /** Adapters of which so many sessions ran out that their end is held. */
  readonly doubted: readonly Doubt[];
  /** More is due already: look again at once. */
  readonly isMoreDue: boolean;
}
