/** What the parent and its workers tell each other, over the channel that only they have. */
import type { Config } from '../config/config.ts';

/**
 * What a worker may ask the others. `metrics`: theirs, in the form of prom-client. `redis`: whether they reach it, as
 * `/readyz` says it.
 */
export type Question = 'metrics' | 'redis';

/** What a worker needs for its start. */
export interface Beginning {
  /** Counts from 1. A worker that is started again has the number of the one before. */
  readonly number: number;
  readonly count: number;
  /** The port of HTTP and WebSocket that the first worker took; null for the first one itself. */
  readonly takenPort: number | null;
  /** The settings of the whole. */
  readonly config: Config;
  /** What the operator is warned of in the lines of the start. */
  readonly warnings: readonly string[];
}

export type ToWorker =
  | (Beginning & { readonly type: 'begin' })
  | { readonly type: 'reload'; readonly config: Config }
  | { readonly type: 'drain' | 'stop' | 'ping' }
  | { readonly type: 'asked'; readonly id: number; readonly question: Question }
  | { readonly type: 'answers'; readonly id: number; readonly answers: readonly unknown[] };

export type ToParent =
  /** It listens. What is sent before is lost. */
  | { readonly type: 'ready' }
  | { readonly type: 'serves'; readonly port: number; readonly lines: string }
  | { readonly type: 'failed'; readonly problem: string }
  | { readonly type: 'pong' }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown };
