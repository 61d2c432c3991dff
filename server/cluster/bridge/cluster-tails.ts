/**
 * Tails in a cluster: each node notes the changes that it has written, and sends those of its tails to the node whose
 * admin reads them. A tail on another node ends by itself if its reader's node no longer asks for it.
 */
import { z } from 'zod';
import type { TailReader, Tails } from '../../fanout/tails.ts';
import type { Calls } from '../calls.ts';
import type { ClusterNode } from '../node.ts';

/** How often a node asks for the tails of its readers again. */
const ASK_EVERY_MS = 2000;
/** How long a node sends without being asked again. */
const ASKED_FOR_MS = 3 * ASK_EVERY_MS;
const ANSWERED_WITHIN_MS = 1000;

const askedForm = z.object({ tails: z.array(z.object({ id: z.number(), match: z.string().max(128) })).max(100) });
const sentForm = z.object({ id: z.number(), text: z.string() });

interface Reader {
  readonly id: number;
  match: string;
}

interface Remote extends TailReader {
  askedAtMs: number;
}

export interface ClusterTailsOptions {
  readonly node: ClusterNode;
  readonly calls: Calls;
  /** The tails of this node's own changes. */
  readonly tails: Tails;
  readonly nowMs: () => number;
}

export class ClusterTails {
  readonly #options: ClusterTailsOptions;
  /** Connections to this node. */
  readonly #readers = new Map<TailReader, Reader>();
  /** Readers on other nodes. */
  readonly #remotes = new Map<string, Remote>();
  #lastId = 0;
  #askedAtMs = 0;

  constructor(options: ClusterTailsOptions) {
    this.#options = options;
    const { calls } = options;
    calls.on('tails', (payload, from) => this.#asked(payload, from));
    calls.on('tailed', (payload) => this.#sent(payload));
  }

  /** See `Tails.begin`. */
  begin(outbox: TailReader, match: string): boolean {
    if (!this.#options.tails.begin(outbox, match)) return false;
    const reader = this.#readers.get(outbox);
    if (reader === undefined) this.#readers.set(outbox, { id: ++this.#lastId, match });
    else reader.match = match;
    this.#ask();
    return true;
  }

  /** See `Tails.end`. */
  end(outbox: TailReader): boolean {
    if (this.#readers.delete(outbox)) this.#ask();
    return this.#options.tails.end(outbox);
  }

  /** Does what is due. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    if (this.#readers.size > 0 && nowMs - this.#askedAtMs >= ASK_EVERY_MS) this.#ask();
    for (const [key, remote] of this.#remotes) if (nowMs - remote.askedAtMs >= ASKED_FOR_MS) this.#drop(key, remote);
  }

  /** Tells the other nodes which tails are read here. */
  #ask(): void {
    const { node, calls, nowMs } = this.#options;
    this.#askedAtMs = nowMs();
    const tails = [...this.#readers.values()].map(({ id, match }) => ({ id, match }));
    const others = node.members.live().filter((inc) => inc !== node.inc);
    void calls.call(others, 'tails', { tails }, ANSWERED_WITHIN_MS);
  }

  #asked(payload: unknown, from: string): boolean {
    const { tails, nowMs, node } = this.#options;
    if (from === node.inc) return true;
    const asked = new Map(askedForm.parse(payload).tails.map(({ id, match }) => [`${from} ${id}`, { id, match }]));
    for (const [key, remote] of this.#remotes) {
      if (key.startsWith(`${from} `) && !asked.has(key)) this.#drop(key, remote);
    }
    for (const [key, { id, match }] of asked) {
      const remote = this.#remotes.get(key) ?? this.#remoteOf(from, id);
      if (!tails.begin(remote, match)) continue;
      remote.askedAtMs = nowMs();
      this.#remotes.set(key, remote);
    }
    return true;
  }

  #remoteOf(to: string, id: number): Remote {
    const { calls } = this.#options;
    const push = (text: string): void => void calls.call([to], 'tailed', { id, text }, ANSWERED_WITHIN_MS);
    return { isBehind: false, push, askedAtMs: 0 };
  }

  #sent(payload: unknown): boolean {
    const { id, text } = sentForm.parse(payload);
    for (const [outbox, reader] of this.#readers) if (reader.id === id && !outbox.isBehind) outbox.push(text);
    return true;
  }

  #drop(key: string, remote: Remote): void {
    this.#remotes.delete(key);
    this.#options.tails.end(remote);
  }
}
