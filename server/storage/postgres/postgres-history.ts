/**
 * The history in PostgreSQL, which all hubs of a cluster write and read. The functions of the schema decide what becomes
 * of a transition that is there already, and how many single ones a day of a user has. Knows nothing of presence.
 */
import type { Gap, HistoryState, HistoryTransition } from '../../history/port.ts';
import type { KnownTime, SharedHistoryStore, VersionedTransition } from '../../history/shared-port.ts';
import type { ShownCause } from '../../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../../shared/status.ts';
import type { Connections } from './connection.ts';

/** Stored as their places in these lists: a new one goes to the end. */
const statuses: readonly UserStatus[] = ['offline', 'online', 'away', 'busy'];
const causes: readonly ShownCause[] = ['began', 'set', 'bye', 'closed', 'lapsed', 'kicked', 'node_lost', 'restored'];

interface Row {
  readonly at: string;
  readonly from: number;
  readonly to: number;
  readonly cause: number;
  /** `firstAt`, and the time in each of `statuses`. */
  readonly merged: readonly string[] | null;
}

const COLUMNS = 'at, from_status AS "from", to_status AS "to", cause, merged';
const DELETED_AT_ONCE = 1000;

export class PostgresHistory implements SharedHistoryStore {
  readonly #connections: Pick<Connections, 'query'>;
  readonly #perDay: number;

  /** `perDay`: maximum single transitions of a user in a day (UTC). */
  constructor(connections: Pick<Connections, 'query'>, perDay: number) {
    this.#connections = connections;
    this.#perDay = perDay;
  }

