/** Ends one session of a user at once, for an admin. */
import type { Intake } from '../intake.ts';
import type { SessionIds } from '../presence/sessions/session-id.ts';
import { sessionOfNo } from '../presence/sessions/session-list.ts';
import type { Users } from '../presence/users.ts';

export interface KickOptions {
  readonly sessionIds: SessionIds;
  readonly users: Pick<Users, 'find'>;
  readonly intake: Pick<Intake, 'kick'>;
}

/** @returns false if the user has no such session. */
export function kick({ sessionIds, users, intake }: KickOptions, user: string, sessionId: string): boolean {
  const no = sessionIds.noOf(sessionId);
  const held = users.find(user);
  const session = no === undefined || held === undefined ? undefined : sessionOfNo(held, no);
  if (session === undefined) return false;
  intake.kick(session);
  return true;
}
