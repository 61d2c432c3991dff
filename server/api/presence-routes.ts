/** Presence over HTTP: entries of one user, of a list, of friends; and the heartbeat. Reads the core, reports to intake. */
import { heartbeatBody, presenceBody } from '../../shared/http-bodies.ts';
import { takeHttpHeartbeat, type HttpHeartbeatOptions } from '../adapters/http/heartbeat.ts';
import type { Presence } from '../presence/presence.ts';
import type { Roster } from '../roster/port.ts';
import type { HttpReply } from '../sockets/port.ts';
import { readBody, readForm, readUser } from './read.ts';
import { json } from './reply.ts';
import type { Route } from './router.ts';

export interface PresenceRoutesOptions {
  readonly presence: Presence;
  readonly roster: Pick<Roster, 'friendsOf'>;
  readonly heartbeat: HttpHeartbeatOptions;
  /** What is shown may be behind. */
  readonly isStale: () => boolean;
  /** Makes durable what must not be forgotten once it was told. */
  readonly beforeTelling: () => void;
}

export function presenceRoutes({
  presence,
  roster,
  heartbeat,
  isStale,
  beforeTelling,
}: PresenceRoutesOptions): Route[] {
  const answer = (body: string): HttpReply => json(isStale() ? `${body.slice(0, -1)},"stale":true}` : body);
  const entryJson = (user: string): string => presence.entryJsonOf(presence.look(user));
  const one = (user: string): HttpReply => {
    beforeTelling();
    return answer(entryJson(user));
  };
  const entries = (users: readonly string[]): HttpReply => {
    beforeTelling();
    return answer(`{"entries":[${users.map(entryJson).join(',')}]}`);
  };
  return [
    {
      method: 'GET',
      path: '/v1/presence/{user}',
      answer: (call) => {
        const user = readUser(call, 'user');
        return user.ok ? one(user.value) : user.reply;
      },
    },
    {
      method: 'GET',
      path: '/v1/presence',
      answer: ({ query }) => {
        const users = query.get('users')?.split(',') ?? [];
        const list = readForm({ users }, presenceBody, 'users: must be a list of user ids');
        return list.ok ? entries(list.value.users) : list.reply;
      },
    },
    {
      method: 'POST',
      path: '/v1/presence',
      answer: (call) => {
        const list = readBody(call, presenceBody);
        return list.ok ? entries(list.value.users) : list.reply;
      },
    },
    {
      method: 'POST',
      path: '/v1/heartbeat',
      answer: (call) => {
        const body = readBody(call, heartbeatBody);
        if (!body.ok) return body.reply;
        takeHttpHeartbeat(heartbeat, body.value, call.request.remoteAddress);
        beforeTelling();
        return answer(`{"entry":${entryJson(body.value.user)}}`);
      },
    },
    {
      method: 'GET',
      path: '/v1/users/{user}/friends/presence',
      answer: (call) => {
        const user = readUser(call, 'user');
        return user.ok ? entries(roster.friendsOf(user.value)) : user.reply;
      },
    },
  ];
}
