/** What the hub in a worker knows of the others: its number among them, the shared port, and how to ask them. */
import type { Question } from './messages.ts';

export interface WorkerContext {
  /** Counts from 1. */
  readonly number: number;
  readonly count: number;
  /** The port of HTTP and WebSocket that the first worker took; null for the first one itself. */
  readonly takenPort: number | null;
  /** Asks the other workers. Those that do not answer within a second are left out. */
  ask(question: Question): Promise<readonly unknown[]>;
  /** How this worker answers a question. */
  onAsked(question: Question, answer: () => unknown): void;
}
