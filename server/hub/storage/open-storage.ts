/**
 * Opens the storage of this hub, and repeats small work that failed. The only part of the hub that knows which storage
 * it is. The store and the roster know how to keep data.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { QuietLog } from '../../lib/log/quiet-log.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import { CEILING_AHEAD_MS, VersionClock } from '../../presence/version-clock.ts';
import type { Roster, StoredRoster } from '../../roster/port.ts';
import type { RemoteLists } from '../../roster/remote.ts';
import { SqliteRoster } from '../../storage/sqlite/sqlite-roster.ts';
import {
  DataInUseError,
  explainStorage,
  MEMORY,
  openDatabase,
  type OpenedDatabase,
} from '../../storage/sqlite/database.ts';
import type { Store } from '../../storage/port.ts';
import type { HistoryStore } from '../../history/port.ts';
import { Scrubber } from '../../storage/sqlite/scrub.ts';
import { SqliteHistory } from '../../storage/sqlite/sqlite-history.ts';
import { SqliteStore } from '../../storage/sqlite/sqlite-store.ts';
import { SqliteWebhookQueue } from '../../storage/sqlite/sqlite-webhook-queue.ts';
import { WalWatch } from '../../storage/sqlite/wal-watch.ts';
import { UnfinishedErasures } from '../../storage/unfinished-erasures.ts';
import type { WebhookQueue } from '../../webhooks/queue.ts';
import type { HubContext } from '../context.ts';
import { StorageHealth } from './health.ts';
import { openRemoteLists } from './remote-lists.ts';
import { openSharedStorage, type SharedStorage } from './shared-storage.ts';

export interface Storage {
  readonly store: Store;
  readonly roster: Roster;
  /** The roster of HUB_DATA; null if friend lists are stored elsewhere. */
  readonly storedRoster: StoredRoster | null;
  /** Friend lists that are stored elsewhere; null if they are in HUB_DATA. */
  readonly remoteLists: RemoteLists | null;
  /** The hub clock, which issues the versions of entries. */
  readonly versions: VersionClock;
  readonly webhookQueue: WebhookQueue;
  readonly historyStore: HistoryStore;
  /** What the hubs of a cluster keep together; null if nothing. */
  readonly shared: SharedStorage | null;
  readonly scrubber: Pick<Scrubber, 'scrub'>;
  readonly unfinished: UnfinishedErasures;
  readonly health: StorageHealth;
  /** Whether what is stored outlives the process. */
  readonly isDurable: boolean;
}

/** How long a start waits for a previous hub to release HUB_DATA, and how often it checks. */
const IN_USE_FOR_MS = 15_000;
const IN_USE_LOOK_EVERY_MS = 100;

/** @throws {StorageError} if HUB_DATA cannot be used; {DataInUseError} if another hub uses it, or on an interrupt. */
export async function openStorage(context: HubContext): Promise<Storage> {
  const { config, log, onStop } = context;
  const database = await openWhenFree(context);
  const scrubber = new Scrubber(database);
  onStop(() => scrubber.close()); // after the database
  onStop(() => {
    database.close();
  });
  scrubber.emptyLog(); // in case a crash interrupted an erasure
  watchWal(context, database);
  const health = new StorageHealth(log);
  const store = new SqliteStore(database, CEILING_AHEAD_MS, nameCorrupt(context));
  const remoteLists = await openRemoteLists(context);
  const shared = await openSharedStorage(context);
  const storedRoster = remoteLists === null ? openRoster(database, config.data) : null;
  const versions = new VersionClock(store.state.clockFloor, (ceiling) =>
    health.attempt('versions', () => {
      store.raiseCeiling(ceiling);
    }),
  );
  const webhookQueue = new SqliteWebhookQueue(database, config.webhookMax);
  const historyStore = new SqliteHistory(database, config.historyPerDay);
  const isDurable = config.data !== MEMORY;
  const lists = { roster: remoteLists?.roster ?? (storedRoster as StoredRoster), storedRoster, remoteLists };
  const unfinished = new UnfinishedErasures(isDurable ? config.data : undefined);
  return { ...lists, store, versions, webhookQueue, historyStore, shared, scrubber, unfinished, health, isDurable };
}

async function openWhenFree({ config, clock, log, interrupted }: HubContext): Promise<OpenedDatabase> {
  const giveUpAt = performance.now() + IN_USE_FOR_MS;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return openDatabase(config.data, { sync: config.sqliteSync, wallMs: clock.now().wallMs });
    } catch (error) {
      const mustWait = error instanceof DataInUseError && !interrupted.aborted && performance.now() < giveUpAt;
      if (!mustWait) throw error;
      if (isFirst)
        log.warn(`HUB_DATA=${config.data} is in use by another hub: waiting ${IN_USE_FOR_MS / 1000} s for its end`);
      await delay(IN_USE_LOOK_EVERY_MS);
    }
  }
}

function watchWal({ log, onStop }: HubContext, { db, file }: OpenedDatabase): void {
  if (file === MEMORY) return;
  const watch = new WalWatch({
    db,
    file,
    onGrown: (bytes, cause) => {
      log.warn(
        { file: `${file}-wal`, bytes },
        cause === 'held'
          ? 'the write-ahead log grows because another program keeps reading hub.sqlite: close that program'
          : 'the write-ahead log grows because it cannot be copied into hub.sqlite: check the disk',
      );
    },
  });
  onStop(() => watch.stop());
}

/** Opens the roster, and completes an edit that the previous run had stored only in part. */
function openRoster(database: OpenedDatabase, path: string): StoredRoster {
  const roster = new SqliteRoster(database);
  try {
    roster.complete();
    return roster;
  } catch (error) {
    throw explainStorage(path, error);
  }
}

/** Corrupt rows that are logged individually before only their number is. */
const NAMED_AT_ONCE = 10;

/**
 * Logs the first corrupt rows individually, and later ones at most once a second, because the same row may be read
 * often.
 */
function nameCorrupt({ log, clock }: HubContext): (row: string) => void {
  const quiet = new QuietLog(clock);
  let named = 0;
  return (row) => {
    const report = (leftOut: number): void => {
      log.error({ row, leftOut }, 'a corrupt stored row was skipped: the next change overwrites it');
    };
    if (named++ < NAMED_AT_ONCE) report(0);
    else quiet.maybe(report);
  };
}

/** Turns an error of storage during the start into a sentence for the operator. Returns any other error unchanged. */
export function explainStart(data: string, error: unknown): unknown {
  return error instanceof StorageUnavailable ? explainStorage(data, error) : error;
}

/** Any id serves to test whether the store can be read. */
const RETRIED_USER = '42';

/** How often failed storage work is repeated, in addition to requests that happen to use it. */
const RETRY_EVERY_MS = 1000;

/** Repeats failed storage work periodically, so that a recovery is noticed. `since`: see `keepSureUntil`. */
export function startRetryingStorage(context: HubContext, storage: Storage, sureUntil: () => number | null): void {
  const { store, versions, health } = storage;
  const timer = setInterval(() => {
    if (health.isFailing('recall')) health.attempt('recall', () => store.recall(RETRIED_USER));
    if (health.isFailing('versions')) versions.now(context.clock.now().wallMs);
    if (health.isFailing('sureness')) keepSureUntil(storage, sureUntil());
  }, RETRY_EVERY_MS);
  context.onStop(() => {
    clearInterval(timer);
  });
}

/** Stores up to which moment this run is sure of what it shows; null: it is sure of everything. */
export function keepSureUntil({ store, health }: Storage, at: number | null): void {
  health.attempt('sureness', () => {
    store.setSureUntil(at);
  });
}
