/**
 * Friend lists over HTTP. An edit is durable, and whoever watches the list has been told, before it is answered 204;
 * where storage can't take it, nothing is changed and the answer is 503.
 */
import { friendsBody, importBody } from '../../shared/http-bodies.ts';
import { describeTrouble } from '../lib/sqlite.ts';
import type { Edge, Roster, RosterEdit } from '../roster/port.ts';
import type { HttpReply } from '../sockets/port.ts';
import { bad, readBody, readOneway, readUser, type Read } from './read.ts';
import { json, noContent, problem } from './reply.ts';
import type { Call, Route } from './router.ts';

/** Commits an edit and tells it to whoever watches. @returns edges added. @throws where storage can't take it. */
export type EditRoster = (edit: RosterEdit) => number;

export interface FriendsRoutesOptions {
  readonly roster: Pick<Roster, 'friendsOf'>;
  readonly edit: EditRoster;
}

const ONESELF = 'nobody is a friend of oneself';

export function friendsRoutes({ roster, edit }: FriendsRoutesOptions): Route[] {
  const commit = (change: RosterEdit, answer: (added: number) => HttpReply): HttpReply => {
    let added: number;
    try {
      added = edit(change);
    } catch (error) {
      const reason = describeTrouble(error);
      return problem(503, `storage: it ${reason}, so the change was not made; try again`, { 'retry-after': '1' });
    }
    return answer(added);
  };
  const editOne = (kind: 'add' | 'remove') => (call: Call) => {
    const edges = readEdges(call);
    return edges.ok ? commit({ kind, edges: edges.value }, noContent) : edges.reply;
  };
  return [
    {
      method: 'GET',
      path: '/v1/users/{user}/friends',
      answer: (call) => {
        const user = readUser(call, 'user');
        if (!user.ok) return user.reply;
        return json(JSON.stringify({ user: user.value, friends: roster.friendsOf(user.value) }));
      },
    },
    {
      method: 'PUT',
      path: '/v1/users/{user}/friends',
      answer: (call) => {
        const user = readUser(call, 'user');
        if (!user.ok) return user.reply;
        const oneway = readOneway(call);
        if (!oneway.ok) return oneway.reply;
        const body = readBody(call, friendsBody);
        if (!body.ok) return body.reply;
        const { friends } = body.value;
        if (friends.includes(user.value)) return problem(400, `friends: ${ONESELF}`);
        return commit({ kind: 'replace', user: user.value, friends, mutual: !oneway.value }, noContent);
      },
    },
    { method: 'PUT', path: '/v1/users/{user}/friends/{friend}', answer: editOne('add') },
    { method: 'DELETE', path: '/v1/users/{user}/friends/{friend}', answer: editOne('remove') },
    {
      method: 'POST',
      path: '/v1/friends/import',
      answer: (call) => {
        const oneway = readOneway(call);
        if (!oneway.ok) return oneway.reply;
        const body = readBody(call, importBody);
        if (!body.ok) return body.reply;
        const own = body.value.edges.findIndex(([user, friend]) => user === friend);
        if (own >= 0) return problem(400, `edges.${own}: ${ONESELF}`);
        const edges = body.value.edges.flatMap(([user, friend]) => edgesBetween(user, friend, oneway.value));
        return commit({ kind: 'add', edges }, (added) => json(JSON.stringify({ added })));
      },
    },
  ];
}

function readEdges(call: Call): Read<readonly Edge[]> {
  const user = readUser(call, 'user');
  if (!user.ok) return user;
  const friend = readUser(call, 'friend');
  if (!friend.ok) return friend;
  const oneway = readOneway(call);
  if (!oneway.ok) return oneway;
  if (user.value === friend.value) return bad(`friend: ${ONESELF}`);
  return { ok: true, value: edgesBetween(user.value, friend.value, oneway.value) };
}

function edgesBetween(user: string, friend: string, oneway: boolean): Edge[] {
  return oneway
    ? [{ user, friend }]
    : [
        { user, friend },
        { user: friend, friend: user },
      ];
}
