/** The package's entry for those who start a hub in their own process. */
export { readConfig, type Config } from './config.ts';
export { startHub, type Hub, type HubOptions } from './hub.ts';
export { createLog } from './lib/log.ts';
export { StartError } from './lib/start-error.ts';
