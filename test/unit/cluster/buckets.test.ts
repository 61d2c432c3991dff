/** What a node hears of its buckets while it reads. */
import { expect, it } from 'vitest';
import { bucketOf } from '../../../server/cluster/bucket.ts';
import { noEvents } from '../../../server/cluster/node-events.ts';
import { Buckets } from '../../../server/cluster/buckets.ts';
import type { BucketRead, Engine } from '../../../server/cluster/engine.ts';
import { Replicas } from '../../../server/cluster/replicas.ts';

const BODY = '{"s":"busy","c":0,"d":[],"x":"","t":null,"l":null,"g":null}\t{}';

it('a change that arrives during the first read of its record is not undone by the older answer', async () => {
  let answer: (read: BucketRead) => void = () => undefined;
  const read = new Promise<BucketRead>((resolve) => (answer = resolve));
  const replicas = new Replicas(
    1,
    () => ({ epoch: 0, clock: 0 }),
    () => undefined,
    () => undefined,
  );
  const buckets = new Buckets({
    engine: { read: () => read } as unknown as Engine,
    count: 1,
    now: () => 0,
    random: () => 0,
    replicas: () => replicas,
    onReceived: (replica, stored) => replicas.receive(replica, stored, 0),
    host: { onOperation: () => undefined, onDeadSubscription: () => undefined },
    onRead: () => undefined,
    onFork: () => undefined,
    renew: () => Promise.resolve(),
    events: noEvents,
    isUp: () => true,
  });
  const replica = replicas.acquire('42');
  const loaded = buckets.load([replica]);
  buckets.receive(bucketOf('42', 1), `42\t9 9 hub.1 9\t-\t${BODY}`);
  answer({ last: '-', clock: 0, epoch: 0, records: [undefined] });
  await loaded;
  expect(replica.record?.entry.status).toBe('busy');
});
