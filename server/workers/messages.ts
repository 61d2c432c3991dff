/** The messages between the parent and its workers. */
import type { Config } from '../config/config.ts';

/**
 * A question of a worker to the others. `metrics`: theirs, as JSON of prom-client. `redis`: whether they reach it, as
 * `/readyz` reports it.
 */
export type Question = 'metrics' | 'redis';

/** What a worker needs for its start. */
export interface WorkerStart {
  /** Counts from 1. A worker that is started again has the number of the one before. */
  readonly number: number;
  readonly count: number;
  /** The port of HTTP and WebSocket that the first worker took; null for the first one itself. */
  readonly takenPort: number | null;
  /** The settings as the parent read them. */
  readonly config: Config;
  /** Warnings that are printed with the lines of the start. */
  readonly warnings: readonly string[];
}

export type ToWorker =
  | (WorkerStart & { readonly type: 'start' })
  | { readonly type: 'reload'; readonly config: Config }
  | { readonly type: 'drain' | 'stop' }
  | { readonly type: 'ping' }
  | { readonly type: 'asked'; readonly id: number; readonly question: Question }
  | { readonly type: 'answers'; readonly id: number; readonly answers: readonly unknown[] };

export type ToParent =
  /** The worker receives messages. Earlier ones are lost. */
  | { readonly type: 'ready' }
  | { readonly type: 'serving'; readonly port: number; readonly lines: string }
  | { readonly type: 'failed'; readonly problem: string }
  | { readonly type: 'pong' }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown };
