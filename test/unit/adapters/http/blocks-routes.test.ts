/** What setting and lifting a block costs its caller. The rest of these routes is tested through real sockets. */
import { expect, it } from 'vitest';
import { blocksRoutes } from '../../../../server/adapters/http/routes/blocks-routes.ts';
import { everyone, viewerOf } from '../../../../server/auth/identity.ts';

it.each(['PUT', 'DELETE'])(
  'a %s counts the watchers of the user, because each of them is looked at',
  async (method) => {
    const charged: number[] = [];
    const routes = blocksRoutes({
      block: async () => true,
      unblock: async () => undefined,
      watchersOf: (user) => (user === 'star' ? 8000 : 0),
      maxFriends: () => 10,
      onRefused: () => undefined,
    });
    const route = routes.find((one) => one.method === method);
    if (route?.access !== 'judged') throw new Error('a block asks who may set it');
    for (const user of ['star', 'other']) {
      const judgement = await route.judge({
        request: { method, path: '/', query: '', headers: new Map(), remoteAddress: '192.0.2.1', body: '' },
        params: { user, other: 'eve' },
        query: new URLSearchParams(),
        identity: everyone,
        viewer: viewerOf(everyone),
        chargeFor: (users) => charged.push(users),
      });
      if (judgement.kind !== 'granted') throw new Error('everyone may');
      expect((await judgement.answer()).status).toBe(204);
    }
    expect(charged).toEqual([1000, 0]);
  },
);
