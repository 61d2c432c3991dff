/**
 * Which hubs read the changes of friend lists, and how far each has reported them. An edit is answered only when every
 * hub has reported it, so that nobody is shown a former friend after the answer. Hubs that have been silent for a while
 * are not waited for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Connections } from '../../storage/postgres/connection.ts';

/** A hub says at least this often that it reads. */
export const READ_EVERY_MS = 1000;
/** A hub that has said nothing for this long is not waited for. */
const GONE_AFTER_S = 5;
const WAIT_WITHIN_MS = 10_000;
const ASK_EVERY_MS = 20;

export class Readers {
  readonly #connections: Connections;
  /** The name of this hub. */
  readonly #node: string;

  constructor(connections: Connections, node: string) {
    this.#connections = connections;
    this.#node = node;
  }

  /** Notes that this hub has reported every change up to that number. */
  async reached(position: number): Promise<void> {
    await this.#connections.query(
      `INSERT INTO presence_hub.reader VALUES ($1, $2, now())
       ON CONFLICT (node) DO UPDATE SET position = excluded.position, seen_at = excluded.seen_at`,
      [this.#node, position],
    );
  }

  /** Resolves when every other hub has reported the change of that number. Rejects with `StorageUnavailable`. */
  async allReached(position: number): Promise<void> {
    for (const giveUpAt = performance.now() + WAIT_WITHIN_MS; ;) {
      const behind = await this.#connections.query(
        `SELECT FROM presence_hub.reader
         WHERE node <> $1 AND position < $2 AND seen_at > now() - interval '${GONE_AFTER_S} seconds' LIMIT 1`,
        [this.#node, position],
      );
      if (behind.length === 0) return;
      if (performance.now() > giveUpAt) {
        throw new StorageUnavailable('waits for another hub', new Error('a hub has not reported a change in time'));
      }
      await delay(ASK_EVERY_MS);
    }
  }

  /** Notes that this hub stops. */
  async leave(): Promise<void> {
    await this.#connections.query('DELETE FROM presence_hub.reader WHERE node = $1', [this.#node]);
  }

  /** Deletes hubs that are long gone. */
  async forgetOld(): Promise<void> {
    await this.#connections.query(`DELETE FROM presence_hub.reader WHERE seen_at < now() - interval '1 hour'`, []);
  }
}
