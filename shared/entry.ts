/** The entry: what the outside sees of a user. Nothing here may tell `invisible` from `offline`. */
import { z } from 'zod';
import { instant, text, userId } from './ids.ts';
import { userStatus } from './status.ts';

export const entry = z.object({
  user: userId,
  status: userStatus,
  /** The legacy integer; -1 offline, 1 online, 2 away, 3 busy, or a legacy client's own. */
  code: z.int(),
  /** When the visible status began; null for a user never seen. */
  since: instant.nullable(),
  /** The last sign of life while visible; null for a user never seen. */
  lastSeen: instant.nullable(),
  /** Labels of the live sessions, unique and sorted; empty when offline. */
  devices: z.array(z.string()),
  /** Left out when there is none. */
  text: text.optional(),
  /** Grows with every change of this entry; 0 for a user never seen. */
  v: instant,
});
export type Entry = z.infer<typeof entry>;
