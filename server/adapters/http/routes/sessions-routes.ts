/**
 * Sessions over HTTP: explains the status of a user, and ends one of its sessions. The explanation contains an entry, so
 * it says if that may be out of date. Only an admin is shown addresses.
 */
import type { Explanation } from '../../../../shared/messages/explain.ts';
import { mayAdmin, mayExplain } from '../../../auth/policy.ts';
import type { Viewer } from '../../../presence/viewer.ts';
import { readUser } from '../read.ts';
import { json, noContent, problem } from '../reply.ts';
import { route, type Route } from '../route.ts';

export interface SessionsRoutesOptions {
  readonly explain: (user: string) => Promise<Explanation>;
  /** @returns false if the user has no such session. */
  readonly kick: (user: string, sessionId: string) => boolean | Promise<boolean>;
  readonly isStale: (users: readonly string[], viewer: Viewer) => boolean;
  /** HUB_LAST_SEEN=hide */
  readonly hidesLastSeen: boolean;
}

export function sessionsRoutes(options: SessionsRoutesOptions): Route[] {
  const { explain, kick, isStale } = options;
  return [
    route({
      method: 'GET',
      path: '/v1/users/{user}/explain',
      isLong: true,
      about: (call) => readUser(call, 'user'),
      may: (identity) => mayExplain(identity, options.hidesLastSeen),
      answer: async ({ viewer }, user) => {
        const explained = await explain(user);
        const explanation = viewer.isAdmin ? explained : withoutAddresses(explained);
        return json(JSON.stringify(isStale([user], viewer) ? { ...explanation, stale: true } : explanation));
      },
    }),
    route({
      method: 'DELETE',
      isAudited: true,
      path: '/v1/users/{user}/sessions/{session}',
      about: (call) => readUser(call, 'user'),
      may: mayAdmin,
      answer: async ({ params }, user) =>
        (await kick(user, params['session'] ?? ''))
          ? noContent()
          : problem('not_found', `session: ${user} has no such session: explain lists its sessions`),
    }),
  ];
}

/** For a reader who is no admin. */
function withoutAddresses(explanation: Explanation): Explanation {
  const sessions = explanation.sessions.map(({ peerAddress: _peer, ...session }) => ({ ...session, address: null }));
  return { ...explanation, sessions };
}
