/** The entry: what others see of a user. Nothing here may distinguish `invisible` from `offline`. */
import { z } from 'zod';
import { instant, text, userId } from '../ids.ts';
import { userStatus } from '../status.ts';

export const entry = z.object({
  user: userId,
  status: userStatus,
  /** The legacy integer: -1 offline, 1 online, 2 away, 3 busy, or a value that a legacy client sent. */
  code: z.int(),
  /** The time at which the visible status began; null for a user never seen. */
  since: instant.nullable(),
  /** The last sign of life while visible; null for a user never seen. */
  lastSeen: instant.nullable(),
  /** Labels of the live sessions, unique and sorted; empty when offline. */
  devices: z.array(z.string()),
  /** Omitted if there is none. */
  text: text.optional(),
  /** Increases with every change of this entry; 0 for a user never seen. */
  v: instant,
});
export type Entry = z.infer<typeof entry>;
