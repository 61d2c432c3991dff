/** Records of erased users: what replaces them, what they mean to a node, and that nothing brings the user back. */
import { describe, expect, it, vi } from 'vitest';
import { ClusterTimekeeper } from '../../../server/cluster/bridge/cluster-timekeeper.ts';
import { type Operation, type OperationAnswer, type Stored } from '../../../server/cluster/engine.ts';
import type { ClusterNode } from '../../../server/cluster/node.ts';
import type { OwnSession } from '../../../server/cluster/record/next-record.ts';
import {
  decodeRecord,
  encodeBody,
  encodeEntry,
  encodeErased,
  isErased,
  type Parts,
} from '../../../server/cluster/record/record.ts';
import { Replicas } from '../../../server/cluster/replicas.ts';
import { testPublisher } from '../../support/publisher.ts';

const NOW = 1_767_225_600_000;
const erasedBody = encodeErased(-1);
const session = {
  k: '1',
  a: 'ws-json',
  d: 'web',
  s: 'online',
  c: 1,
  x: '',
  S: 1,
  X: 0,
  i: 1,
  j: 0,
  b: 1,
  l: 25_000,
} as const;

const stored = (n: number, body: string, v = n): Stored => ({ n, v, op: `b.${n}`, t: n, body });
const online = (n: number, parts: Parts = { b: [session] }): Stored => {
  const hidden = new Map([['viewer', { since: null, lastSeen: null, v: n + 40 }]]);
  const shown = { status: 'online', code: 1, devices: ['web'], text: '', since: n, lastSeen: n, sign: null } as const;
  return stored(n, encodeBody(encodeEntry({ ...shown, origin: 'began ws-json b-1', hidden }), parts));
};

/** A node, and an engine with one record. */
function stage(record: Stored | undefined, sessions: readonly OwnSession[] = []) {
  const chain = { epoch: 1, clock: NOW + 500 };
  const done: Operation[] = [];
  let held = record;
  const change = (operation: Operation): Promise<OperationAnswer> => {
    if (operation.expect !== (held?.n ?? 0)) return Promise.resolve({ kind: 'moved', record: held });
    done.push(operation);
    const n = Math.max(NOW + 1000, operation.floor + 1);
    held = { n, v: operation.isShown ? n : 0, op: operation.op, t: n, body: operation.body };
    return Promise.resolve({ kind: 'ok', stamp: held, results: [] });
  };
  const read = () => Promise.resolve({ records: [held], clock: NOW + 7 });
  const reported: [status: string, v: number, isShown: boolean][] = [];
  const replicas = new Replicas(
    256,
    () => chain,
    (_, { entry }, v, isShown) => void reported.push([entry.status, v, isShown]),
    () => undefined,
  );
  replicas.resumeReports();
  const { publisher, onLost, onSettled } = testPublisher({ change, read }, replicas, sessions, NOW);
  const forget = (): void => void (held = undefined);
  return { publisher, replicas, chain, done, reported, onLost, onSettled, forget };
}

describe('the erasure of a record', () => {
  it('leaves nothing of the user, with a version above all that anybody was shown (C33, H38)', async () => {
    const { publisher, done } = stage(online(NOW));
    expect(await publisher.erase('u')).toBe(NOW + 1000);
    expect(done).toMatchObject([
      {
        expect: NOW,
        floor: NOW + 40,
        isShown: true,

        leaves: ['b'],
        body: erasedBody,
        pushed: erasedBody,
      },
    ]);
    const { entry, hidden, parts, ...rest } = decodeRecord(stored(NOW, erasedBody));
    expect(isErased({ entry, hidden, parts, ...rest })).toBe(true);
    expect([entry, hidden.size, parts]).toEqual([
      { status: 'offline', code: -1, devices: [], text: '', since: null, lastSeen: null },
      0,
      {},
    ]);
  });

  it('is done once, and not at all if there is no record', async () => {
    const { publisher, done } = stage(stored(NOW, erasedBody));
    expect(await publisher.erase('u')).toBe(NOW);
    expect(await stage(undefined).publisher.erase('u')).toBe(NOW + 7);
    expect(done).toEqual([]);
  });
});

