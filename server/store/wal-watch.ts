/**
 * Keeps hub.sqlite-wal small. SQLite cannot reuse that file while another program reads hub.sqlite (a backup, an open
 * shell), and never makes it smaller by itself. If it has grown large, this takes the copying away from the hub's own
 * connection: a thread does it, so that the event loop does not stand still for the megabytes of a whole night.
 */
import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { driverModule, isSqlError, type SqlDatabase } from '../lib/sqlite.ts';

const LOOK_EVERY_MS = 5000;
const LARGE_BYTES = 16 * 1024 * 1024;
const WARN_BYTES = 32 * 1024 * 1024;
/** SQLite's own default. */
const PAGES_BEFORE_CHECKPOINT = 1000;

/**
 * First copies without any lock that a writer would wait for. Only if no reader has kept it from copying all, truncates the
 * file, which is quick then.
 */
const CHECKPOINT = `
  const { workerData } = require('node:worker_threads');
  const { DatabaseSync } = require(workerData.driver);
  const db = new DatabaseSync(workerData.file);
  db.exec('PRAGMA busy_timeout = 0');
  const { log, checkpointed } = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
  if (log === checkpointed) db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
  db.close();`;

interface WalWatchOptions {
  readonly db: SqlDatabase;
  /** The database's file; its log stands beside it. */
  readonly file: string;
  /** It has grown beyond 32 MiB. Called once until it is small again. */
  readonly onGrown: (bytes: number) => void;
  readonly lookEveryMs?: number;
}

export class WalWatch {
  readonly #options: WalWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #checkpoint: Promise<void> | undefined;
  #isLarge = false;
  #hasWarned = false;

  constructor(options: WalWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.lookEveryMs ?? LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#checkpoint;
  }

  #look(): void {
    const { file, onGrown } = this.#options;
    const bytes = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    this.#setLarge(bytes > LARGE_BYTES);
    if (!this.#isLarge) return;
    if (bytes > WARN_BYTES && !this.#hasWarned) {
      this.#hasWarned = true;
      onGrown(bytes);
    }
    this.#checkpoint ??= this.#runCheckpoint();
  }

  #setLarge(isLarge: boolean): void {
    if (isLarge === this.#isLarge) return;
    try {
      this.#options.db.exec(`PRAGMA wal_autocheckpoint = ${isLarge ? 0 : PAGES_BEFORE_CHECKPOINT}`);
    } catch (error) {
      // Storage that fails is reported by those who need it.
      if (!isSqlError(error)) throw error;
      return;
    }
    this.#isLarge = isLarge;
    if (!isLarge) this.#hasWarned = false;
  }

  #runCheckpoint(): Promise<void> {
    return new Promise((resolve) => {
      const workerData = { driver: driverModule, file: this.#options.file };
      const worker = new Worker(CHECKPOINT, { eval: true, workerData });
      // Locked or full: the next look tries again.
      worker.on('error', () => undefined);
      worker.on('exit', () => {
        this.#checkpoint = undefined;
        resolve();
      });
    });
  }
}
