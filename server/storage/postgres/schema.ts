/**
 * The tables of what a cluster keeps in PostgreSQL besides friend lists, as a list of steps: step n takes the schema from
 * version n - 1 to version n. A released step must never change. Must not know how the tables are used.
 */
import type { Migrations } from './migrations.ts';

/** Advisory locks; any numbers that no other program uses. The first is also that of friend lists. */
const MIGRATION_LOCK = 7_368_271;
const HISTORY_LOCK = 7_368_273;
const DAY_MS = 86_400_000;
/** Beyond the limit of a day, the transitions of this long are kept as one. */
const MERGED_MS = 600_000;

const steps: readonly string[] = [
  `
  -- Transitions of shown statuses. first_v to v: the versions of the entry that it stands for.
  CREATE TABLE presence_hub.history (
    user_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    first_v bigint NOT NULL,
    v bigint NOT NULL,
    from_status smallint NOT NULL,
    to_status smallint NOT NULL,
    cause smallint NOT NULL,
    -- Its number within its day.
    nth integer NOT NULL,
    -- Several transitions kept as one: when the first was, and the time with each status.
    merged bigint[],
    PRIMARY KEY (user_id, at)
  );
  CREATE INDEX history_by_at ON presence_hub.history (at);
  -- One row: when history began.
  CREATE TABLE presence_hub.history_state (one integer PRIMARY KEY CHECK (one = 1), began_at bigint NOT NULL);
  -- Times in which a hub knew everything.
  CREATE TABLE presence_hub.history_known (
    hub text NOT NULL, from_at bigint NOT NULL, to_at bigint NOT NULL, PRIMARY KEY (hub, from_at)
  );
  CREATE INDEX history_known_to ON presence_hub.history_known (to_at);
  -- Up to when a hub has stored what it saw, and when it ended without storing the rest.
  CREATE TABLE presence_hub.history_hub (hub text PRIMARY KEY, written_until bigint NOT NULL, ended_at bigint);
  -- Times in which what was shown of a user was in doubt.
  CREATE TABLE presence_hub.history_doubt (
    user_id text COLLATE "C" NOT NULL, from_at bigint NOT NULL, hub text NOT NULL, to_at bigint,
    PRIMARY KEY (user_id, from_at, hub)
  );

  CREATE FUNCTION presence_hub.record_one(
    the_user text, the_at bigint, the_first bigint, the_v bigint, given_from integer, the_to integer, the_cause integer,
    per_day integer
  ) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    one presence_hub.history;
    earlier presence_hub.history;
    later presence_hub.history;
    the_from integer;
    the_nth integer := 1;
  BEGIN
    FOR one IN SELECT * FROM presence_hub.history WHERE user_id = the_user ORDER BY at DESC LOOP
      IF one.v < the_first THEN earlier := one; EXIT; END IF;
      IF one.first_v <= the_v THEN RETURN; END IF; -- it is there already
      later := one;
    END LOOP;
    -- The order is that of versions, whatever the clocks of hubs say.
    IF earlier.at IS NOT NULL THEN the_at := greatest(the_at, earlier.at + 1); END IF;
    IF later.at IS NOT NULL THEN the_at := least(the_at, coalesce(later.merged[1], later.at) - 1); END IF;
    IF the_at <= earlier.at THEN RETURN; END IF; -- no room, so nothing is lost of more than a millisecond
    IF given_from IS NULL AND the_to = coalesce(earlier.to_status, 0) THEN RETURN; END IF;
    the_from := coalesce(given_from, earlier.to_status, 0);
    IF earlier.at / ${DAY_MS} = the_at / ${DAY_MS} THEN the_nth := earlier.nth + 1; END IF;
    IF the_nth <= per_day OR later.at IS NOT NULL THEN
      INSERT INTO presence_hub.history VALUES (the_user, the_at, the_first, the_v, the_from, the_to, the_cause, the_nth, NULL);
    ELSIF earlier.merged IS NULL OR earlier.merged[1] < the_at - the_at % ${MERGED_MS}
      -- A blocked viewer reads up to its block, and would notice if later transitions moved the end of the last ones.
      OR EXISTS (SELECT FROM presence_hub.block WHERE user_id = the_user AND since >= earlier.at AND since < the_at)
    THEN
      INSERT INTO presence_hub.history
        VALUES (the_user, the_at, the_first, the_v, the_from, the_to, the_cause, the_nth, ARRAY[the_at, 0, 0, 0, 0]);
    ELSE
      earlier.merged[2 + the_from] := earlier.merged[2 + the_from] + the_at - earlier.at;
      UPDATE presence_hub.history SET at = the_at, v = the_v, to_status = the_to, cause = the_cause, merged = earlier.merged
        WHERE user_id = the_user AND at = earlier.at;
    END IF;
  END $$;
  CREATE FUNCTION presence_hub.record(
    users text[], ats bigint[], firsts bigint[], vs bigint[], froms integer[], tos integer[], causes integer[],
    per_day integer
  ) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    -- One hub at a time, so that each sees what the one before it has written.
    PERFORM pg_advisory_xact_lock(${HISTORY_LOCK});
    FOR i IN 1 .. coalesce(array_length(users, 1), 0) LOOP
      PERFORM presence_hub.record_one(users[i], ats[i], firsts[i], vs[i], froms[i], tos[i], causes[i], per_day);
    END LOOP;
  END $$;
  `,
  `
  -- What is known of users, in case Redis loses it. n: the number of the record; the larger one is newer.
  CREATE TABLE presence_hub.user_state (
    user_id text COLLATE "C" PRIMARY KEY, since bigint, last_seen bigint, v bigint NOT NULL, n bigint NOT NULL
  );
  -- What a blocked viewer sees of a user.
  CREATE TABLE presence_hub.block (
    user_id text COLLATE "C" NOT NULL, viewer text COLLATE "C" NOT NULL, since bigint, last_seen bigint, v bigint NOT NULL,
    PRIMARY KEY (user_id, viewer)
  );
  CREATE INDEX block_by_viewer ON presence_hub.block (viewer, user_id);

  CREATE FUNCTION presence_hub.keep(states jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    one record;
  BEGIN
    -- In the order of ids, so that two transactions cannot wait for each other.
    FOR one IN
      SELECT * FROM jsonb_to_recordset(states)
        AS given ("user" text, since bigint, seen bigint, v bigint, n bigint, blocks jsonb)
      ORDER BY "user" COLLATE "C"
    LOOP
      INSERT INTO presence_hub.user_state VALUES (one."user", one.since, one.seen, one.v, one.n)
        ON CONFLICT (user_id) DO UPDATE
        SET since = excluded.since, last_seen = excluded.last_seen, v = excluded.v, n = excluded.n
        WHERE excluded.n > user_state.n;
      IF NOT FOUND THEN CONTINUE; END IF; -- it is older than what is stored
      DELETE FROM presence_hub.block WHERE user_id = one."user";
      INSERT INTO presence_hub.block
        SELECT one."user", b ->> 0, (b ->> 1)::bigint, (b ->> 2)::bigint, (b ->> 3)::bigint
        FROM jsonb_array_elements(one.blocks) AS blocks (b);
    END LOOP;
  END $$;
  `,
  `
  CREATE OR REPLACE FUNCTION presence_hub.record_one(
    the_user text, the_at bigint, the_first bigint, the_v bigint, given_from integer, the_to integer, the_cause integer,
    per_day integer
  ) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    one presence_hub.history;
    earlier presence_hub.history;
    later presence_hub.history;
    the_from integer;
    the_nth integer := 1;
  BEGIN
    FOR one IN SELECT * FROM presence_hub.history WHERE user_id = the_user ORDER BY at DESC LOOP
      IF one.v < the_first THEN earlier := one; EXIT; END IF;
      IF one.first_v <= the_v THEN RETURN; END IF; -- it is there already
      later := one;
    END LOOP;
    -- Another hub has stored what it saw of this transition: the state that it led to, with the version of a later change.
    IF later.at = the_at AND later.to_status = the_to AND later.merged IS NULL THEN
      UPDATE presence_hub.history
        SET first_v = the_first, from_status = coalesce(given_from, from_status),
          cause = CASE WHEN given_from IS NULL THEN cause ELSE the_cause END
        WHERE user_id = the_user AND at = the_at;
      RETURN;
    END IF;
    -- The order is that of versions, whatever the clocks of hubs say.
    IF earlier.at IS NOT NULL THEN the_at := greatest(the_at, earlier.at + 1); END IF;
    IF later.at IS NOT NULL THEN the_at := least(the_at, coalesce(later.merged[1], later.at) - 1); END IF;
    IF the_at <= earlier.at THEN RETURN; END IF; -- no room, so nothing is lost of more than a millisecond
    IF given_from IS NULL AND the_to = coalesce(earlier.to_status, 0) THEN RETURN; END IF;
    the_from := coalesce(given_from, earlier.to_status, 0);
    IF given_from IS NULL AND the_from = 0 THEN the_cause := 0; END IF; -- from offline, the cause is "began"
    IF earlier.at / ${DAY_MS} = the_at / ${DAY_MS} THEN the_nth := earlier.nth + 1; END IF;
    IF the_nth <= per_day OR later.at IS NOT NULL THEN
      INSERT INTO presence_hub.history VALUES (the_user, the_at, the_first, the_v, the_from, the_to, the_cause, the_nth, NULL);
    ELSIF earlier.merged IS NULL OR earlier.merged[1] < the_at - the_at % ${MERGED_MS}
      -- A blocked viewer reads up to its block, and would notice if later transitions moved the end of the last ones.
      OR EXISTS (SELECT FROM presence_hub.block WHERE user_id = the_user AND since >= earlier.at AND since < the_at)
    THEN
      INSERT INTO presence_hub.history
        VALUES (the_user, the_at, the_first, the_v, the_from, the_to, the_cause, the_nth, ARRAY[the_at, 0, 0, 0, 0]);
    ELSE
      earlier.merged[2 + the_from] := earlier.merged[2 + the_from] + the_at - earlier.at;
      UPDATE presence_hub.history SET at = the_at, v = the_v, to_status = the_to, cause = the_cause, merged = earlier.merged
        WHERE user_id = the_user AND at = earlier.at;
    END IF;
  END $$;
  `,
];

/** Brought up to date by one hub at a time. */
export const migrations: Migrations = {
  setting: 'HUB_DATABASE_URL',
  table: 'presence_hub.store_version',
  lock: MIGRATION_LOCK,
  steps,
};
