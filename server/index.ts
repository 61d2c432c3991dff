/** The package's entry for programs that start a hub in their own process. */
export { readConfig, type Config, type ConfigSources } from './config/config.ts';
export { startHub, type Hub, type HubOptions } from './hub.ts';
export type { Clock, Moment } from './lib/time/clock.ts';
export { createLog, type Logger } from './lib/log/log.ts';
export { StartError } from './lib/start-error.ts';
