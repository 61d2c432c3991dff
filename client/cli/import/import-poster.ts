/**
 * Posts pairs of friends to the hub's import in batches, with a few requests in flight. Waits for a hub that is briefly
 * unavailable. If the hub refuses a batch, halves it until the bad edge is alone.
 *
 * Collects many pairs, splits them into their two directions and sends them sorted, because neighbors in one commit
 * share the pages of the hub's table. A million random pairs cost a hub 46 s of CPU unsorted and 14 s sorted (16 and
 * 1.2 GB written; measured 2026-11-22 with SQLite).
 */
import { z } from 'zod';
import type { BadLine, NumberedEdge } from './edge-lines.ts';
import { askHub, retryMs, type HttpAccess, type HubAnswer } from '../hub/hub-http.ts';

const EDGES_PER_SORT = 100_000;
/** 500 edges with the longest ids take half of the maximum body, and a few milliseconds of the hub's loop. */
const EDGES_PER_REQUEST = 500;
const REQUESTS_IN_FLIGHT = 4;
const GIVE_UP_AFTER_MS = 60_000;
/** The edges are bad, not the request, so some of them may still be accepted. */
const FAULTS_OF_EDGES: ReadonlySet<number> = new Set([400, 409]);
const importAnswer = z.object({ added: z.int() });

interface ImportPosterOptions {
  readonly access: HttpAccess;
  readonly isOneway: boolean;
  readonly interrupted: AbortSignal;
  readonly onBad: (line: BadLine) => void;
}

export class ImportPoster {
  readonly #options: ImportPosterOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #gathered: NumberedEdge[] = [];
  #lastProgressAtMs: number | undefined;
  #taken = 0;
  #added = 0;
  #problem: string | undefined;

  constructor(options: ImportPosterOptions) {
    this.#options = options;
  }

  /** The number of pairs that the hub has accepted. One of two directions is half a pair. */
  get takenPairs(): number {
    return Math.floor(this.#options.isOneway ? this.#taken : this.#taken / 2);
  }

  /** The number of edges that were new to the hub. A mutual friendship is two edges. */
  get added(): number {
    return this.#added;
  }

  /** Why the import gave up, if it did. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves when there is room for more. */
  async add(pairs: readonly NumberedEdge[]): Promise<void> {
    for (const pair of pairs) {
      this.#gathered.push(pair);
      if (!this.#options.isOneway) this.#gathered.push({ line: pair.line, edge: [pair.edge[1], pair.edge[0]] });
      if (this.#gathered.length >= EDGES_PER_SORT) await this.#postGathered();
    }
  }

  /** Resolves when every added pair is accepted or refused. */
  async finish(): Promise<void> {
    await this.#postGathered();
    await Promise.all(this.#inFlight);
  }

  async #postGathered(): Promise<void> {
    const edges = this.#gathered.sort(byUserThenFriend);
    this.#gathered = [];
    for (let from = 0; from < edges.length && !this.#isOver(); from += EDGES_PER_REQUEST) {
      while (this.#inFlight.size >= REQUESTS_IN_FLIGHT) await Promise.race(this.#inFlight);
      const posting = this.#post(edges.slice(from, from + EDGES_PER_REQUEST)).finally(() =>
        this.#inFlight.delete(posting),
      );
      this.#inFlight.add(posting);
    }
  }

  async #post(piece: readonly NumberedEdge[]): Promise<void> {
    const answer = await this.#askUntilAnswered(piece);
    if (answer === undefined) return;
    if (answer.kind === 'ok') {
      this.#taken += piece.length;
      this.#added += importAnswer.safeParse(answer.body).data?.added ?? 0;
    } else if (!FAULTS_OF_EDGES.has(answer.status)) {
      this.#problem ??= answer.problem;
    } else if (piece[1] === undefined) {
      for (const { line, edge } of piece) {
        this.#options.onBad({ line, problem: `the hub refused to let ${edge[0]} follow ${edge[1]}: ${answer.says}` });
      }
    } else {
      const half = Math.ceil(piece.length / 2);
      await this.#post(piece.slice(0, half));
      await this.#post(piece.slice(half));
    }
  }

  /** Returns undefined if the import gave up. */
  async #askUntilAnswered(
    piece: readonly NumberedEdge[],
  ): Promise<Extract<HubAnswer, { kind: 'ok' | 'refused' }> | undefined> {
    const { access, interrupted } = this.#options;
    const path = '/v1/friends/import?oneway=true';
    const body = { edges: piece.map(({ edge }) => edge) };
    for (let attempt = 0; !this.#isOver(); attempt += 1) {
      const answer = await askHub(access, { method: 'POST', path, body, signal: interrupted });
      if (answer.kind === 'ok' || answer.kind === 'refused') {
        this.#lastProgressAtMs = performance.now();
        if (answer.kind === 'refused' && (await answer.renewed?.()) === true) continue;
        return answer;
      }
      if (interrupted.aborted) return undefined;
      // A hub that limits the rate is alive, so the import does not give up.
      if (answer.kind === 'later' && answer.status === 429)
        this.#lastProgressAtMs = performance.now() + (answer.afterMs ?? 0);
      const isNobody = answer.kind === 'unreachable' && this.#lastProgressAtMs === undefined;
      const silentMs = performance.now() - (this.#lastProgressAtMs ??= performance.now());
      if (isNobody || silentMs > GIVE_UP_AFTER_MS) this.#problem ??= answer.problem;
      else await pause((answer.kind === 'later' ? answer.afterMs : undefined) ?? retryMs(attempt), interrupted);
    }
    return undefined;
  }

  #isOver(): boolean {
    return this.#problem !== undefined || this.#options.interrupted.aborted;
  }
}

/** Compares by code units, like the hub's table. `localeCompare` takes ten times as long. */
function byUserThenFriend({ edge: a }: NumberedEdge, { edge: b }: NumberedEdge): number {
  const at = a[0] === b[0] ? 1 : 0;
  return a[at] < b[at] ? -1 : a[at] > b[at] ? 1 : 0;
}

function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    interrupted.addEventListener('abort', end);
  });
}
