/**
 * Sessions over HTTP, for an admin: explains the status of a user, and ends one of its sessions. The explanation
 * contains an entry, so it says if that may be out of date.
 */
import type { Explanation } from '../../../../shared/messages/explain.ts';
import { mayAdmin } from '../../../auth/policy.ts';
import type { Viewer } from '../../../presence/viewer.ts';
import { readUser } from '../read.ts';
import { json, noContent, problem } from '../reply.ts';
import { route, type Route } from '../route.ts';

export interface SessionsRoutesOptions {
  readonly explain: (user: string) => Promise<Explanation>;
  /** @returns false if the user has no such session. */
  readonly kick: (user: string, sessionId: string) => boolean;
  readonly isStale: (users: readonly string[], viewer: Viewer) => boolean;
}

export function sessionsRoutes({ explain, kick, isStale }: SessionsRoutesOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/users/{user}/explain',
      about: (call) => readUser(call, 'user'),
      may: mayAdmin,
      answer: async ({ viewer }, user) => {
        const explanation = await explain(user);
        return json(JSON.stringify(isStale([user], viewer) ? { ...explanation, stale: true } : explanation));
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/users/{user}/sessions/{session}',
      about: (call) => readUser(call, 'user'),
      may: mayAdmin,
      answer: ({ params }, user) =>
        kick(user, params['session'] ?? '')
          ? noContent()
          : problem(404, `session: ${user} has no such session: explain shows those that it has`),
    }),
  ];
}
