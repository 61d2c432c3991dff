/**
 * The tables of hub.sqlite as a list of steps: step n takes a database from version n - 1 to version n. Runs the
 * missing steps, each in one transaction, and refuses a database that a newer hub has written. A released step must
 * never change. Must not know how the tables are used.
 */
import { inTransaction, type SqlDatabase } from './sqlite.ts';

export const steps: readonly string[] = [
  `
  -- One row: the run that is under way, or the last one. ended_at is the hub clock of a clean end, NULL before it.
  CREATE TABLE run (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    born_at INTEGER NOT NULL,
    ceiling INTEGER NOT NULL,
    certain_from INTEGER NOT NULL,
    ended_at INTEGER
  ) STRICT;

  -- devices: a JSON list of labels. sessions: a JSON list of what must be restored, NULL where there is none.
  CREATE TABLE entry (
    user TEXT PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('online', 'away', 'busy', 'offline')),
    code INTEGER NOT NULL,
    since INTEGER NOT NULL,
    last_seen INTEGER,
    devices TEXT NOT NULL,
    text TEXT,
    v INTEGER NOT NULL,
    sessions TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entry_with_sessions ON entry (user) WHERE sessions IS NOT NULL;

  CREATE TABLE edge (
    user TEXT NOT NULL,
    friend TEXT NOT NULL CHECK (friend <> user),
    at INTEGER NOT NULL,
    PRIMARY KEY (user, friend)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tombstone (
    user TEXT NOT NULL,
    friend TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user, friend)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tombstone_at ON tombstone (at);

  -- One row: every tombstone from this instant on is still there.
  CREATE TABLE tombstones_kept (one INTEGER PRIMARY KEY CHECK (one = 1), from_at INTEGER NOT NULL) STRICT;
  INSERT INTO tombstones_kept VALUES (1, 0);
  `,
  `
  -- What viewer sees of user, who blocked it: offline since then. since and last_seen are NULL for a user never seen.
  CREATE TABLE block (
    user TEXT NOT NULL,
    viewer TEXT NOT NULL CHECK (viewer <> user),
    since INTEGER,
    last_seen INTEGER,
    v INTEGER NOT NULL,
    PRIMARY KEY (user, viewer)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- The last moment of which the hub is sure, for as long as what it shows may be behind; NULL once it is sure again.
  ALTER TABLE run ADD COLUMN sure_until INTEGER;
  `,
  `
  -- One row while a large edit of friend lists is being stored in parts: what a start after a crash has to complete.
  CREATE TABLE edit_pending (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at INTEGER NOT NULL,
    edit TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- Whether anybody follows a user: an entry that nobody follows may be forgotten. forgotten_at: when one last was.
  CREATE INDEX edge_by_friend ON edge (friend);
  ALTER TABLE run ADD COLUMN forgotten_at INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- The event of a user that waits for a rule. origin: the status before it. entry: the entry as JSON.
  CREATE TABLE webhook_event (
    rule TEXT NOT NULL,
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    origin TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    entry TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (rule, user)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX webhook_event_due ON webhook_event (rule, due_at);
  -- The batch of a rule that was sent and not answered with 2xx yet.
  CREATE TABLE webhook_batch (
    rule TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    count INTEGER NOT NULL,
    formed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- Events that no attempt delivered in time, as JSON. is_replayed: an operator lets them be sent again.
  CREATE TABLE webhook_dead (
    seq INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    user TEXT NOT NULL,
    event TEXT NOT NULL,
    died_at INTEGER NOT NULL,
    is_replayed INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX webhook_dead_rule ON webhook_dead (rule, is_replayed);
  `,
  `
  -- A read cache of edge: the friends of each user in one row, sorted, with commas between them. A user without friends
  -- has no row. A list without a row is read from edge. The triggers drop the row of every list that changes.
  CREATE TABLE friend_list (user TEXT PRIMARY KEY, friends TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TRIGGER edge_made AFTER INSERT ON edge BEGIN DELETE FROM friend_list WHERE user = NEW.user; END;
  CREATE TRIGGER edge_ended AFTER DELETE ON edge BEGIN DELETE FROM friend_list WHERE user = OLD.user; END;
  INSERT INTO friend_list
    SELECT user, group_concat(friend, ',') FROM (SELECT user, friend FROM edge ORDER BY user, friend) GROUP BY user;
  `,
  `
  -- Transitions of shown statuses; numbers stand for statuses and causes. merged: several as one, see SqliteHistory.
  CREATE TABLE history (
    user TEXT NOT NULL,
    at INTEGER NOT NULL,
    from_status INTEGER NOT NULL,
    to_status INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    merged TEXT,
    PRIMARY KEY (user, at)
  ) STRICT, WITHOUT ROWID;

  -- Times in which the hub did not know, of everybody where user is ''. to_at is NULL while it lasts.
  CREATE TABLE history_gap (
    user TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER,
    PRIMARY KEY (user, from_at)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX history_gap_open ON history_gap (user) WHERE to_at IS NULL;

  -- One row: when history began, and up to when it is complete.
  CREATE TABLE history_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    began_at INTEGER NOT NULL,
    sure_until INTEGER NOT NULL
  ) STRICT;
  `,
  `
  -- Find the rows of others that name a user who is erased. Deleted rows are overwritten from this version on.
  CREATE INDEX tombstone_by_friend ON tombstone (friend);
  CREATE INDEX block_by_viewer ON block (viewer);
  `,
  `
  -- An export reads, and an erasure deletes, the webhook events of one user.
  CREATE INDEX webhook_event_user ON webhook_event (user);
  CREATE INDEX webhook_dead_user ON webhook_dead (user);
  -- How many events of each rule wait: counting a million of them would take too long.
  CREATE TABLE webhook_waiting (rule TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO webhook_waiting SELECT rule, count(*) FROM webhook_event GROUP BY rule;
  CREATE TRIGGER webhook_event_added AFTER INSERT ON webhook_event BEGIN
    INSERT INTO webhook_waiting VALUES (new.rule, 1) ON CONFLICT DO UPDATE SET count = count + 1;
  END;
  CREATE TRIGGER webhook_event_removed AFTER DELETE ON webhook_event BEGIN
    UPDATE webhook_waiting SET count = count - 1 WHERE rule = old.rule;
  END;
  `,
];

/** The first version whose deleted rows are overwritten. An older database is rewritten once. */
export const OVERWRITES_SINCE = 9;

/** The database was written by a hub that knows more steps. */
export class NewerSchemaError extends Error {
  readonly found: number;
  readonly known: number;

  constructor(found: number, known: number) {
    super(`schema ${found} is newer than ${known}`);
    this.found = found;
    this.known = known;
  }
}

/** Migrates a database to the newest version. If a step fails, the database stays at the previous version. */
export function migrate(db: SqlDatabase, list: readonly string[]): void {
  const version = versionOf(db);
  if (version > list.length) throw new NewerSchemaError(version, list.length);
  for (const [index, step] of list.entries()) {
    if (index < version) continue;
    inTransaction(db, () => {
      db.exec(step);
      db.exec(`PRAGMA user_version = ${index + 1}`);
    });
  }
}

/** The version of the schema; 0 for a new database. */
export function versionOf(db: SqlDatabase): number {
  return db.prepare<{ user_version: number }>('PRAGMA user_version').get()?.user_version ?? 0;
}
