/**
 * Friend lists over HTTP. Before an edit is answered with 204, it is durable and the watchers of the list are notified.
 * If storage fails or a list would be too long, nothing changes and the answer is 503 or 409.
 */
import type { RefusalReason } from '../../../../shared/reasons.ts';
import { USERS_PER_UNIT } from '../../../../shared/limits.ts';
import { friendsBody, importBody } from '../../../../shared/messages/http-bodies.ts';
import { mayEditFriends, mayEditLists, mayReadFriends } from '../../../auth/policy.ts';
import type { Edge, ListEdits, Roster, RosterEdit } from '../../../roster/port.ts';
import type { HttpReply } from '../../../sockets/port.ts';
import { durably } from '../durably.ts';
import { readBody, readOneway, readPair, readUser } from '../read.ts';
import { json, noContent, problem } from '../reply.ts';
import { aboutNobody, route, type Call, type Reply, type Route } from '../route.ts';

export interface FriendsRoutesOptions {
  readonly roster: Pick<Roster, 'load' | 'friendsOf'>;
  /** Null if another service owns the lists. */
  readonly edit: ListEdits['edit'] | null;
  readonly refreshList: ListEdits['refresh'];
  /** Maximum for one user. */
  readonly maxFriends: () => number;
  readonly onRefused: (reason: RefusalReason) => void;
}

const OWNED_ELSEWHERE =
  'friends: the service that HUB_ROSTER names owns the lists: change them there, then POST /v1/users/{user}/friends/refresh';
const ONESELF = 'you cannot add yourself';

export function friendsRoutes(options: FriendsRoutesOptions): Route[] {
  const editOne = (method: 'PUT' | 'DELETE', kind: 'add' | 'remove'): Route =>
    route({
      method,
      path: '/v1/users/{user}/friends/{friend}',
      isBulk: true,
      isAudited: true,
      about: (call) => readPair(call, 'friend', ONESELF),
      may: (identity, { user }) => mayEditFriends(identity, user, kind === 'remove' ? 'drop' : 'change'),
      answer: (call, { user, other }) => {
        const oneway = readOneway(call);
        if (!oneway.ok) return oneway.reply;
        return commit(options, call, { kind, edges: edgesBetween(user, other, oneway.value) }, noContent);
      },
    });
  return [
    route({
      method: 'GET',
      path: '/v1/users/{user}/friends',
      isLong: true,
      about: (call) => readUser(call, 'user'),
      may: mayReadFriends,
      answer: ({ chargeFor }, user) => {
        const answer = (): HttpReply => {
          const friends = options.roster.friendsOf(user);
          chargeFor(friends.length);
          return json(JSON.stringify({ user, friends }));
        };
        const loaded = options.roster.load([user]);
        return loaded === undefined ? answer() : loaded.then(answer);
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/users/{user}/friends',
      isBulk: true,
      isAudited: true,
      about: (call) => readUser(call, 'user'),
      may: (identity, user) => mayEditFriends(identity, user, 'change'),
      answer: (call, user) => replaceList(options, call, user),
    }),
    refreshRoute(options),
    editOne('PUT', 'add'),
    editOne('DELETE', 'remove'),
    route({
      method: 'POST',
      path: '/v1/friends/import',
      isBulk: true,
      isAudited: true,
      about: aboutNobody,
      may: mayEditLists,
      answer: (call) => addMany(options, call),
    }),
  ];
}

function refreshRoute({ refreshList }: FriendsRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/v1/users/{user}/friends/refresh',
    isAudited: true,
    about: (call) => readUser(call, 'user'),
    may: mayEditLists,
    answer: (_call, user) =>
      durably(async () => {
        await refreshList(user);
        return noContent();
      }, 'the list was not read again'),
  });
}

function replaceList(options: FriendsRoutesOptions, call: Call, user: string): Reply {
  const oneway = readOneway(call);
  if (!oneway.ok) return oneway.reply;
  const body = readBody(call, friendsBody);
  if (!body.ok) return body.reply;
  const { friends } = body.value;
  if (friends.includes(user)) return problem('bad_request', `friends: ${ONESELF}`);
  return commit(options, call, { kind: 'replace', user, friends, mutual: !oneway.value }, noContent);
}

function addMany(options: FriendsRoutesOptions, call: Call): Reply {
  const oneway = readOneway(call);
  if (!oneway.ok) return oneway.reply;
  const body = readBody(call, importBody);
  if (!body.ok) return body.reply;
  const own = body.value.edges.findIndex(([user, friend]) => user === friend);
  if (own >= 0) return problem('bad_request', `edges.${own}: ${ONESELF}`);
  const edges = body.value.edges.flatMap(([user, friend]) => edgesBetween(user, friend, oneway.value));
  return commit(options, call, { kind: 'add', edges }, (added) => json(JSON.stringify({ added })));
}

function commit(
  { edit, maxFriends, onRefused }: FriendsRoutesOptions,
  { chargeFor, request }: Call,
  change: RosterEdit,
  answer: (added: number) => HttpReply,
): Promise<HttpReply> {
  if (edit === null)
    return Promise.resolve(
      problem('method_not_allowed', OWNED_ELSEWHERE, {
        allow: request.path.endsWith('/friends') ? 'GET, HEAD' : '',
      }),
    );
  chargeFor(edgesIn(change));
  return durably(async () => {
    const edited = await edit(change);
    if (!('full' in edited)) {
      if (change.kind === 'replace') chargeFor(edited.removed);
      return answer(edited.added);
    }
    onRefused('friends');
    return problem(
      'too_many_friends',
      `friends: ${edited.full} may have at most ${maxFriends()}, so nothing was changed`,
    );
  });
}

/**
 * Returns the number of edges that an edit names. Fewer than one unit are free, because a script may add many friends
 * one by one.
 */
function edgesIn(edit: RosterEdit): number {
  const edges = edit.kind === 'replace' ? edit.friends.length * (edit.mutual ? 2 : 1) : edit.edges.length;
  return edges < USERS_PER_UNIT ? 0 : edges;
}

function edgesBetween(user: string, friend: string, oneway: boolean): Edge[] {
  return oneway
    ? [{ user, friend }]
    : [
        { user, friend },
        { user: friend, friend: user },
      ];
}
