/**
 * Keeps hub.sqlite-wal small. SQLite cannot reuse that file while another program reads hub.sqlite (a backup, an open
 * shell), and never shrinks it automatically. If the file has grown large, a thread does the copying instead of the
 * hub's own connection, so that the megabytes of a whole night do not block the event loop.
 */
import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { driverModule, isSqlError, openSqlite, troubleOf, type SqlDatabase } from './sqlite.ts';

const LOOK_EVERY_MS = 5000;
const LARGE_BYTES = 8 * 1024 * 1024;
const WARN_BYTES = 32_000_000;
/** The number of pages that SQLite copies at once by default. */
const PAGES_BEFORE_CHECKPOINT = 1000;
/** If writes are faster than copying, more rounds would not help. */
const MAX_ROUNDS = 5;

/** Why the file stays large: a reader holds it, or copying fails. */
export type GrowthCause = 'held' | 'failed';

/** How copying ended. `busy`: another program is copying, or has the file locked. The next check tries again. */
type Outcome = 'copied' | 'busy' | GrowthCause;

/** Copies without any lock that a writer would wait for, until little is left or a reader blocks it. */
const COPY = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { driver, file, maxRounds, fewPages } = workerData;
  const { DatabaseSync } = require(driver);
  const copy = (db) => {
    const checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    for (let round = 0, before = -1; round < maxRounds; round++) {
      const { busy, log, checkpointed } = checkpoint.get();
      if (busy !== 0) return 'busy';
      if (log - checkpointed <= fewPages) break;
      if (checkpointed === before) return 'held';
      before = checkpointed;
    }
    return 'copied';
  };
  let db;
  try {
    db = new DatabaseSync(file);
    parentPort.postMessage(copy(db));
  } catch (error) {
    parentPort.postMessage((error.errcode & 0xff) === 5 ? 'busy' : 'failed');
  } finally {
    db?.close();
  }`;

interface WalWatchOptions {
  readonly db: SqlDatabase;
  /** The path of the database file; its log is beside it. */
  readonly file: string;
  /** Reports that the file is beyond 32 MB and cannot shrink now. Called once until the file is small again. */
  readonly onGrown: (bytes: number, cause: GrowthCause) => void;
  readonly lookEveryMs?: number;
}

export class WalWatch {
  readonly #options: WalWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #copying: Promise<void> | undefined;
  #isLarge = false;
  #hasWarned = false;

  constructor(options: WalWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.lookEveryMs ?? LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#copying;
  }

  get #bytes(): number {
    return statSync(`${this.#options.file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  #look(): void {
    this.#setLarge(this.#bytes > LARGE_BYTES);
    if (this.#isLarge) this.#copying ??= this.#copy();
  }

  /** Sets whether the hub's own connection copies at its commits, which it does only while the file is small. */
  #setLarge(isLarge: boolean): void {
    if (isLarge === this.#isLarge) return;
    try {
      this.#options.db.exec(`PRAGMA wal_autocheckpoint = ${isLarge ? 0 : PAGES_BEFORE_CHECKPOINT}`);
    } catch (error) {
      // Modules that need storage report its failure.
      if (!isSqlError(error)) throw error;
      return;
    }
    this.#isLarge = isLarge;
    if (!isLarge) this.#hasWarned = false;
  }

  async #copy(): Promise<void> {
    const outcome = await this.#copyInThread();
    this.#copying = undefined;
    if (outcome === 'copied') this.#truncate();
    else if (outcome !== 'busy') this.#warn(outcome);
  }

  #copyInThread(): Promise<Outcome> {
    return new Promise((resolve) => {
      const { file } = this.#options;
      const limits = { maxRounds: MAX_ROUNDS, fewPages: PAGES_BEFORE_CHECKPOINT };
      const worker = new Worker(COPY, { eval: true, workerData: { driver: driverModule, file, ...limits } });
      let outcome: Outcome = 'failed';
      worker.on('message', (message: Outcome) => (outcome = message));
      worker.on('error', () => undefined);
      worker.on('exit', () => {
        resolve(outcome);
      });
    });
  }

  /**
   * Copies the small rest and truncates the file. This runs in the hub's own thread, because in another thread its lock
   * would make the hub's writes fail. It has a separate connection that does not wait for readers.
   */
  #truncate(): void {
    try {
      const db = openSqlite(this.#options.file);
      try {
        db.exec('PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)');
      } finally {
        db.close();
      }
    } catch (error) {
      if (!isSqlError(error)) throw error;
      if (troubleOf(error) !== 'busy') this.#warn('failed');
    }
    this.#setLarge(this.#bytes > LARGE_BYTES);
  }

  #warn(cause: GrowthCause): void {
    const bytes = this.#bytes;
    if (this.#hasWarned || bytes <= WARN_BYTES) return;
    this.#hasWarned = true;
    this.#options.onGrown(bytes, cause);
  }
}
