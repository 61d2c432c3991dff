/**
 * Blocks over HTTP: who is not to see a user any more. One is durable, and whoever watches has been told, before it is
 * answered 204; setting one that is set, or lifting one that is not, is 204 too.
 */
import { mayBlock } from '../auth/policy.ts';
import { durably } from './durably.ts';
import { readPair } from './read.ts';
import { noContent } from './reply.ts';
import { route, type Route } from './route.ts';

/** Sets or lifts the block of `user` against `other`. Throws where storage can't take it. */
type SetBlock = (user: string, other: string) => void;

export interface BlocksRoutesOptions {
  readonly block: SetBlock;
  readonly unblock: SetBlock;
}

export function blocksRoutes({ block, unblock }: BlocksRoutesOptions): Route[] {
  const routeTo = (method: 'PUT' | 'DELETE', set: SetBlock): Route =>
    route({
      method,
      path: '/v1/users/{user}/blocks/{other}',
      about: (call) => readPair(call, 'other', 'nobody is blocked by oneself'),
      may: (identity, { user }) => mayBlock(identity, user),
      answer: (_call, { user, other }) =>
        durably(() => {
          set(user, other);
          return noContent();
        }),
    });
  return [routeTo('PUT', block), routeTo('DELETE', unblock)];
}
