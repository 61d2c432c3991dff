/**
 * Copies hub.sqlite-wal into hub.sqlite, and keeps it small. A thread does this instead of the hub's own connection,
 * because the event loop would wait for the disk: up to 90 ms at a commit on a busy disk, measured. SQLite cannot reuse
 * the log while another program reads hub.sqlite (a backup, an open shell), and never shrinks it automatically.
 */
import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { driverModule, isSqlError, openSqlite, troubleOf, type SqlDatabase } from './sqlite.ts';

const LOOK_EVERY_MS = 1000;
const LARGE_BYTES = 8 * 1024 * 1024;
const WARN_BYTES = 32_000_000;
/** What the event loop may copy itself: about 2 ms. */
const FEW_PAGES = 200;
/** If writes are faster than copying, more rounds would not help. */
const MAX_ROUNDS = 5;

/** Why the file stays large: a reader holds it, or copying fails. */
export type GrowthCause = 'held' | 'failed';

/** How copying ended. `busy`: another program is copying, or has the file locked. The next check tries again. */
type Outcome = 'copied' | 'busy' | GrowthCause;

/**
 * On each message, copies without any lock that a writer would wait for, until little is left or a reader blocks it, and
 * answers with the outcome.
 */
const COPIER = `
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
  parentPort.on('message', () => {
    let db;
    let outcome;
    try {
      db = new DatabaseSync(file);
      outcome = copy(db);
    } catch (error) {
      outcome = (error.errcode & 0xff) === 5 ? 'busy' : 'failed';
    } finally {
      db?.close();
    }
    parentPort.postMessage(outcome);
  });`;

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
  /** The thread, once the file was large. */
  #copier: Worker | undefined;
  #copying: Promise<void> | undefined;
  /** Completes the copying. */
  #settle: ((outcome: Outcome) => void) | undefined;
  #hasWarned = false;

  /** From now on, the connection `db` does not copy at its commits. */
  constructor(options: WalWatchOptions) {
    this.#options = options;
    options.db.exec('PRAGMA wal_autocheckpoint = 0');
    this.#timer = setInterval(() => this.#look(), options.lookEveryMs ?? LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#copying;
    await this.#copier?.terminate();
  }

  get #bytes(): number {
    return statSync(`${this.#options.file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  #look(): void {
    if (this.#bytes > LARGE_BYTES) this.#copying ??= this.#copy();
    else this.#hasWarned = false;
  }

  async #copy(): Promise<void> {
    const outcome = await this.#copyInThread();
    this.#copying = undefined;
    if (outcome === 'copied') this.#truncate();
    else if (outcome !== 'busy') this.#warn(outcome);
  }

  #copyInThread(): Promise<Outcome> {
    this.#copier ??= this.#startCopier();
    this.#copier.postMessage('copy');
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  #startCopier(): Worker {
    const limits = { maxRounds: MAX_ROUNDS, fewPages: FEW_PAGES };
    const workerData = { driver: driverModule, file: this.#options.file, ...limits };
    const copier = new Worker(COPIER, { eval: true, workerData });
    copier.on('message', (outcome: Outcome) => this.#settle?.(outcome));
    copier.on('error', () => undefined);
    copier.on('exit', () => {
      this.#copier = undefined;
      this.#settle?.('failed');
    });
    return copier;
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
  }

  #warn(cause: GrowthCause): void {
    const bytes = this.#bytes;
    if (this.#hasWarned || bytes <= WARN_BYTES) return;
    this.#hasWarned = true;
    this.#options.onGrown(bytes, cause);
  }
}