  async open(atMs: number): Promise<Pick<HistoryState, 'beganAt'>> {
    await this.#connections.query('INSERT INTO presence_hub.history_state VALUES (1, $1) ON CONFLICT DO NOTHING', [
      atMs,
    ]);
    const [row] = await this.#connections.query<{ at: string }>(
      'SELECT began_at AS at FROM presence_hub.history_state',
      [],
    );
    return { beganAt: Number(row?.at ?? atMs) };
  }

  async record(transitions: readonly VersionedTransition[]): Promise<void> {
    const column = <T>(of: (one: VersionedTransition) => T): T[] => transitions.map(of);
    await this.#connections.query(
      `SELECT presence_hub.record($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[],
         $7::integer[], $8)`,
      [
        column(({ user }) => user),
        column(({ at }) => at),
        column(({ firstV }) => firstV),
        column(({ v }) => v),
        column(({ from }) => (from === null ? null : statuses.indexOf(from))),
        column(({ to }) => statuses.indexOf(to)),
        column(({ cause }) => causes.indexOf(cause)),
        this.#perDay,
      ],
    );
  }

  async read(user: string, from: number, limit: number): Promise<HistoryTransition[]> {
    const rows = await this.#connections.query<Row>(
      `SELECT ${COLUMNS} FROM presence_hub.history WHERE user_id = $1 AND at >= $2 ORDER BY at LIMIT $3`,
      [user, from, limit],
    );
    return rows.map(transitionOf);
  }

  async lastBefore(user: string, at: number): Promise<HistoryTransition | undefined> {
    const [row] = await this.#connections.query<Row>(
      `SELECT ${COLUMNS} FROM presence_hub.history WHERE user_id = $1 AND at < $2 ORDER BY at DESC LIMIT 1`,
      [user, at],
    );
    return row && transitionOf(row);
  }

  /** Of one user. Those of all users follow from `knownTimes`. */
  async gaps(user: string, from: number, to: number): Promise<Gap[]> {
    const rows = await this.#connections.query<{ from: string; to: string | null }>(
      `SELECT from_at AS "from", to_at AS "to" FROM presence_hub.history_doubt
       WHERE user_id = $1 AND from_at < $2 AND (to_at IS NULL OR to_at > $3) ORDER BY from_at`,
      [user, to, from],
    );
    return rows.map((row) => ({ from: Number(row.from), to: row.to === null ? null : Number(row.to) }));
  }

  async purge(_after: string, before: number): Promise<{ readonly after: string } | undefined> {
    const deleted = await this.#connections.query(
      `DELETE FROM presence_hub.history WHERE (user_id, at) IN (
         SELECT user_id, at FROM presence_hub.history WHERE at < $1 ORDER BY at LIMIT ${DELETED_AT_ONCE}
         FOR UPDATE SKIP LOCKED) RETURNING 1`,
      [before],
    );
    if (deleted.length === DELETED_AT_ONCE) return { after: '' };
    await this.#connections.query('DELETE FROM presence_hub.history_known WHERE to_at < $1', [before]);
    await this.#connections.query('DELETE FROM presence_hub.history_hub WHERE ended_at < $1', [before]);
    await this.#connections.query('DELETE FROM presence_hub.history_doubt WHERE to_at < $1', [before]);
    return undefined;
  }

  async setKnown(hub: string, { from, to }: KnownTime): Promise<void> {
    await this.#connections.query(
      `INSERT INTO presence_hub.history_known VALUES ($1, $2, $3)
       ON CONFLICT (hub, from_at) DO UPDATE SET to_at = excluded.to_at`,
      [hub, from, to],
    );
  }

  async setWritten(hub: string, until: number, alive: readonly string[]): Promise<void> {
    await this.#connections.query(
      `INSERT INTO presence_hub.history_hub VALUES ($1, $2, NULL)
       ON CONFLICT (hub) DO UPDATE SET written_until = excluded.written_until, ended_at = NULL`,
      [hub, until],
    );
    await this.#connections.query(
      `UPDATE presence_hub.history_hub SET ended_at = greatest($1::bigint, written_until)
       WHERE ended_at IS NULL AND hub <> ALL ($2::text[])`,
      [until, alive],
    );
    await this.#connections.query(
      `UPDATE presence_hub.history_doubt SET to_at = greatest($1::bigint, from_at)
       WHERE to_at IS NULL AND hub <> ALL ($2::text[])`,
      [until, alive],
    );
  }

  async setLost(hub: string, { from, to }: KnownTime): Promise<void> {
    await this.#connections.query(
      'INSERT INTO presence_hub.history_hub VALUES ($1, $2, $3) ON CONFLICT (hub) DO UPDATE SET ended_at = $3',
      [`${hub} lost ${from}`, from, to],
    );
  }

  async leave(hub: string): Promise<void> {
    await this.#connections.query('DELETE FROM presence_hub.history_hub WHERE hub = $1', [hub]);
  }

  async knownTimes(from: number, to: number): Promise<{ known: KnownTime[]; lost: KnownTime[] }> {
    const rows = await this.#connections.query<{ from: string; to: string; isKnown: boolean }>(
      `SELECT from_at AS "from", to_at AS "to", true AS "isKnown" FROM presence_hub.history_known
       WHERE to_at > $1 AND from_at < $2
       UNION ALL SELECT written_until, ended_at, false FROM presence_hub.history_hub
       WHERE ended_at > $1 AND written_until < $2`,
      [from, to],
    );
    const times = (isKnown: boolean): KnownTime[] =>
      rows.filter((row) => row.isKnown === isKnown).map((row) => ({ from: Number(row.from), to: Number(row.to) }));
    return { known: times(true), lost: times(false) };
  }

  async setDoubt(hub: string, users: readonly string[], from: number, to: number | null): Promise<void> {
    await this.#connections.query(
      `INSERT INTO presence_hub.history_doubt SELECT DISTINCT id, $2::bigint, $3, $4::bigint FROM unnest($1::text[]) AS given (id)
       ON CONFLICT (user_id, from_at, hub) DO UPDATE SET to_at = excluded.to_at`,
      [users, from, hub, to],
    );
  }

  async erase(user: string, v: number): Promise<void> {
    await this.#connections.query('DELETE FROM presence_hub.history WHERE user_id = $1 AND v <= $2', [user, v]);
    // Versions are times, too.
    await this.#connections.query('DELETE FROM presence_hub.history_doubt WHERE user_id = $1 AND from_at <= $2', [
      user,
      v,
    ]);
  }
}

function transitionOf({ at, from, to, cause, merged }: Row): HistoryTransition {
  const [firstAt = 0, offline = 0, online = 0, away = 0, busy = 0] = (merged ?? []).map(Number);
  return {
    at: Number(at),
    from: statuses[from] ?? 'offline',
    to: statuses[to] ?? 'offline',
    cause: causes[cause] ?? 'set',
    merged: merged === null ? null : { firstAt, offline, online, away, busy },
  };
}
