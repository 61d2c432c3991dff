/** The bodies of HTTP requests and answers. Ids and texts have the same form as in every other adapter. */
import { z } from 'zod';
import { entry } from './entry.ts';
import { adapterNames, explanation } from './explain.ts';
import { device, instant, list, text, userId, userIds } from '../ids.ts';
import { MAX_EDGES_PER_IMPORT, MAX_TTL_MS } from '../limits.ts';
import { shownCause } from './webhook.ts';
import { presentStatuses, sessionStatuses, userStatus } from '../status.ts';

const heartbeatStatuses = [...sessionStatuses, 'offline'] as const;
const TTL_FORM = `must be a whole number from 1 to ${MAX_TTL_MS}`;

function fieldsOf<Name extends string, Form>(names: readonly Name[], form: Form): Record<Name, Form> {
  return Object.fromEntries(names.map((name) => [name, form])) as Record<Name, Form>;
}

/** `POST /v1/heartbeat`. */
export const heartbeatBody = z.object({
  user: userId,
  device: device.optional(),
  status: z.enum(heartbeatStatuses, `must be one of ${heartbeatStatuses.join(', ')}`).optional(),
  text: text.optional(),
  /** The lease of this heartbeat in milliseconds. Default: the WebSocket timeout. */
  ttlMs: z.int(TTL_FORM).min(1, TTL_FORM).max(MAX_TTL_MS, TTL_FORM).optional(),
});
export type HeartbeatBody = z.infer<typeof heartbeatBody>;

/** `POST /v1/presence`. */
export const presenceBody = z.object({ users: userIds });

const FRIENDS_FORM = 'must be a list of user ids';
/**
 * `PUT /v1/users/{user}/friends`: an empty list ends every friendship. The list is limited only by the size of a body.
 */
export const friendsBody = z.object({ friends: list(userId, FRIENDS_FORM, { isSet: true }) });

const EDGES_FORM = `must be a list of 1 to ${MAX_EDGES_PER_IMPORT} [user, friend] pairs`;
const edge = z.tuple([userId, userId], 'must be a pair [user, friend] of user ids');
/** `POST /v1/friends/import`: adds these pairs to the existing ones, in one transaction. */
export const importBody = z.object({
  edges: list(edge, EDGES_FORM, { min: 1, max: MAX_EDGES_PER_IMPORT }),
});

/** The entries of an answer may be out of date. */
const stale = z.literal(true).optional();
/** `GET /v1/presence/{user}`. */
export const presenceAnswer = z.object({ ...entry.shape, stale });
export const entryAnswer = z.object({ entry, stale });
export const entriesAnswer = z.object({ entries: z.array(entry), stale });
/** A page of the list of present users. `next` is the `after` of the next page; null after the last one. */
export const listAnswer = z.object({
  entries: z.array(entry),
  next: userId.nullable(),
  stale,
});
const count = z.int().min(0);
/** `sessions`: those of the users that are counted, by adapter. */
export const countsAnswer = z.object({
  ...fieldsOf(presentStatuses, count),
  sessions: z.object(fieldsOf(adapterNames, count)),
  at: instant,
  stale,
});
/** `merged`: several transitions beyond HUB_HISTORY_PER_DAY as one. `next` is the `from` of the next page. */
export const historyAnswer = z.object({
  user: userId,
  transitions: z.array(
    z.object({ at: instant, from: userStatus, to: userStatus, cause: shownCause, merged: z.literal(true).optional() }),
  ),
  next: instant.nullable(),
});
export const uptimeAnswer = z.object({
  user: userId,
  onlineMs: count,
  awayMs: count,
  busyMs: count,
  offlineMs: count,
  unknownMs: count,
});
/** Everything that is stored of a user. Lists that the user itself may not see are left out. */
export const exportAnswer = z.object({
  user: userId,
  at: instant,
  entry,
  sessions: explanation.shape.sessions,
  transitions: explanation.shape.transitions,
  friends: z.array(userId),
  followers: z.array(userId),
  blocks: z.array(userId),
  blockedBy: z.array(userId).optional(),
  webhookEvents: z.array(z.record(z.string(), z.unknown())).optional(),
  /** Times in which the hub did not know this user; `to` is null while it lasts. */
  unknown: z.array(z.object({ from: instant, to: instant.nullable() })),
  /** `merged`: the time with each status in several transitions that are kept as one. */
  history: z.array(
    z.object({
      at: instant,
      from: userStatus,
      to: userStatus,
      cause: shownCause,
      merged: z.record(z.string(), z.int()).nullable(),
    }),
  ),
});
export const friendsAnswer = z.object({ user: userId, friends: z.array(userId) });

/** `GET /v1/webhooks`. */
export const webhooksAnswer = z.object({
  rules: z.array(
    z.object({
      name: z.string(),
      /** Without user info, query and fragment. */
      url: z.string(),
      on: z.array(userStatus),
      afterMs: z.int(),
      events: z.enum(['status', 'all']),
      /** Events that wait or are on their way. */
      queued: z.int(),
      /** Events that were not delivered in time. */
      dead: z.int(),
      /** Why the last attempt failed; null if it did not. */
      lastFailure: z.string().nullable(),
    }),
  ),
});
/** `POST /v1/webhooks/{rule}/test`. `reason`: why the test was not delivered. */
export const webhookTestAnswer = z.object({ delivered: z.boolean(), reason: z.string().optional() });
/** `POST /v1/webhooks/{rule}/replay`: how many dead events will be sent again. */
export const webhookReplayAnswer = z.object({ events: z.int() });

/** An error: `application/problem+json` (RFC 9457). `detail` names the field and the remedy. */
export const problem = z.object({
  /** The path of the page that explains the error, with its remedy and an example. */
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
});
export type Problem = z.infer<typeof problem>;