describe('the record of an erased user', () => {
  it('ends the sessions of a node that knew the user before, once (C33)', () => {
    const { replicas, reported } = stage(undefined);
    const replica = replicas.acquire('u');
    replicas.receive(replica, online(NOW), 0);
    expect(replica.takeErasure()).toBe(false);
    replicas.receive(replica, stored(NOW + 50, erasedBody), 0);
    expect([replica.takeErasure(), replica.takeErasure()]).toEqual([true, false]);
    expect(reported).toEqual([
      ['online', NOW, true],
      ['offline', NOW + 50, true],
    ]);
    expect(replicas.versionOf(replica)).toBe(0);
  });

  it('ends no session of a user that returns to a node that knew nothing of it', async () => {
    const back = { ...session, statusAgeMs: 0, textAgeMs: null, startAgeMs: 0 };
    const { publisher, replicas, done } = stage(stored(NOW, erasedBody), [back]);
    const replica = replicas.acquire('u');
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(done).toHaveLength(1));
    expect(replica.takeErasure()).toBe(false);
    const record = decodeRecord(stored(NOW + 1000, done[0]!.body));
    expect([isErased(record), record.origin, record.entry.status]).toEqual([false, '', 'online']);
  });

  it('counts as read if it was deleted while the node was stopped, but not if the engine lost the record (C33)', () => {
    const { replicas, chain, reported } = stage(undefined);
    const replica = replicas.acquire('u');
    replicas.receive(replica, online(NOW), 0);
    replicas.replace(replica, undefined, 0);
    expect([replica.takeErasure(), replica.isLost, replicas.versionOf(replica)]).toEqual([true, false, 0]);
    expect(reported.at(-1)).toEqual(['offline', NOW + 500, true]);
    expect(replicas.erasedAt).toBe(NOW + 500);
    const other = replicas.acquire('other');
    replicas.receive(other, online(NOW), 0);
    chain.epoch = NOW + 1;
    replicas.replace(other, undefined, 0);
    expect([other.takeErasure(), other.isLost]).toEqual([false, true]);
  });

  it('is not written again if the engine has deleted it', async () => {
    const { publisher, replicas, done, onLost, onSettled, forget } = stage(stored(NOW, erasedBody));
    const replica = replicas.acquire('u');
    replicas.receive(replica, stored(NOW, erasedBody), 0);
    forget();
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(onSettled).toHaveBeenCalled());
    replicas.replace(replica, undefined, 0);
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(onSettled).toHaveBeenCalledTimes(2));
    expect([replica.isLost, done.length, onLost.mock.calls.length]).toEqual([false, 0, 0]);
  });
});

describe('a since', () => {
  const timekeeper = (seenAt: number, storedAt: number) => {
    const known = { replicas: { erasedAt: seenAt }, members: { erasedAt: storedAt } };
    return new ClusterTimekeeper(() => ({ at: NOW, buckets: { latestEpoch: 1 }, ...known }) as unknown as ClusterNode);
  };

  it('is answered in full if it is from before an erasure that this node or another one has seen (C33, H39)', () => {
    expect(timekeeper(NOW - 100, 0).canAnswer(NOW - 50)).toBe(true);
    expect(timekeeper(NOW - 100, 0).canAnswer(NOW - 101)).toBe(false);
    expect(timekeeper(0, NOW - 100).canAnswer(NOW - 101)).toBe(false);
    expect(timekeeper(0, 0).canAnswer(NOW - 86_400_000)).toBe(true);
  });

  it('is known from operations on users that nobody here watches', () => {
    const { replicas } = stage(undefined);
    replicas.noteErasure(online(NOW));
    expect(replicas.erasedAt).toBe(0);
    replicas.noteErasure(stored(NOW, encodeBody(JSON.stringify({ x: '"o":"erased"' }), {})));
    expect(replicas.erasedAt).toBe(0);
    replicas.noteErasure(stored(NOW, erasedBody));
    expect(replicas.erasedAt).toBe(NOW);
  });
});
