/**
 * SQLite with the driver that this Node.js has: its own `node:sqlite` (22.13 and later), or else the package with the
 * same API. Responsible for choosing the driver, for all-or-nothing transactions, and for classifying errors. Must not
 * know the hub's tables and paths. No other module may load a driver.
 */
import { createRequire } from 'node:module';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';

export type SqlValue = string | number | null;

/** A prepared statement. `Row` is the caller's claim about what its SELECT returns. */
export interface SqlStatement<Row> {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
}

export interface SqlDatabase {
  exec(sql: string): void;
  prepare<Row>(sql: string): SqlStatement<Row>;
  close(): void;
}

interface Driver {
  readonly DatabaseSync: new (file: string) => SqlDatabase;
}

const PACKAGE = '@photostructure/sqlite';
const require = createRequire(import.meta.url);
const builtIn = builtInDriver();
const driver = builtIn ?? (require(PACKAGE) as Driver);

/** The module that a worker thread loads to have the same driver. */
export const driverModule = builtIn === undefined ? require.resolve(PACKAGE) : 'node:sqlite';

/** Opens a database file, which is created if it is missing, or `:memory:`. */
export function openSqlite(file: string): SqlDatabase {
  return new driver.DatabaseSync(file);
}

/**
 * Returns a database whose writes wait up to `waitMs` for the lock of another program, but only once, because the wait
 * blocks the loop. While the lock lasts, further writes fail at once. After a write succeeds, writes wait again. Its
 * errors of SQLite are `StorageUnavailable`.
 */
export function waitOnce(db: SqlDatabase, waitMs: number): SqlDatabase {
  let isLocked = false;
  const setLocked = (locked: boolean): void => {
    isLocked = locked;
    db.exec(`PRAGMA busy_timeout = ${locked ? 0 : waitMs}`);
  };
  const write = <T>(work: () => T): T => {
    try {
      const result = work();
      if (isLocked) setLocked(false);
      return result;
    } catch (error) {
      if (!isLocked && troubleOf(error) === 'busy') setLocked(true);
      throw unavailable(error);
    }
  };
  // With a write-ahead log, a read never waits, so it says nothing about locks.
  const read = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw unavailable(error);
    }
  };
  setLocked(false);
  return {
    exec: (sql) => {
      write(() => {
        db.exec(sql);
      });
    },
    prepare: <Row>(sql: string): SqlStatement<Row> => {
      const statement = read(() => db.prepare<Row>(sql));
      return {
        run: (...values) => write(() => statement.run(...values)),
        get: (...values) => read(() => statement.get(...values)),
        all: (...values) => read(() => statement.all(...values)),
      };
    },
    close: () => {
      db.close();
    },
  };
}

/** Runs `work` in one transaction. Either all of it is committed, or none of it and the error is thrown again. */
export function inTransaction<T>(db: SqlDatabase, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    rollBack(db);
    throw error;
  }
}

/** The kind of an SQLite error. `denied`: the file cannot be opened or written. `io`: the disk failed. */
export type SqlTrouble = 'busy' | 'full' | 'denied' | 'io' | 'broken' | 'other';

const troubles: ReadonlyMap<number, SqlTrouble> = new Map([
  [3, 'denied'], // SQLITE_PERM
  [5, 'busy'], // SQLITE_BUSY
  [8, 'denied'], // SQLITE_READONLY
  [10, 'io'], // SQLITE_IOERR
  [11, 'broken'], // SQLITE_CORRUPT
  [13, 'full'], // SQLITE_FULL
  [14, 'denied'], // SQLITE_CANTOPEN
  [26, 'broken'], // SQLITE_NOTADB
]);

export function troubleOf(error: unknown): SqlTrouble {
  // The low byte is the primary code; the rest gives details.
  const cause = error instanceof StorageUnavailable ? error.cause : error;
  return isDriverError(cause) ? (troubles.get(cause.errcode & 0xff) ?? 'other') : 'other';
}

function unavailable(error: unknown): unknown {
  return isDriverError(error) ? new StorageUnavailable(descriptions[troubleOf(error)], error) : error;
}

/** Whether SQLite failed, as opposed to a bug in the hub. */
export function isSqlError(error: unknown): boolean {
  return error instanceof StorageUnavailable || isDriverError(error);
}

function isDriverError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}

/** Whether a stored number is beyond 2^53. Node's own driver has a code for this error, the package only a text. */
export function isOutOfRange(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'ERR_OUT_OF_RANGE') || error.message.startsWith('Value is too large to be');
}

const descriptions: Readonly<Record<SqlTrouble, string>> = {
  busy: 'is locked by another program',
  full: 'has no room left',
  denied: 'may not be read or written',
  io: 'could not be read or written',
  broken: 'is broken',
  other: 'failed',
};

function rollBack(db: SqlDatabase): void {
  try {
    db.exec('ROLLBACK');
  } catch {
    // SQLite has already rolled back, as it does when the disk is full. The first error is the one to report.
  }
}

/** Loads `node:sqlite` without its ExperimentalWarning, which would appear at each start. Other warnings pass. */
function builtInDriver(): Driver | undefined {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    if (rest[0] === 'ExperimentalWarning' && String(warning).startsWith('SQLite ')) return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule('node:sqlite') as Driver | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
