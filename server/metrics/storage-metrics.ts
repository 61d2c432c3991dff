/** Metrics of storage: what waits to be stored, how long writing takes, and what fails. */
import type { Histogram } from '../lib/histogram.ts';
import type { Instruments } from './instruments.ts';

export interface StorageSource {
  /** Number of users whose entries or sessions wait to be stored. */
  readonly waitingCount: () => number;
  /** Milliseconds since nothing waited. */
  readonly behindMs: () => number;
  /** How long the transactions took. */
  readonly writes: Histogram;
  /** Kinds of work that fail now. */
  readonly failingCount: () => number;
  /** Failed attempts since the start. */
  readonly errorCount: () => number;
}

export function registerStorage(make: Instruments, source: StorageSource): void {
  make.gauge('presence_hub_storage_waiting', 'Users whose changes wait to be stored', source.waitingCount);
  make.gauge(
    'presence_hub_storage_behind_seconds',
    'Time since everything was last stored, so that no change has waited longer; 0 if nothing waits',
    () => source.behindMs() / 1000,
  );
  make.delays('presence_hub_storage_write_seconds', 'How long it took to store a batch of changes', source.writes);
  make.gauge(
    'presence_hub_storage_failing',
    'Kinds of storage work that fail now, which /readyz names',
    source.failingCount,
  );
  make.total('presence_hub_storage_errors_total', 'Failed attempts of storage work', source.errorCount);
}
