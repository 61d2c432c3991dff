/** The inputs of the core: its rules, its clock, and access to stored entries. */
import type { Stalls } from '../lib/time/stall-clock.ts';
import type { VersionClock } from './version-clock.ts';
import type { Journal } from './explain/journal.ts';
import type { MassLapseRule } from './sessions/mass-lapse.ts';
import type { Remembered, User } from './user.ts';

export interface PresenceOptions {
  /** How long a session stays visible after an unclean end. */
  readonly graceMs: number;
  /** The `code` of an offline entry. */
  readonly offlineCode: number;
  /** Whether only admins see `lastSeen`. */
  readonly hidesLastSeen: boolean;
  readonly clock: VersionClock;
  /** The stalls that the forward clock leaves out. They are the hub's own failures, not the clients'. */
  readonly stalls: Stalls;
  /** The grace of an unclean end that is noticed in the aftermath of a stall: one WebSocket timeout. */
  readonly stallGraceMs: number;
  readonly massLapse: MassLapseRule;
  /** The journal of every transition and its cause. */
  readonly journal: Journal;
  /** Returns the id of the session with this number. */
  readonly sessionIdOf: (no: number) => string;
  /** Returns what the store knows of a user that is not held. */
  readonly recall: (user: string) => Remembered | undefined;
  /** Like `recall`, for many users, in their order. */
  readonly recallMany: (users: readonly string[]) => readonly (Remembered | undefined)[];
  /** Must have the user stored, because its sessions changed or its version was raised. */
  readonly onSessions: (user: User) => void;
}
