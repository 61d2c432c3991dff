/** How long a hub keeps the records of users that it was only asked for. */
import { beforeEach, expect, it } from 'vitest';
import { ClusterPeers } from '../../../server/cluster/bridge/cluster-peers.ts';
import type { ClusterNode } from '../../../server/cluster/node.ts';
import { Replicas } from '../../../server/cluster/replicas.ts';

let nowMs: number;
let state: 'up' | 'away';
let replicas: Replicas;
let peers: ClusterPeers;
beforeEach(() => {
  nowMs = 0;
  state = 'up';
  replicas = new Replicas(
    1,
    () => ({ epoch: 0, clock: 0 }),
    () => undefined,
    () => undefined,
  );
  const node = {
    get state() {
      return state;
    },
    replicas,
    buckets: { load: () => Promise.resolve() },
    publisher: { isWriting: () => false },
    load: (users: readonly string[]) => void users.map((user) => replicas.acquire(user)),
  };
  peers = new ClusterPeers({
    node: node as unknown as ClusterNode,
    findUser: () => undefined,
    nowMs: () => nowMs,
    onLate: () => undefined,
    scheduleWrite: () => undefined,
    writeNow: () => undefined,
    calls: { on: () => undefined, call: () => Promise.resolve(new Map()) },
    leaveHere: () => undefined,
  });
});

function tickAt(ms: number): void {
  nowMs = ms;
  peers.tick();
}

it('a user that is read once is dropped after a while', async () => {
  await peers.refresh(['42']);
  tickAt(5001);
  expect(replicas.get('42')).toBeUndefined();
});

it('a user that is read again is kept until its answer is certainly sent', async () => {
  await peers.refresh(['42']);
  nowMs = 4999;
  await peers.refresh(['42']);
  tickAt(5001);
  expect(replicas.get('42')).toBeDefined();
});

it('a watch that waited long for the store leaves nothing behind if its client disconnects meanwhile', async () => {
  state = 'away';
  const loaded = peers.load(['42']);
  tickAt(6000);
  state = 'up';
  tickAt(7000);
  await loaded;
  expect(replicas.get('42')).toBeDefined();
  tickAt(12_001);
  expect(replicas.get('42')).toBeUndefined();
});
