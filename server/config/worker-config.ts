/** The settings of one worker, which differ from those of the whole only in what no two processes may share. */
import { join } from 'node:path';
import type { Config } from './config.ts';

/** `number` counts from 1. A worker that is started again has the number, and so the folder, of the one before. */
export function configOfWorker(config: Config, number: number): Config {
  return config.data === ':memory:' ? config : { ...config, data: join(config.data, `worker-${number}`) };
}
