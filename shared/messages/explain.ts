/**
 * Why a user is shown with this status: the answer of `GET /v1/users/{user}/explain`, and the causes of its
 * transitions. Only an admin reads it, so it may contain `invisible` and addresses. The API and the command line share
 * these forms.
 */
import { z } from 'zod';
import { entry } from './entry.ts';
import { instant, text, userId } from '../ids.ts';
import { sessionStatus, sessionStatuses } from '../status.ts';

/** The names of the adapters, in metrics too. */
export const adapterNames = ['tcp-xml', 'ws-json', 'http', 'poll'] as const;
export type AdapterName = (typeof adapterNames)[number];
export const adapterName = z.enum(adapterNames);

export const transitionCauses = {
  came: 'A session began.',
  returned: 'It sent a heartbeat again, or a new session took its place, while it was in its grace period or restored.',
  set: 'A message gave it another status, code, text or device.',
  left: 'It said goodbye, or a new status of its target did.',
  lost: 'Its connection broke, or the client closed it: the grace period begins.',
  closed: 'The hub closed its connection (too slow, too fast, bad messages): the grace period begins.',
  token_ran_out: 'Its token expired: the grace period begins.',
  grace_over: 'Its grace period ended.',
  lapsed: 'Its lease expired.',
  failed: 'Its target failed too often.',
  kicked: 'An admin ended it.',
  restored: 'A restart of the hub restored it.',
  not_back: 'It was restored, and its user and device did not come back in time.',
  node_lost: 'Its node of the cluster died or was shut down, and its user and device did not come back in time.',
} as const;
export type TransitionCause = keyof typeof transitionCauses;
export const transitionCause = z.enum(Object.keys(transitionCauses) as [TransitionCause, ...TransitionCause[]]);

/** The true status of a user, which only the user and an admin may know. */
export const trueStatuses = [...sessionStatuses, 'offline'] as const;
export type TrueStatus = (typeof trueStatuses)[number];
const trueStatus = z.enum(trueStatuses);

export const sessionStates = ['live', 'grace', 'restored'] as const;

/**
 * One session. The legacy server's five fields are `address`, the answer's `user`, `code`, `connectedAt` and
 * `lastHeartbeatAt`.
 */
export const explainedSession = z.object({
  /** The id that `welcome` sends to a WebSocket client. `DELETE /v1/users/{user}/sessions/{session}` takes it. */
  id: z.string(),
  /** `grace`: ended uncleanly. `restored`: from before a restart. Both count until `leaseEndsAt`. */
  state: z.enum(sessionStates),
  adapter: adapterName,
  device: z.string(),
  /** The address that the client claims (`user_ip`), or the peer's address; null if a restart lost it. */
  address: z.string().nullable(),
  /** The address of the connection. Present only if `address` is the client's claim. */
  peerAddress: z.string().optional(),
  status: sessionStatus,
  code: z.int(),
  /** Omitted if there is none. */
  text: text.optional(),
  /** Null if a restart lost it. */
  connectedAt: instant.nullable(),
  /** The last sign of life, such as a heartbeat. */
  lastHeartbeatAt: instant,
  /**
   * When the session ends if no more is heard. In the past if the session lapsed in a mass lapse that is still held.
   */
  leaseEndsAt: instant,
  /** The user's status and code come from this session. */
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
  /** The entry as a viewer sees it if nothing is hidden from that viewer. */
  entry,
  decision: z.object({
    status: trueStatus,
    code: z.int(),
    /** The session that decides; null if there is none. */
    session: z.string().nullable(),
    /** The reason, as a sentence. */
    rule: z.string(),
  }),
  /** The viewers that always see the user offline. */
  hidden: z.object({
    isInvisible: z.boolean(),
    /** The first 100 users that this user blocks. */
    from: z.array(userId),
    /** The number of users that this user blocks. */
    fromCount: z.int(),
  }),
  sessions: z.array(explainedSession),
  /** Newest first, at most 20. */
  transitions: z.array(transition),
  /**
   * The transitions are complete from this time on, except for the limit of 20. The hub starts without any and forgets
   * the oldest.
   */
  transitionsSince: instant,
  /** The data may be out of date. */
  stale: z.literal(true).optional(),
});
export type Explanation = z.infer<typeof explanation>;
