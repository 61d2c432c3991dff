/**
 * Why a user is shown as it is: the answer of `GET /v1/users/{user}/explain`, and the causes of its transitions. Only an
 * admin reads it, so it may say `invisible` and show addresses. The hub's API and its command line agree on it here.
 */
import { z } from 'zod';
import { entry } from './entry.ts';
import { instant, text, userId } from './ids.ts';
import { sessionStatus, sessionStatuses } from './status.ts';

/** The adapters, by the names that metrics use too. */
export const adapterNames = ['tcp-xml', 'ws-json', 'http', 'poll'] as const;
export type AdapterName = (typeof adapterNames)[number];
export const adapterName = z.enum(adapterNames);

/** What may happen to a session. */
export const transitionCauses = {
  came: 'A session began.',
  returned: 'It was heard again, or a new one took its place, while it was in its grace or restored.',
  set: 'A message gave it another status, code, text or device.',
  left: 'It said goodbye, or a new status of its target did.',
  lost: 'Its connection broke, or the client closed it: the grace begins.',
  closed: 'The hub closed its connection (too slow, too fast, bad messages): the grace begins.',
  token_ran_out: 'Its token ran out: the grace begins.',
  grace_over: 'Its grace ran out.',
  lapsed: 'Its lease ran out.',
  failed: 'Its target failed too often.',
  kicked: 'An admin ended it.',
  restored: 'A restart of the hub took it up as the last run left it.',
  not_back: 'It was restored, and its user and device did not come back in time.',
} as const;
export type TransitionCause = keyof typeof transitionCauses;
export const transitionCause = z.enum(Object.keys(transitionCauses) as [TransitionCause, ...TransitionCause[]]);

/** The true status of a user, which only the user itself and an admin may know. */
export const trueStatuses = [...sessionStatuses, 'offline'] as const;
export type TrueStatus = (typeof trueStatuses)[number];
const trueStatus = z.enum(trueStatuses);

export const sessionStates = ['live', 'grace', 'restored'] as const;

/** One session. The legacy server's five fields are `address`, the answer's `user`, `code`, `connectedAt`, `lastHeartbeatAt`. */
export const explainedSession = z.object({
  /** What `welcome` tells a WebSocket client, and what ends it: `DELETE /v1/users/{user}/sessions/{session}`. */
  id: z.string(),
  /** `grace`: ended uncleanly; `restored`: from before a restart. Both count until `leaseEndsAt`. */
  state: z.enum(sessionStates),
  adapter: adapterName,
  device: z.string(),
  /** Where the client says it is (`user_ip`), or the peer's address; null if a restart forgot it. */
  address: z.string().nullable(),
  /** Where the connection comes from. Only there if `address` is no more than the client's claim. */
  peerAddress: z.string().optional(),
  status: sessionStatus,
  code: z.int(),
  /** Left out when there is none. */
  text: text.optional(),
  /** Null where a restart forgot it. */
  connectedAt: instant.nullable(),
  /** The last sign of life, of which a heartbeat is one. */
  lastHeartbeatAt: instant,
  /** When it ends if nothing more is heard. In the past: it ran out with very many others, and its end is held. */
  leaseEndsAt: instant,
  /** Its status and code are the user's. */
  decides: z.boolean(),
});
export type ExplainedSession = z.infer<typeof explainedSession>;

/** What happened to a session, and the user's true status before and after it. */
export const transition = z.object({
  at: instant,
  cause: transitionCause,
  from: trueStatus,
  to: trueStatus,
  adapter: adapterName,
  session: z.string(),
});
export type Transition = z.infer<typeof transition>;

export const explanation = z.object({
  user: userId,
  at: instant,
  /** As those see it from whom nothing is hidden. */
  entry,
  decision: z.object({
    status: trueStatus,
    code: z.int(),
    /** The session that decides; null for none. */
    session: z.string().nullable(),
    /** Why, as a sentence. */
    rule: z.string(),
  }),
  /** Who sees it offline whatever it does. */
  hidden: z.object({
    isInvisible: z.boolean(),
    /** Those whom it blocks, the first 100 of them, … */
    from: z.array(userId),
    /** … and how many there are. */
    fromCount: z.int(),
  }),
  sessions: z.array(explainedSession),
  /** The newest first, 20 at most. */
  transitions: z.array(transition),
  /** From then on no transition is missing but for the limit of 20; the hub starts with none, and forgets the oldest. */
  transitionsSince: instant,
  /** What is shown may be behind. */
  stale: z.literal(true).optional(),
});
export type Explanation = z.infer<typeof explanation>;
