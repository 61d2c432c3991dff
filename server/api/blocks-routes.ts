/**
 * Blocks over HTTP: who is not to see a user any more. One is durable, and whoever watches has been told, before it is
 * answered 204; setting one that is set, or lifting one that is not, is 204 too.
 */
import type { RefusalReason } from '../../shared/reasons.ts';
import { mayBlock } from '../auth/policy.ts';
import { durably } from './durably.ts';
import { readPair } from './read.ts';
import type { HttpReply } from '../sockets/port.ts';
import { noContent, problem } from './reply.ts';
import { route, type Route } from './route.ts';

/** Each throws where storage can't take it. */
export interface BlocksRoutesOptions {
  /** Sets the block of `user` against `other`. @returns false where the user has as many as it may. */
  readonly block: (user: string, other: string) => boolean;
  readonly unblock: (user: string, other: string) => void;
  /** Of one user, blocks as well as friends. */
  readonly maxFriends: number;
  readonly onRefused: (reason: RefusalReason) => void;
}

export function blocksRoutes({ block, unblock, maxFriends, onRefused }: BlocksRoutesOptions): Route[] {
  const routeTo = (method: 'PUT' | 'DELETE', set: (user: string, other: string) => HttpReply): Route =>
    route({
      method,
      path: '/v1/users/{user}/blocks/{other}',
      about: (call) => readPair(call, 'other', 'nobody is blocked by oneself'),
      may: (identity, { user }) => mayBlock(identity, user),
      answer: (_call, { user, other }) => durably(() => set(user, other)),
    });
  return [
    routeTo('PUT', (user, other) => {
      if (block(user, other)) return noContent();
      onRefused('friends');
      return problem(409, `other: ${user} may block at most ${maxFriends}, so nothing was changed`);
    }),
    routeTo('DELETE', (user, other) => {
      unblock(user, other);
      return noContent();
    }),
  ];
}
