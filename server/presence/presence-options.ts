/** What the core is given: its rules, its clock, and the way to what lasts. Read by `Presence`; hub.ts gives it. */
import type { Stalls } from '../lib/stall-clock.ts';
import type { VersionClock } from './version-clock.ts';
import type { Journal } from './journal.ts';
import type { MassLapseRule } from './mass-lapse.ts';
import type { Remembered, User } from './user.ts';

export interface PresenceOptions {
  /** How long an unclean end keeps a session visible. */
  readonly graceMs: number;
  /** The `code` of an entry that is offline. */
  readonly offlineCode: number;
  /** `lastSeen` is for admins alone. */
  readonly hidesLastSeen: boolean;
  readonly clock: VersionClock;
  /** What forward time left out: the hub's own troubles, which are no client's fault. */
  readonly stalls: Stalls;
  /** The grace of an unclean end that is found in the wake of a stall: one WebSocket timeout. */
  readonly stallGraceMs: number;
  /** When the end of very many sessions at once is doubted. */
  readonly massLapse: MassLapseRule;
  /** Where every transition is noted with its cause. */
  readonly journal: Journal;
  /** What the store knows of a user that is not held. */
  readonly recall: (user: string) => Remembered | undefined;
  /** The same for many users, in their order. */
  readonly recallMany: (users: readonly string[]) => readonly (Remembered | undefined)[];
  /** A user's sessions are others than before or say something else, or its version was raised: it is to be stored. */
  readonly onSessions: (user: User) => void;
}
