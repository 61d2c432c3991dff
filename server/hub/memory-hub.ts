/**
 * Starts a hub that stores nothing, in this process, with the settings of the environment: for the demo. main.ts hands
 * it to the commands, which must not import the server.
 */
import { readFileSync } from 'node:fs';
import type { Environment } from '../../shared/environment.ts';
import { ok, fail, type Result } from '../../shared/result.ts';
import { readConfig } from '../config/config.ts';
import { startHub } from '../hub.ts';
import { createLog } from '../lib/log/log.ts';
import { StartError } from '../lib/start-error.ts';

export interface MemoryHub {
  /** Whether users need no token. */
  readonly isOpen: boolean;
  stop(): Promise<void>;
}

export async function startMemoryHub(env: Environment): Promise<Result<MemoryHub>> {
  const settings = readConfig({
    flags: new Map([
      ['HUB_DATA', ':memory:'],
      ['HUB_LOG_LEVEL', 'warn'],
    ]),
    env,
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  if (!settings.ok) return settings;
  const { config } = settings.value;
  try {
    const hub = await startHub(config, { log: createLog(config.logLevel) });
    return ok({ isOpen: config.auth === 'open', stop: () => hub.stop() });
  } catch (error) {
    if (error instanceof StartError) return fail(error.message);
    throw error;
  }
}
