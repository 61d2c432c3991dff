/**
 * The tables of friend lists in PostgreSQL, as a list of steps: step n takes the schema from version n - 1 to version n.
 * A released step must never change. Must not know how the tables are used.
 *
 * `edge` is the truth, and may be edited by hand. Its triggers write every change to `change`, from which all hubs
 * read. They take a lock until the end of the transaction, so that the numbers of changes appear in their order.
 */
import type { Migrations } from '../../storage/postgres/migrations.ts';

/** The channel on which hubs are notified of new changes. */
export const CHANNEL = 'presence_hub_change';
/** Advisory locks; any numbers that no other program uses. */
const MIGRATION_LOCK = 7_368_271;
export const CHANGE_LOCK = 7_368_272;

const ID = `CHECK (%s ~ '^[A-Za-z0-9._@:-]{1,128}$' AND %s NOT IN ('.', '..'))`;
const idCheck = (column: string): string => ID.replaceAll('%s', column);

const steps: readonly string[] = [
  `
  CREATE TABLE presence_hub.edge (
    owner text COLLATE "C" NOT NULL ${idCheck('owner')},
    friend text COLLATE "C" NOT NULL ${idCheck('friend')},
    PRIMARY KEY (owner, friend),
    CHECK (friend <> owner)
  );
  CREATE INDEX edge_by_friend ON presence_hub.edge (friend, owner);

  CREATE TABLE presence_hub.change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    owner text NOT NULL,
    friend text NOT NULL,
    is_added boolean NOT NULL
  );
  CREATE INDEX change_at ON presence_hub.change (at);
  -- One row: changes up to this number are forgotten. A hub that has not read them must read its lists again.
  CREATE TABLE presence_hub.forgotten (one integer PRIMARY KEY CHECK (one = 1), up_to bigint NOT NULL);
  INSERT INTO presence_hub.forgotten VALUES (1, 0);

  -- The hubs that read the changes, and the number up to which each has told them.
  CREATE TABLE presence_hub.reader (node text PRIMARY KEY, position bigint NOT NULL, seen_at timestamptz NOT NULL);

  -- Before any row is touched, so that two transactions cannot wait for each other.
  CREATE FUNCTION presence_hub.lock_changes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    PERFORM pg_advisory_xact_lock(${CHANGE_LOCK});
    RETURN NULL;
  END $$;
  CREATE FUNCTION presence_hub.edges_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    INSERT INTO presence_hub.change (owner, friend, is_added) SELECT owner, friend, true FROM made;
    NOTIFY ${CHANNEL};
    RETURN NULL;
  END $$;
  CREATE FUNCTION presence_hub.edges_ended() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    INSERT INTO presence_hub.change (owner, friend, is_added) SELECT owner, friend, false FROM ended;
    NOTIFY ${CHANNEL};
    RETURN NULL;
  END $$;
  -- All lists change at once, so every hub reads its lists again.
  CREATE FUNCTION presence_hub.edges_emptied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    UPDATE presence_hub.forgotten SET up_to = nextval(pg_get_serial_sequence('presence_hub.change', 'id'));
    NOTIFY ${CHANNEL};
    RETURN NULL;
  END $$;
  CREATE TRIGGER lock_changes BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON presence_hub.edge
    FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.lock_changes();
  CREATE TRIGGER edges_made AFTER INSERT ON presence_hub.edge
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.edges_made();
  CREATE TRIGGER edges_ended AFTER DELETE ON presence_hub.edge
    REFERENCING OLD TABLE AS ended FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.edges_ended();
  CREATE TRIGGER edges_moved_away AFTER UPDATE ON presence_hub.edge
    REFERENCING OLD TABLE AS ended FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.edges_ended();
  CREATE TRIGGER edges_moved_here AFTER UPDATE ON presence_hub.edge
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.edges_made();
  CREATE TRIGGER edges_emptied AFTER TRUNCATE ON presence_hub.edge
    FOR EACH STATEMENT EXECUTE FUNCTION presence_hub.edges_emptied();
  `,
];

/** The tables of friend lists, brought up to date by one hub at a time. */
export const migrations: Migrations = {
  setting: 'HUB_ROSTER',
  table: 'presence_hub.version',
  lock: MIGRATION_LOCK,
  steps,
};
