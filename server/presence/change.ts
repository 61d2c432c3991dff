/** The results of the core: changes, and what expired. */
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { AdapterName, Session } from './sessions/session.ts';
import type { User } from './user.ts';

/** The session to which something happened. In a cluster it may be on another node. */
export interface ChangeSource {
  readonly adapter: AdapterName;
  /** The id of the session. */
  readonly session: string;
}

/** What happened, and to which session. */
export interface Origin {
  readonly cause: TransitionCause;
  readonly source: ChangeSource;
  /** When the lease expired, on the forward clock; null unless the cause is `lapsed`. */
  readonly lapsedAt: number | null;
}

/** A change of a user's true fold. `isShown`: its entry changed too, and has a new version. */
export interface Change extends Origin {
  readonly user: User;
  readonly isShown: boolean;
  /** The previously shown status. */
  readonly from: UserStatus;
  /** Wall clock. */
  readonly at: number;
}

/** Receives every change. */
export type ChangeListener = (change: Change) => void;

/** A mass lapse: the end of very many sessions of one adapter is held. */
export interface Doubt {
  readonly adapter: AdapterName;
  /** Forward clock. */
  readonly heldUntil: number;
  /** The oldest last heartbeat among the held sessions, on the wall clock. Up to then the hub was sure. */
  readonly since: number;
}

/** What expired in one tick of the wheel. */
export interface Expired {
  readonly changes: readonly Change[];
  /** Sessions whose lease expired, without those whose grace expired. */
  readonly lapsed: readonly Session[];
  /** Mass lapses whose hold begins. */
  readonly doubted: readonly Doubt[];
  /** Whether more sessions are due already, so that the next tick must follow at once. */
  readonly isMoreDue: boolean;
}
