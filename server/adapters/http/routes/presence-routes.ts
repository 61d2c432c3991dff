/**
 * Presence over HTTP: the entries of one user, of given users, of all who are present and of friends, and the heartbeat. Reads the core and reports
 * to intake.
 */
import { heartbeatBody, presenceBody, type HeartbeatBody } from '../../../../shared/messages/http-bodies.ts';
import { dependsOnPeers, DEFAULT_DEVICE, takeHttpHeartbeat, type HttpHeartbeatOptions } from './heartbeat.ts';
import { viewerOf, type Identity } from '../../../auth/identity.ts';
import {
  askedForPresence,
  mayHeartbeat,
  mayList,
  mayReadFriendsPresence,
  mayReadPresence,
  type IsFriend,
} from '../../../auth/policy.ts';
import type { ListQuery } from '../../../actions/present-users.ts';
import { Gate } from '../../../lib/collections/gate.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { TurnBudget } from '../../../lib/time/turn-budget.ts';
import type { Peers, HttpSessionValues } from '../../../peers.ts';
import type { Users } from '../../../presence/users.ts';
import type { Viewer } from '../../../presence/viewer.ts';
import type { Roster } from '../../../roster/port.ts';
import type { HttpReply } from '../../../sockets/port.ts';
import { bad, readBody, readForm, readUser } from '../read.ts';
import { json, tooMany } from '../reply.ts';
import { answerList, isListQuery, readListQuery, type ListRoutesOptions } from './list-routes.ts';
import { route, type Call, type Read, type Reply, type Route } from '../route.ts';

export interface PresenceRoutesOptions extends Pick<ListRoutesOptions, 'list'> {
  readonly users: Pick<Users, 'peekAs' | 'answersFor'>;
  readonly roster: Pick<Roster, 'load' | 'friendsOf'>;
  /** Returns the check for friendship, for a question about `count` users. */
  readonly friendLookUp: (count: number) => IsFriend;
  readonly heartbeat: HttpHeartbeatOptions;
  readonly peers: Pick<Peers, 'settled' | 'refresh' | 'httpSession'>;
  readonly clock: Clock;
  /** The budget of one loop turn for long work. */
  readonly turns: Pick<TurnBudget, 'take' | 'spend'>;
  /** Returns whether the entries may be out of date. */
  readonly isStale: (users: readonly string[], viewer: Viewer) => boolean;
}

type Options = PresenceRoutesOptions & { readonly largeAnswers: Gate };

