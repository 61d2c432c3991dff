/** Presence over HTTP: entries of one user, of a list, of friends; and the heartbeat. Reads the core, reports to intake. */
import { heartbeatBody, presenceBody, type HeartbeatBody } from '../../shared/http-bodies.ts';
import { takeHttpHeartbeat, type HttpHeartbeatOptions } from '../adapters/http/heartbeat.ts';
import { viewerOf } from '../auth/identity.ts';
import { mayHeartbeat, mayReadFriends, mayReadPresence } from '../auth/policy.ts';
import type { Clock } from '../lib/clock.ts';
import type { Presence } from '../presence/presence.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Roster } from '../roster/port.ts';
import type { HttpReply } from '../sockets/port.ts';
import { readBody, readForm, readUser } from './read.ts';
import { json, tooMany } from './reply.ts';
import { route, type Call, type Read, type Route } from './route.ts';

export interface PresenceRoutesOptions {
  readonly presence: Pick<Presence, 'answerFor'>;
  readonly roster: Pick<Roster, 'friendsOf' | 'follows'>;
  readonly heartbeat: HttpHeartbeatOptions;
  readonly clock: Clock;
  /** What is shown may be behind. */
  readonly isStale: (users: readonly string[], viewer: Viewer) => boolean;
  /** Makes durable what must not be forgotten once it was told. */
  readonly beforeTelling: () => void;
}

export function presenceRoutes(options: PresenceRoutesOptions): Route[] {
  // Asked of the roster at each call, so that an edit holds from its 204 on.
  const isFriend = (user: string, other: string): boolean => options.roster.follows(user, other);
  const list = (method: 'GET' | 'POST', about: (call: Call) => Read<{ users: string[] }>): Route =>
    route({
      method,
      path: '/v1/presence',
      about,
      may: (identity, { users }) => mayReadPresence(identity, users, isFriend),
      answer: ({ viewer }, { users }) => entries(options, users, viewer),
    });
  return [
    route({
      method: 'GET',
      path: '/v1/presence/{user}',
      about: (call) => readUser(call, 'user'),
      may: (identity, user) => mayReadPresence(identity, [user], isFriend),
      answer: ({ viewer }, user) => {
        options.beforeTelling();
        return withStale(options, entryJson(options, user, viewer), [user], viewer);
      },
    }),
    list('GET', ({ query }) => {
      const users = query.get('users')?.split(',') ?? [];
      return readForm({ users }, presenceBody, 'users: must be a list of user ids');
    }),
    list('POST', (call) => readBody(call, presenceBody)),
    route({
      method: 'POST',
      path: '/v1/heartbeat',
      about: (call) => readBody(call, heartbeatBody),
      may: (identity, { user }) => mayHeartbeat(identity, user),
      answer: (call, body) => takeHeartbeat(options, call, body),
    }),
    route({
      method: 'GET',
      path: '/v1/users/{user}/friends/presence',
      about: (call) => readUser(call, 'user'),
      may: mayReadFriends,
      answer: ({ viewer }, user) => entries(options, options.roster.friendsOf(user), viewer),
    }),
  ];
}

function takeHeartbeat(options: PresenceRoutesOptions, { identity, request }: Call, body: HeartbeatBody): HttpReply {
  const { heartbeat, clock, beforeTelling } = options;
  const { expiresAtMs } = identity;
  // What a token opened ends with it, however long a lease was asked for.
  const restMs = expiresAtMs === null ? Infinity : Math.max(1, expiresAtMs - clock.now().wallMs);
  if (!takeHttpHeartbeat(heartbeat, body, request.remoteAddress, restMs)) {
    return tooMany(
      'user: it has as many sessions as the hub allows: end one, or wait until one has',
      heartbeat.timeoutMs,
    );
  }
  beforeTelling();
  const viewer = viewerOf(identity, body.user);
  return withStale(options, `{"entry":${entryJson(options, body.user, viewer)}}`, [body.user], viewer);
}

function entries(options: PresenceRoutesOptions, users: readonly string[], viewer: Viewer): HttpReply {
  options.beforeTelling();
  const listed = users.map((user) => entryJson(options, user, viewer)).join(',');
  return withStale(options, `{"entries":[${listed}]}`, users, viewer);
}

function entryJson({ presence }: PresenceRoutesOptions, user: string, viewer: Viewer): string {
  return presence.answerFor(user, viewer);
}

function withStale(
  { isStale }: PresenceRoutesOptions,
  body: string,
  users: readonly string[],
  viewer: Viewer,
): HttpReply {
  return json(isStale(users, viewer) ? `${body.slice(0, -1)},"stale":true}` : body);
}
