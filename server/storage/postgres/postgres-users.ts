/** Last seen and blocks of a cluster in PostgreSQL. Of two states of a user, the newer one stays. */
import type { Frozen } from '../../presence/blocks.ts';
import type { KeptUser, UserStore } from '../../cluster/durable/port.ts';
import type { Connections } from './connection.ts';

interface Row {
  readonly user: string;
  readonly since: string | null;
  readonly seen: string | null;
  readonly v: string;
  readonly n: string;
  readonly blocks: readonly (readonly [viewer: string, since: number | null, seen: number | null, v: number])[] | null;
}

const BLOCKERS_AT_ONCE = 1000;

export class PostgresUsers implements UserStore {
  readonly #connections: Pick<Connections, 'query'>;

  constructor(connections: Pick<Connections, 'query'>) {
    this.#connections = connections;
  }

  async keep(users: readonly KeptUser[]): Promise<void> {
    const states = users.map(({ user, since, lastSeen: seen, v, n, hidden }) => {
      const blocks = [...hidden].map(([viewer, frozen]) => [viewer, frozen.since, frozen.lastSeen, frozen.v]);
      return { user, since, seen, v, n, blocks };
    });
    await this.#connections.query('SELECT presence_hub.keep($1::jsonb)', [JSON.stringify(states)]);
  }

  async blockersAfter(viewer: string, after: string): Promise<readonly string[]> {
    const rows = await this.#connections.query<{ user: string }>(
      `SELECT user_id AS "user" FROM presence_hub.block WHERE viewer = $1 AND user_id > $2 ORDER BY user_id LIMIT $3`,
      [viewer, after, BLOCKERS_AT_ONCE],
    );
    return rows.map(({ user }) => user);
  }

  async erase(user: string, n: number): Promise<void> {
    await this.#connections.query(
      `WITH gone AS (DELETE FROM presence_hub.user_state WHERE user_id = $1 AND n <= $2 RETURNING user_id)
       DELETE FROM presence_hub.block WHERE user_id IN (SELECT user_id FROM gone)`,
      [user, n],
    );
  }

  async recall(users: readonly string[]): Promise<ReadonlyMap<string, KeptUser>> {
    const rows = await this.#connections.query<Row>(
      `SELECT user_id AS "user", since, last_seen AS seen, v, n,
         (SELECT jsonb_agg(jsonb_build_array(viewer, block.since, block.last_seen, block.v))
          FROM presence_hub.block WHERE block.user_id = user_state.user_id) AS blocks
       FROM presence_hub.user_state WHERE user_id = ANY ($1::text[])`,
      [users],
    );
    return new Map(rows.map((row) => [row.user, keptOf(row)]));
  }
}

function keptOf({ user, since, seen, v, n, blocks }: Row): KeptUser {
  const hidden = new Map<string, Frozen>();
  for (const [viewer, from, lastSeen, version] of blocks ?? [])
    hidden.set(viewer, { since: from, lastSeen, v: version });
  return { user, since: numberOf(since), lastSeen: numberOf(seen), v: Number(v), n: Number(n), hidden };
}

function numberOf(text: string | null): number | null {
  return text === null ? null : Number(text);
}
