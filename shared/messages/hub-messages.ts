/**
 * Schemas of every message that the hub sends over WebSocket: for clients, the reference and the tests. The hub joins
 * most messages from cached fragments; a test checks them against these schemas.
 */
import { z } from 'zod';
import { errorCodes, type ErrorCode } from '../reasons.ts';
import { entry } from './entry.ts';
import { adapterName, transitionCause } from './explain.ts';
import { instant, text, userId } from '../ids.ts';
import { sessionStatuses, userStatus } from '../status.ts';

const re = z.union([z.string(), z.number()]).optional();

/** Answers `hello`. */
const welcome = z.object({
  type: z.literal('welcome'),
  re,
  session: z.string(),
  /** Omitted for an observer that named no user. */
  user: userId.optional(),
  /** The interval of heartbeats in milliseconds. */
  heartbeatMs: z.int().positive(),
  /** How long the hub waits for a sign of life, in milliseconds. */
  timeoutMs: z.int().positive(),
  node: z.string(),
  protocol: z.literal(1),
});

const snapshotBase = {
  type: z.literal('snapshot'),
  re,
  /** Every change that this watch has not received has a larger `v`. */
  at: instant,
  entries: z.array(entry),
  /** Repeats the request's `since`. If present, `entries` contains only newer entries. */
  since: instant.optional(),
  /** Only with `since`: the users who are not friends any longer. */
  removed: z.array(userId).optional(),
};
const snapshotOfFriends = z.object({ ...snapshotBase, friendsOf: userId });
const snapshotOfUsers = z.object({ ...snapshotBase, users: z.array(userId) });

const presence = z.object({ type: z.literal('presence'), entries: z.array(entry), at: instant.optional() });
const friendAdded = z.object({ type: z.literal('friend'), friendsOf: userId, op: z.literal('add'), entry });
const friendRemoved = z.object({ type: z.literal('friend'), friendsOf: userId, op: z.literal('remove'), user: userId });
const unwatchedFriends = z.object({ type: z.literal('unwatched'), re, friendsOf: userId });
const unwatchedUsers = z.object({ type: z.literal('unwatched'), re, users: z.array(userId) });
const ok = z.object({ type: z.literal('ok'), re: z.union([z.string(), z.number()]) });

/** The user's own true status: the only message that contains `invisible`. */
const self = z.object({
  type: z.literal('self'),
  status: z.enum([...sessionStatuses, 'offline']),
  text: text.optional(),
  devices: z.array(z.string()),
});
const stale = z.object({ type: z.literal('stale'), since: instant });
const fresh = z.object({ type: z.literal('fresh'), at: instant });
const reconnect = z.object({ type: z.literal('reconnect'), afterMs: z.int().min(0) });
/** A change as sent to an admin that tails. */
export const tailedChange = z.object({
  at: instant,
  cause: transitionCause,
  adapter: adapterName,
  /** The session that caused the change. */
  session: z.string(),
  /** The visible status before the change. */
  from: userStatus,
  entry,
});
/** Changes of any user, for clients that sent `tail`. */
const tail = z.object({
  type: z.literal('tail'),
  changes: z.array(tailedChange),
  /** The number of changes that were left out. */
  skipped: z.int().min(0),
});
const error = z.object({
  type: z.literal('error'),
  re,
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
});

/** The schemas by name, for the reference and the tests. */
export const hubMessages = {
  welcome,
  'snapshot (friends)': snapshotOfFriends,
  'snapshot (ids)': snapshotOfUsers,
  presence,
  'friend (add)': friendAdded,
  'friend (remove)': friendRemoved,
  'unwatched (friends)': unwatchedFriends,
  'unwatched (ids)': unwatchedUsers,
  ok,
  self,
  stale,
  fresh,
  reconnect,
  tail,
  error,
} as const;

export const hubMessage = z.union(Object.values(hubMessages));
export type HubMessage = z.infer<typeof hubMessage>;
export type TailedChange = z.infer<typeof tailedChange>;
export type Welcome = z.infer<typeof welcome>;
export type Snapshot = z.infer<typeof snapshotOfFriends> | z.infer<typeof snapshotOfUsers>;
