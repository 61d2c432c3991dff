/**
 * What a session may say of itself, and what the outside may see of a user.
 * The two are different words: `invisible` is never seen, `offline` is never said over WebSocket.
 */
import { z } from 'zod';

/** What a session says: the order is that of the contract, not of the fold. */
export const sessionStatuses = ['online', 'away', 'busy', 'invisible'] as const;
export const sessionStatus = z.enum(sessionStatuses, { error: `must be one of ${sessionStatuses.join(', ')}` });
export type SessionStatus = z.infer<typeof sessionStatus>;

/** What the outside sees: the fold of a user's live sessions; `offline` without one. */
export const userStatuses = ['online', 'away', 'busy', 'offline'] as const;
export const userStatus = z.enum(userStatuses, { error: `must be one of ${userStatuses.join(', ')}` });
export type UserStatus = z.infer<typeof userStatus>;

/** The legacy integer of each user status where no session brings its own; `HUB_CODES` may say otherwise. */
export const defaultCodes = { offline: -1, online: 1, away: 2, busy: 3 } as const satisfies Record<UserStatus, number>;

/** The largest legacy integer: clients have them as Java's int. */
export const MAX_CODE = 2_147_483_647;
