/** What the hub posts to the receiver of a webhook rule. */
import { z } from 'zod';
import { entry } from './entry.ts';
import { instant } from '../ids.ts';
import { MAX_WEBHOOK_EVENTS } from '../limits.ts';
import { shownCauses, type ShownCause } from './shown-cause.ts';
import { userStatus } from '../status.ts';

export const shownCause = z.enum(Object.keys(shownCauses) as [ShownCause, ...ShownCause[]]);

export const webhookEvent = z.object({
  /** The same in every repetition. */
  id: z.string(),
  /** The name of the rule. */
  rule: z.string(),
  at: instant,
  /** The shown status before the change. */
  from: userStatus,
  cause: shownCause,
  /** The entry as a stranger with the scope `observe` sees it. */
  entry,
});

/** The changes that a rule reports. */
export const webhookMessage = z.object({
  type: z.literal('presence.changed'),
  /** The name of the hub. */
  hub: z.string(),
  events: z.array(webhookEvent).min(1).max(MAX_WEBHOOK_EVENTS),
});

/** A test that an admin sends. */
export const webhookTest = z.object({
  type: z.literal('presence.test'),
  hub: z.string(),
  events: z.array(webhookEvent).max(0),
});
