/**
 * The statuses that a session may claim, and those that others see of a user. They differ: others never see
 * `invisible`, and no WebSocket client sends `offline`.
 */
import { z } from 'zod';

/** The statuses that a session may claim, in the order of the contract, which is not that of the fold. */
export const sessionStatuses = ['online', 'away', 'busy', 'invisible'] as const;
export const sessionStatus = z.enum(sessionStatuses, { error: `must be one of ${sessionStatuses.join(', ')}` });
export type SessionStatus = z.infer<typeof sessionStatus>;

/** The statuses that others see: the fold of a user's live sessions, or `offline` if there is none. */
export const userStatuses = ['online', 'away', 'busy', 'offline'] as const;
export const userStatus = z.enum(userStatuses, { error: `must be one of ${userStatuses.join(', ')}` });
export type UserStatus = z.infer<typeof userStatus>;

/** The statuses of a user that is there. */
export const presentStatuses = ['online', 'away', 'busy'] as const;
export type PresentStatus = (typeof presentStatuses)[number];

/** The legacy integer of each user status if no session sends its own. `HUB_CODES` may change them. */
export const defaultCodes = { offline: -1, online: 1, away: 2, busy: 3 } as const satisfies Record<UserStatus, number>;

/** The largest legacy integer, because clients store it as a Java int. */
export const MAX_CODE = 2_147_483_647;
