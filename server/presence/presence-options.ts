/** The inputs of the core: its rules, and what it works with. */
import type { Stalls } from '../lib/time/stall-clock.ts';
import type { Ledger } from './entries.ts';
import type { Journal } from './explain/journal.ts';
import type { MassLapseRule } from './sessions/mass-lapse.ts';
import type { User } from './user.ts';
import type { Users } from './users.ts';

export interface PresenceOptions {
  readonly users: Users;
  readonly ledger: Ledger;
  /** How long a session stays visible after an unclean end. */
  readonly graceMs: number;
  /** The stalls that the forward clock leaves out. They are the hub's own failures, not the clients'. */
  readonly stalls: Stalls;
  /** The grace of an unclean end that is noticed in the aftermath of a stall: one WebSocket timeout. */
  readonly stallGraceMs: number;
  readonly massLapse: MassLapseRule;
  /** The journal of every transition and its cause. */
  readonly journal: Journal;
  /** Returns the id of the session with this number. */
  readonly sessionIdOf: (no: number) => string;
  /** Must have the user stored, because its sessions changed or its version was raised. */
  readonly onSessions: (user: User) => void;
}
