/**
 * Blocks over HTTP. Before a block is answered with 204, it is durable and the watchers are notified. To set an
 * existing block or lift a missing one is answered with 204 too.
 */
import type { RefusalReason } from '../../../../shared/reasons.ts';
import { mayBlock } from '../../../auth/policy.ts';
import { durably } from '../durably.ts';
import { readPair } from '../read.ts';
import type { HttpReply } from '../../../sockets/port.ts';
import { noContent, problem } from '../reply.ts';
import { route, type Route } from '../route.ts';

/** Both functions reject if storage fails. */
export interface BlocksRoutesOptions {
  /** Sets the block of `user` against `other`. Resolves to false if the user has the maximum number of blocks. */
  readonly block: (user: string, other: string) => Promise<boolean>;
  readonly unblock: (user: string, other: string) => Promise<void>;
  /**
   * Returns an upper bound of the number of watchers of the user. Each is checked to find the connections of the
   * blocked user.
   */
  readonly watchersOf: (user: string) => number;
  /** The maximum for one user, for blocks as well as friends. */
  readonly maxFriends: () => number;
  readonly onRefused: (reason: RefusalReason) => void;
}

/** How many watchers can be checked in the time that one user in a snapshot takes. */
const WATCHERS_A_USER = 8;

export function blocksRoutes({ block, unblock, watchersOf, maxFriends, onRefused }: BlocksRoutesOptions): Route[] {
  const routeTo = (method: 'PUT' | 'DELETE', set: (user: string, other: string) => Promise<HttpReply>): Route =>
    route({
      method,
      path: '/v1/users/{user}/blocks/{other}',
      isAudited: true,
      about: (call) => readPair(call, 'other', 'you cannot block yourself'),
      may: (identity, { user }) => mayBlock(identity, user),
      answer: ({ chargeFor }, { user, other }) => {
        chargeFor(watchersOf(user) / WATCHERS_A_USER);
        return durably(() => set(user, other));
      },
    });
  return [
    routeTo('PUT', async (user, other) => {
      if (await block(user, other)) return noContent();
      onRefused('friends');
      return problem('too_many_friends', `other: ${user} may block at most ${maxFriends()}, so nothing was changed`);
    }),
    routeTo('DELETE', async (user, other) => {
      await unblock(user, other);
      return noContent();
    }),
  ];
}
