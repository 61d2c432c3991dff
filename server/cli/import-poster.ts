/**
 * Pairs of friends to the hub's import, in pieces with a few requests in flight. Waits for a hub that is away for a
 * moment; where the hub refuses a piece, halves it until the pair at fault stands alone. Called by import-file.
 */
import { z } from 'zod';
import { fullJitterMs } from './backoff.ts';
import type { BadLine, NumberedEdge } from './edge-lines.ts';
import { askHub, type HubAnswer } from './hub-http.ts';

/** 500 pairs of the longest ids are half of what a body may hold. */
const PAIRS_PER_REQUEST = 500;
const REQUESTS_IN_FLIGHT = 4;
const GIVE_UP_AFTER_MS = 60_000;
/** The pairs are at fault, not the request: some of them may still be taken. */
const FAULTS_OF_PAIRS: ReadonlySet<number> = new Set([400, 409]);
const importAnswer = z.object({ added: z.int() });

export interface ImportPosterOptions {
  readonly http: string;
  readonly isOneway: boolean;
  readonly interrupted: AbortSignal;
  readonly onBad: (line: BadLine) => void;
}

export class ImportPoster {
  readonly #options: ImportPosterOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #waiting: NumberedEdge[] = [];
  #lastProgressAtMs: number | undefined;
  #taken = 0;
  #added = 0;
  #problem: string | undefined;

  constructor(options: ImportPosterOptions) {
    this.#options = options;
  }

  /** Pairs that the hub has. */
  get taken(): number {
    return this.#taken;
  }

  /** Edges that the hub did not have before; friends of each other are two. */
  get added(): number {
    return this.#added;
  }

  /** Why it has given up, where it has. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves when there is room for more. */
  async add(edges: readonly NumberedEdge[]): Promise<void> {
    for (const edge of edges) {
      this.#waiting.push(edge);
      if (this.#waiting.length < PAIRS_PER_REQUEST) continue;
      await this.#room();
      this.#start();
    }
  }

  /** Resolves when all that was added is taken or refused. */
  async finish(): Promise<void> {
    this.#start();
    await Promise.all(this.#inFlight);
  }

  async #room(): Promise<void> {
    while (this.#inFlight.size >= REQUESTS_IN_FLIGHT) await Promise.race(this.#inFlight);
  }

  #start(): void {
    const piece = this.#waiting;
    this.#waiting = [];
    if (piece.length === 0 || this.#isOver()) return;
    const posting = this.#post(piece).finally(() => this.#inFlight.delete(posting));
    this.#inFlight.add(posting);
  }

  async #post(piece: readonly NumberedEdge[]): Promise<void> {
    const answer = await this.#askUntilAnswered(piece);
    if (answer === undefined) return;
    if (answer.kind === 'ok') {
      this.#taken += piece.length;
      this.#added += importAnswer.safeParse(answer.body).data?.added ?? 0;
    } else if (!FAULTS_OF_PAIRS.has(answer.status)) {
      this.#problem ??= `the hub refused: ${answer.problem}`;
    } else if (piece[1] === undefined) {
      for (const { line } of piece) this.#options.onBad({ line, problem: answer.problem });
    } else {
      const half = Math.ceil(piece.length / 2);
      await this.#post(piece.slice(0, half));
      await this.#post(piece.slice(half));
    }
  }

  /** Nothing where it was given up. */
  async #askUntilAnswered(
    piece: readonly NumberedEdge[],
  ): Promise<Extract<HubAnswer, { kind: 'ok' | 'refused' }> | undefined> {
    const { http, isOneway, interrupted } = this.#options;
    const path = `/v1/friends/import${isOneway ? '?oneway=true' : ''}`;
    const body = { edges: piece.map(({ edge }) => edge) };
    for (let attempt = 0; !this.#isOver(); attempt += 1) {
      const answer = await askHub(http, { method: 'POST', path, body, signal: interrupted });
      if (answer.kind === 'ok' || answer.kind === 'refused') {
        this.#lastProgressAtMs = performance.now();
        return answer;
      }
      if (interrupted.aborted) return undefined;
      const isNobody = answer.kind === 'unreachable' && this.#lastProgressAtMs === undefined;
      const silentMs = performance.now() - (this.#lastProgressAtMs ??= performance.now());
      if (isNobody || silentMs > GIVE_UP_AFTER_MS) this.#problem ??= answer.problem;
      else await pause((answer.kind === 'later' ? answer.afterMs : undefined) ?? fullJitterMs(attempt), interrupted);
    }
    return undefined;
  }

  #isOver(): boolean {
    return this.#problem !== undefined || this.#options.interrupted.aborted;
  }
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
