/** Lists and counts the users who are present on any node, by asking all nodes. */
import { z } from 'zod';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Calls } from '../calls.ts';
import type { ClusterNode } from '../node.ts';

/** A page of ids in order, with an entry for each. `next`: null if there are no more. */
export interface Page {
  readonly ids: readonly string[];
  readonly entries: readonly string[];
  readonly next: string | null;
}

interface Query {
  readonly statuses: readonly string[];
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

interface Reader {
  readonly user: string | null;
  readonly isAdmin: boolean;
}

export interface ClusterListOptions {
  readonly node: ClusterNode;
  readonly calls: Calls;
  /** The users that are held here. */
  readonly page: (query: Query, reader: Reader) => Promise<Page>;
  /** Numbers of the users that this node counts, and of its sessions, by name. */
  readonly count: (reader: Reader) => Promise<Readonly<Record<string, number>>>;
}

const ASKED_FOR_MS = 2000;
/** A direct message between nodes is bounded. */
const MOST_CHARS = 60_000;
const queryForm = z.object({
  statuses: z.array(z.string().max(20)).max(10),
  prefix: z.string().max(128),
  after: z.string().max(128),
  limit: z.number().int().min(1).max(1000),
});
const readerForm = z.object({ user: z.string().max(128).nullable(), isAdmin: z.boolean() });
const askedForm = z.object({ query: queryForm, reader: readerForm });
const pageForm = z.object({ ids: z.array(z.string()), entries: z.array(z.string()), next: z.string().nullable() });
const countsForm = z.record(z.string(), z.number());

export class ClusterList {
  readonly #options: ClusterListOptions;

  constructor(options: ClusterListOptions) {
    const { calls, page, count } = options;
    this.#options = options;
    calls.on('list', async (payload) => {
      this.#mustKnowAll();
      const { query, reader } = askedForm.parse(payload);
      return shortened(await page(query, reader));
    });
    calls.on('count', (payload) => {
      this.#mustKnowAll();
      return count(readerForm.parse(payload));
    });
  }

  /**
   * Rejects with `StorageUnavailable` if a node does not answer, or has not found all users of a node that ended, because
   * users would be missing.
   */
  async page(query: Query, reader: Reader): Promise<Page> {
    this.#mustKnowAll();
    const own = await this.#options.page(query, reader);
    return merged([own, ...(await this.#ask('list', { query, reader }, pageForm))], query.limit);
  }

  /** Rejects as `page` does. */
  async count(reader: Reader): Promise<Readonly<Record<string, number>>> {
    this.#mustKnowAll();
    const counts: Record<string, number> = { ...(await this.#options.count(reader)) };
    for (const other of await this.#ask('count', reader, countsForm)) {
      for (const [name, count] of Object.entries(other)) counts[name] = (counts[name] ?? 0) + count;
    }
    return counts;
  }

  #mustKnowAll(): void {
    const { node } = this.#options;
    if (!node.deadNodes.isSearching) return;
    throw new StorageUnavailable(
      'is read for users of a hub that ended',
      new Error('their sessions are not known yet'),
    );
  }

  async #ask<T>(kind: string, payload: unknown, form: z.ZodType<T>): Promise<T[]> {
    const { node, calls } = this.#options;
    const others = node.members.live().filter((inc) => inc !== node.inc);
    const answers = await calls.call(others, kind, payload, ASKED_FOR_MS);
    const pages = [...answers.values()].flatMap((answer) => {
      const read = form.safeParse(answer);
      return read.success ? [read.data] : [];
    });
    if (pages.length < others.length) {
      throw new StorageUnavailable('is shared with a hub that does not answer', new Error('a node does not answer'));
    }
    return pages;
  }
}

/** Leaves out what does not fit into one message. Whoever asked continues after the last id. */
function shortened({ ids, entries, next }: Page): Page {
  let chars = 0;
  const fitting = entries.findIndex((entry) => (chars += entry.length) > MOST_CHARS);
  if (fitting < 0) return { ids, entries, next };
  const count = Math.max(1, fitting);
  return { ids: ids.slice(0, count), entries: entries.slice(0, count), next: ids[count - 1] ?? null };
}

/** Joins pages. Beyond the last id of a page that goes on, another id of its node may come first. */
function merged(pages: readonly Page[], limit: number): Page {
  const bounds = pages.flatMap(({ ids, next }) => (next === null ? [] : [ids.at(-1) ?? '']));
  const until = bounds.sort()[0];
  const all = new Map<string, string>();
  for (const { ids, entries } of pages) {
    for (const [i, id] of ids.entries()) if (until === undefined || id <= until) all.set(id, entries[i] ?? '');
  }
  const ids = [...all.keys()].sort().slice(0, limit);
  const hasMore = until !== undefined || all.size > limit;
  return { ids, entries: ids.map((id) => all.get(id) ?? ''), next: hasMore ? (ids.at(-1) ?? null) : null };
}
