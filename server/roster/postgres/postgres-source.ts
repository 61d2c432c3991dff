/** Reads and edits friend lists in PostgreSQL. Notifies nobody: changes reach the hub through `ChangeFeed`. */
import type { PoolClient } from 'pg';
import type { Edge, RosterEdit } from '../port.ts';
import type { ListSource, ReadList } from '../remote.ts';
import type { Connections } from '../../storage/postgres/connection.ts';
import { CHANGE_LOCK } from './schema.ts';

/** The number of the last change that a statement sees. */
export const POSITION = `greatest((SELECT max(id) FROM presence_hub.change), (SELECT up_to FROM presence_hub.forgotten))`;

/** What an edit did. `position` is the number of its last change. */
export interface EditDone {
  readonly added: number;
  readonly removed: number;
  readonly position: number;
}

interface EdgeRow {
  readonly owner: string;
  readonly friend: string;
}

export class PostgresSource implements ListSource {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async read(users: readonly string[]): Promise<ReadonlyMap<string, ReadList>> {
    const rows = await this.#connections.query<{ owner: string; friends: string[] | null; position: string }>(
      `SELECT owner, (SELECT array_agg(friend) FROM presence_hub.edge WHERE edge.owner = asked.owner) AS friends,
         ${POSITION} AS position
       FROM unnest($1::text[]) AS asked (owner)`,
      [users],
    );
    return new Map(
      rows.map(({ owner, friends, position }) => [owner, { friends: friends ?? [], position: Number(position) }]),
    );
  }

  async followersAfter(user: string, after: string, limit: number): Promise<string[]> {
    const rows = await this.#connections.query<{ owner: string }>(
      'SELECT owner FROM presence_hub.edge WHERE friend = $1 AND owner > $2 ORDER BY owner LIMIT $3',
      [user, after, limit],
    );
    return rows.map(({ owner }) => owner);
  }

  /** Those of the users who have a friend edge in either direction. */
  async followed(users: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.#connections.query<{ id: string }>(
      `SELECT id FROM unnest($1::text[]) AS asked (id)
       WHERE EXISTS (SELECT FROM presence_hub.edge WHERE owner = id)
         OR EXISTS (SELECT FROM presence_hub.edge WHERE friend = id)`,
      [users],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** @returns what was done, or the user whose list would be too long. */
  async edit(edit: RosterEdit, maxFriends: number): Promise<EditDone | { readonly full: string }> {
    let full: string | undefined;
    const done = await this.#connections.transact(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [CHANGE_LOCK]);
      const { added, removed } = await apply(client, edit);
      full = await overfull(client, added, removed, maxFriends);
      return full === undefined
        ? { added: added.length, removed: removed.length, position: await position(client) }
        : undefined;
    });
    return done ?? { full: full ?? '' };
  }

  /** Ends all friendships of a user in both directions, and forgets that they ever were. @returns the last change. */
  async erase(user: string): Promise<number> {
    const erased = await this.#connections.transact(async (client) => {
      await client.query('DELETE FROM presence_hub.edge WHERE owner = $1 OR friend = $1', [user]);
      return { position: await position(client) };
    });
    return erased?.position ?? 0;
  }

  /** Deletes the changes that name a user. Hubs that have not read them by then must read their lists again. */
  async forgetChanges(user: string, upTo: number): Promise<void> {
    await this.#connections.query(
      `WITH named AS (DELETE FROM presence_hub.change WHERE (owner = $1 OR friend = $1) AND id <= $2 RETURNING id)
       UPDATE presence_hub.forgotten SET up_to = greatest(up_to, (SELECT max(id) FROM named))`,
      [user, upTo],
    );
  }

  /** Deletes changes that are older than an hour. */
  async forgetOld(): Promise<void> {
    await this.#connections.query(
      `WITH old AS (DELETE FROM presence_hub.change WHERE id IN (
         SELECT id FROM presence_hub.change WHERE at < now() - interval '1 hour' ORDER BY id LIMIT 10000) RETURNING id)
       UPDATE presence_hub.forgotten SET up_to = greatest(up_to, (SELECT max(id) FROM old))
       WHERE EXISTS (SELECT FROM old)`,
      [],
    );
  }
}

interface Rows {
  readonly added: readonly EdgeRow[];
  readonly removed: readonly EdgeRow[];
}

async function apply(client: PoolClient, edit: RosterEdit): Promise<Rows> {
  switch (edit.kind) {
    case 'add':
      return { added: await make(client, edit.edges), removed: [] };
    case 'remove':
      return { added: [], removed: await end(client, edit.edges) };
    case 'replace': {
      const { user, friends, mutual } = edit;
      const dropped = await client.query<EdgeRow>(
        'DELETE FROM presence_hub.edge WHERE owner = $1 AND friend <> ALL ($2::text[]) RETURNING owner, friend',
        [user, friends],
      );
      const back = dropped.rows.map(({ friend }) => ({ user: friend, friend: user }));
      const removed = mutual && back.length > 0 ? [...dropped.rows, ...(await end(client, back))] : dropped.rows;
      const wanted = friends.map((friend) => ({ user, friend }));
      const both = mutual ? [...wanted, ...friends.map((friend) => ({ user: friend, friend: user }))] : wanted;
      return { added: await make(client, both), removed };
    }
  }
}

async function make(client: PoolClient, edges: readonly Edge[]): Promise<readonly EdgeRow[]> {
  const made = await client.query<EdgeRow>(
    `INSERT INTO presence_hub.edge SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
     RETURNING owner, friend`,
    columns(edges),
  );
  return made.rows;
}

async function end(client: PoolClient, edges: readonly Edge[]): Promise<readonly EdgeRow[]> {
  const ended = await client.query<EdgeRow>(
    `DELETE FROM presence_hub.edge USING unnest($1::text[], $2::text[]) AS ended (owner, friend)
     WHERE edge.owner = ended.owner AND edge.friend = ended.friend RETURNING edge.owner, edge.friend`,
    columns(edges),
  );
  return ended.rows;
}

/** The edges as two arrays, for `unnest`. */
export function columns(edges: readonly Edge[]): [string[], string[]] {
  return [edges.map(({ user }) => user), edges.map(({ friend }) => friend)];
}

/** A user whose list has grown beyond the maximum. */
async function overfull(
  client: PoolClient,
  added: readonly EdgeRow[],
  removed: readonly EdgeRow[],
  maxFriends: number,
): Promise<string | undefined> {
  const growth = new Map<string, number>();
  for (const { owner } of added) growth.set(owner, (growth.get(owner) ?? 0) + 1);
  for (const { owner } of removed) growth.set(owner, (growth.get(owner) ?? 0) - 1);
  const grown = [...growth].filter(([, by]) => by > 0).map(([owner]) => owner);
  if (grown.length === 0) return undefined;
  const found = await client.query<{ owner: string }>(
    `SELECT owner FROM presence_hub.edge WHERE owner = ANY ($1::text[])
     GROUP BY owner HAVING count(*) > $2 ORDER BY owner LIMIT 1`,
    [grown, maxFriends],
  );
  return found.rows[0]?.owner;
}

async function position(client: PoolClient): Promise<number> {
  const read = await client.query<{ position: string }>(`SELECT ${POSITION} AS position`);
  return Number(read.rows[0]?.position ?? 0);
}