export function presenceRoutes(given: PresenceRoutesOptions): Route[] {
  const options: Options = { ...given, largeAnswers: new Gate(LARGE_AT_ONCE) };
  const list = (method: 'GET' | 'POST', about: (call: Call) => Read<{ users: string[] } | ListQuery>): Route =>
    route({
      method,
      path: '/v1/presence',
      isLong: true,
      about,
      usersIn: (asked) => ('users' in asked ? asked.users.length : 0),
      load: (identity) => loadAsked(options, identity),
      may: (identity, asked) =>
        'users' in asked
          ? mayReadPresence(identity, asked.users, options.friendLookUp(asked.users.length))
          : mayList(identity),
      answer: (call, asked) =>
        'users' in asked ? entries(options, asked.users, call.viewer) : answerList(options, call, asked),
    });
  return [
    route({
      method: 'GET',
      path: '/v1/presence/{user}',
      about: (call) => readUser(call, 'user'),
      load: (identity) => loadAsked(options, identity),
      may: (identity, user) => mayReadPresence(identity, [user], options.friendLookUp(1)),
      answer: ({ viewer }, user) => {
        const answer = (): HttpReply => withStale(options, entryJson(options, user, viewer), [user], viewer);
        const refreshed = options.peers.refresh([user]);
        return refreshed === undefined ? answer() : refreshed.then(answer);
      },
    }),
    list('GET', (call) => {
      const { query } = call;
      if (!query.has('users')) return readListQuery(call);
      if (isListQuery(call)) return bad('users: cannot be combined with status, prefix, limit or after');
      const users = query.getAll('users').flatMap((list) => list.split(','));
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
    friendsPresenceRoute(options),
  ];
}

function friendsPresenceRoute(options: Options): Route {
  return route({
    method: 'GET',
    path: '/v1/users/{user}/friends/presence',
    isLong: true,
    about: (call) => readUser(call, 'user'),
    may: mayReadFriendsPresence,
    answer: ({ viewer, chargeFor }, user) => {
      const answer = (): Reply => {
        const friends = options.roster.friendsOf(user);
        chargeFor(friends.length);
        return entries(options, friends, viewer);
      };
      const loaded = options.roster.load([user]);
      return loaded === undefined ? answer() : loaded.then(answer);
    },
  });
}

function loadAsked({ roster }: PresenceRoutesOptions, identity: Identity): Promise<void> | undefined {
  const asked = askedForPresence(identity);
  return asked === null ? undefined : roster.load([asked]);
}

const refusals = {
  sessions: 'user: it has as many sessions as the hub allows: end one, or wait until one ends',
  sessions_total: 'the hub has the maximum number of sessions: try again later',
} as const;

function takeHeartbeat(options: PresenceRoutesOptions, { identity, request }: Call, body: HeartbeatBody): Reply {
  const { heartbeat, clock, peers } = options;
  const askedAtMs = clock.now().monoMs;
  const take = (elsewhere?: HttpSessionValues): Reply => {
    const { expiresAtMs } = identity;
    // The session ends with its token, even if a longer lease was requested.
    const restMs = expiresAtMs === null ? Infinity : Math.max(1, expiresAtMs - clock.now().wallMs);
    const refusal = takeHttpHeartbeat(heartbeat, body, request.remoteAddress, restMs, elsewhere);
    if (refusal !== undefined) return tooMany('too_many_sessions', refusals[refusal], heartbeat.timeoutMs);
    const viewer = viewerOf(identity, body.user);
    const answer = (): HttpReply =>
      withStale(options, `{"entry":${entryJson(options, body.user, viewer)}}`, [body.user], viewer);
    const settled = peers.settled(body.user, clock.now().monoMs - askedAtMs);
    return settled === undefined ? answer() : settled.then(answer);
  };
  const asked = dependsOnPeers(heartbeat, body)
    ? peers.httpSession(body.user, body.device ?? DEFAULT_DEVICE)
    : undefined;
  return asked === undefined ? take() : asked.then(take);
}

/** Up to this many users are answered at once. Longer lists are answered in parts of this size, one per turn. */
const READ_AT_ONCE = 250;
/** How many longer lists are written at the same time, because each is in memory as a whole: up to 20 MB. */
const LARGE_AT_ONCE = 4;
/** In units of `TurnBudget`, a user that must be read from storage counts as two. */
const READ_COST = 2;

function entries(options: Options, users: readonly string[], viewer: Viewer): Reply {
  const refreshed = options.peers.refresh(users);
  const answer = (): Reply => refreshedEntries(options, users, viewer);
  return refreshed === undefined ? answer() : refreshed.then(answer);
}

function refreshedEntries(options: Options, users: readonly string[], viewer: Viewer): Reply {
  if (users.length > READ_AT_ONCE) return entriesInParts(options, users, viewer);
  const turn = options.turns.take(READ_COST * users.length);
  const answer = (): HttpReply =>
    withStale(options, `{"entries":[${entryJsons(options, users, viewer).join(',')}]}`, users, viewer);
  return turn === undefined ? answer() : turn.then(answer);
}

async function entriesInParts(options: Options, users: readonly string[], viewer: Viewer): Promise<HttpReply> {
  const { largeAnswers, turns } = options;
  await largeAnswers.enter();
  try {
    const parts: string[] = [];
    for (let from = 0; from < users.length; from += READ_AT_ONCE) {
      const some = users.slice(from, from + READ_AT_ONCE);
      await turns.take(READ_COST * some.length);
      parts.push(entryJsons(options, some, viewer).join(','));
    }
    return withStale(options, `{"entries":[${parts.join(',')}]}`, users, viewer);
  } finally {
    largeAnswers.leave();
  }
}

function entryJsons(options: PresenceRoutesOptions, users: readonly string[], viewer: Viewer): string[] {
  return options.users.answersFor(users, viewer);
}

function entryJson({ users }: PresenceRoutesOptions, user: string, viewer: Viewer): string {
  return users.peekAs(user, viewer);
}

function withStale(
  { isStale }: PresenceRoutesOptions,
  body: string,
  users: readonly string[],
  viewer: Viewer,
): HttpReply {
  return json(isStale(users, viewer) ? `${body.slice(0, -1)},"stale":true}` : body);
}
