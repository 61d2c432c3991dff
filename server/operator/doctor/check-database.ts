/** Checks the PostgreSQL databases that the settings name, without changing anything in them. */
import type { Config } from '../../config/config.ts';
import { asFinding, fine, warning, type Finding } from './finding.ts';
import { StartError } from '../../lib/start-error.ts';
import { systemClock } from '../../lib/time/system-clock.ts';

const CLOCK_TOLERANCE_MS = 2000;

interface Facts {
  readonly version: string;
  readonly isReplica: boolean;
  readonly now: string;
  readonly isMade: boolean;
  readonly mayMake: boolean;
  readonly mayUse: boolean;
}

/** Whether the tables are there, or may be made. */
const ASK = `
  SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS "isReplica",
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, to_regclass($1) IS NOT NULL AS "isMade",
    has_database_privilege(current_database(), 'CREATE') AS "mayMake",
    coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'presence_hub'), true) AS "mayUse"`;

export async function checkDatabases({ roster, redisUrl, databaseUrl }: Config): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  if (roster.startsWith('postgres')) findings.push(await check('HUB_ROSTER', roster, 'presence_hub.version'));
  if (redisUrl === null) return findings;
  if (databaseUrl !== null) {
    findings.push(await check('HUB_DATABASE_URL', databaseUrl, 'presence_hub.store_version'));
  } else {
    const says = 'blocks and last seen are in Redis alone';
    findings.push(
      warning('postgres', says, 'set HUB_DATABASE_URL, so that a Redis that loses its data reveals nobody'),
    );
  }
  return findings;
}

async function check(setting: string, url: string, table: string): Promise<Finding> {
  const { explainPostgres, openClient } = await import('../../storage/postgres/connection.ts');
  try {
    const client = await openClient(url);
    try {
      const [facts] = (await client.query<Facts>(ASK, [table])).rows;
      const { host, port, database = '' } = client;
      return judge(setting, `${host}:${port}/${database}`, facts as Facts);
    } finally {
      await client.end();
    }
  } catch (problem) {
    const explained = explainPostgres(setting, url, problem);
    if (!(explained instanceof StartError)) throw explained;
    return asFinding('postgres', 'error', explained.message);
  }
}

function judge(setting: string, at: string, { version, isReplica, now, isMade, mayMake, mayUse }: Facts): Finding {
  const fault = (says: string): Finding => asFinding('postgres', 'error', `${setting}: PostgreSQL at ${at} ${says}`);
  if (isReplica) return fault('is read-only: give the address of the primary');
  if (isMade && !mayUse) return fault('refuses the hub’s rights: run GRANT USAGE ON SCHEMA presence_hub (SECURITY.md)');
  if (!isMade && !mayMake)
    return fault('has no tables yet, and the role may not create them: GRANT CREATE ON DATABASE');
  const offMs = Math.abs(systemClock.now().wallMs - Number(now));
  if (offMs > CLOCK_TOLERANCE_MS) {
    const says = `the clock of ${at} differs from this one by ${Math.round(offMs / 1000)} s`;
    return warning('postgres', says, 'set both clocks, for example with chrony or systemd-timesyncd');
  }
  const tables = isMade ? 'has the tables' : 'gets the tables at the first start';
  return fine('postgres', `${setting}: PostgreSQL ${version} at ${at} answers, and ${tables}`);
}
