/** Builds the erasure of users, on a single hub and in a cluster. */
import { unblock } from '../../actions/block.ts';
import { eraseData, type EraseDataOptions } from '../../actions/erase-data.ts';
import { eraseHere, eraseInCluster } from '../../actions/erase-in-cluster.ts';
import { EraseUser, type EraseOptions } from '../../actions/erase-user.ts';
import { Confirmation, CONFIRMED_WITHIN_MS } from '../../cluster/bridge/confirmation.ts';
import type { ClusterBlocks } from '../../cluster/bridge/cluster-blocks.ts';
import { bucketOf, BUCKETS } from '../../cluster/bucket.ts';
import { isErased } from '../../cluster/record/record.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { ListEdits } from '../../roster/port.ts';
import type { ClusterParts } from '../cluster.ts';
import type { HubContext } from '../context.ts';
import type { HistoryParts } from '../history.ts';
import type { Storage } from './open-storage.ts';

export interface ErasureParts extends Omit<EraseDataOptions, 'forgetHistory' | 'clock' | 'unblock' | 'edits'> {
  readonly edits: ListEdits;
  readonly storage: Storage;
  readonly historyParts: HistoryParts | null;
  readonly clusterParts: ClusterParts | null;
  readonly clusterBlocks: ClusterBlocks | undefined;
  readonly blocks: Parameters<typeof unblock>[0];
}

export interface Erasure {
  /** Null in a cluster that keeps blocks in Redis alone: nobody can find those that others have set. */
  readonly erase: ((user: string) => Promise<boolean>) | null;
  /** Deletes what this hub holds of a user whose record is erased. */
  readonly onErased: (user: string, n: number) => void;
}

export function buildErasure(context: HubContext, parts: ErasureParts): Erasure {
  const { clusterParts, blocks, historyParts } = parts;
  if (clusterParts !== null) return buildInCluster(context, parts, clusterParts);
  const options: EraseDataOptions = {
    ...parts,
    clock: context.clock,
    forgetHistory: (user) => void historyParts?.forget(user, Infinity),
    unblock: (user, other) => unblock(blocks, user, other),
  };
  const erasure = buildEraseUser(context, parts, (user) => eraseData(options, user));
  return { erase: (user) => erasure.erase(user), onErased: () => undefined };
}

function buildInCluster(context: HubContext, parts: ErasureParts, clusterParts: ClusterParts): Erasure {
  const { cluster, calls, eventStore } = clusterParts;
  const { storage, edits, clusterBlocks } = parts;
  const { node } = cluster;
  const { shared } = storage;
  const here = eraserOfThisHub(context, parts, clusterParts);
  const onErased = (user: string, n: number): void => void here(user, n).catch(() => undefined); // it is asked for again
  const nowMs = (): number => performance.now();
  const confirmation = new Confirmation({ node, calls, nowMs, kind: 'erased', apply: here });
  if (shared === null) return { erase: null, onErased };
  const erasure = buildEraseUser(context, parts, (user) =>
    eraseInCluster(
      {
        sharedEdits: storage.storedRoster === null ? edits : null,
        eraseRecord: (id) => answered(node.publisher.erase(id)),
        confirmed: (id, n) => confirmation.ofAll(id, n, nowMs() + CONFIRMED_WITHIN_MS),
        forgetRecord: (id, n) => answered(node.publisher.forget(id, n)),
        eraseEvents: (id) => answered(eraseEvents(eventStore, id)),
        blockersAfter: (viewer, after) => shared.users.blockersAfter(viewer, after),
        unblock: (id, other) => clusterBlocks?.unblock(id, other) ?? Promise.resolve(),
      },
      user,
    ),
  );
  return { erase: (user) => erasure.erase(user), onErased };
}

/** Deletes what this hub holds of a user. A user is erased once at a time. */
function eraserOfThisHub(
  { clock }: HubContext,
  parts: ErasureParts,
  { cluster, keeper }: ClusterParts,
): (user: string, n: number) => Promise<void> {
  const { storage, edits, historyParts } = parts;
  const options = {
    ...parts,
    ownEdits: storage.storedRoster === null ? null : edits,
    now: () => storage.versions.now(clock.now().wallMs),
    scrub: (user: string) => storage.scrubber.scrub(user),
    hasReturned: (user: string) => {
      const { record } = cluster.node.replicas.get(user) ?? {};
      return record !== undefined && !isErased(record);
    },
    eraseKept: async (user: string, n: number) => {
      await keeper?.forget(user, n);
      await historyParts?.forget(user, n);
      await storage.shared?.erase(user, n);
    },
  };
  const running = new Map<string, Promise<void>>();
  return (user, n) => {
    const before = running.get(user) ?? Promise.resolve();
    const erased = before.catch(() => undefined).then(() => eraseHere(options, user, n));
    running.set(user, erased);
    const done = (): void => {
      if (running.get(user) === erased) running.delete(user);
    };
    void erased.then(done, done);
    return erased;
  };
}

function buildEraseUser(
  { onStop }: HubContext,
  { storage }: Pick<ErasureParts, 'storage'>,
  erase: EraseOptions['eraseData'],
): EraseUser {
  const { scrubber, unfinished, health } = storage;
  const onHealth = (error: unknown): void => health.report('erasures', error);
  const erasure = new EraseUser({ eraseData: erase, unfinished, scrub: (user) => scrubber.scrub(user), onHealth });
  onStop(() => erasure.stop());
  erasure.start();
  return erasure;
}

async function eraseEvents(store: ClusterParts['eventStore'], user: string): Promise<void> {
  for (const rule of await store.rules()) await store.eraseUser(user, bucketOf(user, BUCKETS), rule);
}

/** The answer of Redis. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new StorageUnavailable('cannot be reached', error instanceof Error ? error : new Error(String(error)));
  }
}
