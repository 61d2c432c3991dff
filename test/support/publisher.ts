/** A publisher for unit tests, with an engine and replicas of the test. Its node is called `a` and can always write. */
import { vi } from 'vitest';
import { Chain } from '../../server/cluster/chain.ts';
import type { Engine } from '../../server/cluster/engine.ts';
import { Publisher } from '../../server/cluster/publisher.ts';
import type { OwnSession } from '../../server/cluster/record/next-record.ts';
import type { Replicas } from '../../server/cluster/replicas.ts';
import { offlineFold } from '../../server/presence/fold.ts';

export function testPublisher(
  engine: { readonly change: Engine['change']; readonly read: () => Promise<unknown> },
  replicas: Replicas,
  /** Sessions of the user on this node. */
  sessions: readonly OwnSession[],
  /** The bucket's clock. */
  clock: number,
) {
  const onLost = vi.fn();
  const onSettled = vi.fn();
  const publisher = new Publisher({
    engine: engine as unknown as Engine,
    replicas,
    chainOf: () => new Chain(),
    buckets: 256,
    now: () => 0,
    inc: () => 'a',
    ownOf: () => ({
      ...{ inc: 'a', former: [], sessions, signAgeMs: null, changeAgeMs: 0, goodbyes: [], origin: '' },
      blocks: new Map<string, boolean>(),
    }),
    contextOf: (user) => ({
      user,
      offline: offlineFold(-1),
      clock,
      liveness: { hasEnded: () => false, silentMs: () => 0, isOver: () => false },
      keepsAll: false,
    }),
    events: { stepsOf: () => [], applied: () => undefined },
    host: { onWritten: () => undefined },
    onFenced: () => undefined,
    onLost,
    onSettled,
  });
  return { publisher, onLost, onSettled };
}
