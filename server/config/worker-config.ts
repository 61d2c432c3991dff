/** The settings of one worker, which differ from those of the whole only in what no two processes may share. */
import { join } from 'node:path';
import type { Config } from './config.ts';

/** So that a target's users stay present while a worker restarts, and the target is not asked once per worker. */
const POLLING_WORKERS = 2;

/** `number` counts from 1. A worker that is started again has the number, and so the folder, of the one before. */
export function configOfWorker(config: Config, number: number): Config {
  const data = config.data === ':memory:' ? config.data : join(config.data, `worker-${number}`);
  return { ...config, data, pollFile: number <= POLLING_WORKERS ? config.pollFile : null };
}
