/**
 * Copies friend lists into PostgreSQL, in batches that are each committed and verified. An interrupted copy is continued
 * by starting it again: what is there already stays. Removes nothing.
 */
import { StartError } from '../../lib/start-error.ts';
import type { Edge } from '../port.ts';
import { Connections, explainPostgres } from '../../storage/postgres/connection.ts';
import { prepareTables } from './postgres-lists.ts';
import { columns } from './postgres-source.ts';

export interface Copied {
  /** Edges of the source. All of them are in PostgreSQL now. */
  readonly edges: number;
  /** Those that were not there before. */
  readonly added: number;
}

/** @throws {StartError} with one sentence for the operator. */
export async function copyEdges(
  url: string,
  batches: Iterable<readonly Edge[]>,
  onProgress: (copied: Copied) => void,
): Promise<Copied> {
  await prepareTables(url);
  const connections = new Connections(url);
  let copied: Copied = { edges: 0, added: 0 };
  try {
    for (const batch of batches) {
      const made = await connections.query(
        `INSERT INTO presence_hub.edge SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING 1`,
        columns(batch),
      );
      const [found] = await connections.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM presence_hub.edge
         JOIN unnest($1::text[], $2::text[]) AS asked (owner, friend) USING (owner, friend)`,
        columns(batch),
      );
      if (found?.count !== batch.length) {
        throw new StartError(
          `HUB_ROSTER: ${batch.length - (found?.count ?? 0)} of ${batch.length} edges were removed meanwhile: start migrate again when nobody edits friend lists`,
        );
      }
      copied = { edges: copied.edges + batch.length, added: copied.added + made.length };
      onProgress(copied);
    }
    return copied;
  } catch (error) {
    throw explainPostgres('HUB_ROSTER', url, error);
  } finally {
    await connections.close();
  }
}
