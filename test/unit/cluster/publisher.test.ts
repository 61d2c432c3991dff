/** What the publisher writes if the engine has lost a record, and what it knows of its operations in flight. */
import { describe, expect, it, vi } from 'vitest';
import type { Operation, OperationAnswer } from '../../../server/cluster/engine.ts';
import type { OwnSession } from '../../../server/cluster/record/next-record.ts';
import { encodeBody, encodeEntry } from '../../../server/cluster/record/record.ts';
import { Replicas } from '../../../server/cluster/replicas.ts';
import { testPublisher } from '../../support/publisher.ts';

const NOW = 1_767_225_600_000;
const entryText = (status: 'online' | 'offline'): string =>
  encodeEntry({
    ...{ status, code: status === 'online' ? 1 : -1, devices: [], text: '', since: null, lastSeen: null },
    ...{ sign: null, origin: '', hidden: new Map() },
  });

/** A node that holds the record of `u`, of which another node has the sessions, and an engine without any record. */
function stage(status: 'online' | 'offline', v: number) {
  const done: Operation[] = [];
  const heard: string[] = [];
  const change = (operation: Operation): Promise<OperationAnswer> => {
    if (operation.expect !== 0) return Promise.resolve({ kind: 'moved', record: undefined });
    done.push(operation);
    heard.push(publisher.whole({ n: NOW + 9, v: 0, op: operation.op, t: NOW, body: operation.pushed }).body);
    return Promise.resolve({ kind: 'ok', stamp: { n: NOW + 9, v: NOW + 9, op: operation.op, t: NOW }, results: [] });
  };
  const engine = { change, read: () => Promise.resolve({ records: [undefined] }) };
  const replicas = new Replicas(
    256,
    () => ({ epoch: NOW + 1, clock: NOW + 5 }),
    () => undefined,
    () => undefined,
  );
  replicas.resumeReports();
  const replica = replicas.acquire('u');
  const stored = { n: NOW, v, op: 'b.1', t: NOW, body: encodeBody(entryText(status), {}) };
  replicas.receive(replica, stored, 0);
  const session = { k: '1', a: 'ws-json', d: 'web', s: 'invisible', c: -1, x: '', i: 1, j: 0, l: 25_000 } as const;
  const sessions: OwnSession[] = [{ ...session, statusAgeMs: 0, textAgeMs: null, startAgeMs: 0 }];
  const { publisher, onLost } = testPublisher(engine, replicas, sessions, NOW);
  return { publisher, replicas, replica, done, heard, onLost };
}

describe('a record that the engine has lost', () => {
  it('is not written before the other nodes have had time to write their sessions again (C14)', async () => {
    const { publisher, done, onLost } = stage('online', NOW);
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(onLost).toHaveBeenCalled());
    expect(done).toEqual([]);
  });

  it('is written with a new version once that is known', async () => {
    const { publisher, replicas, replica, done } = stage('online', NOW);
    replicas.replace(replica, undefined, 0);
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(done).toMatchObject([{ isShown: true }]));
  });

  it('gives no version to a user that was never seen (I16)', async () => {
    const { publisher, replicas, replica, done } = stage('offline', 0);
    replicas.replace(replica, undefined, 0);
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(done).toMatchObject([{ isShown: false }]));
  });
});

describe('an operation in flight', () => {
  it('is read with its sessions if its message arrives before its answer, so that an invisible user stays invisible (W33)', async () => {
    const { publisher, replicas, replica, done, heard } = stage('offline', 0);
    replicas.replace(replica, undefined, 0);
    publisher.scheduleWrite('u');
    await vi.waitFor(() => expect(done).toHaveLength(1));
    expect(done[0]!.pushed).not.toContain('invisible');
    expect(heard).toEqual([done[0]!.body]);
  });
});
