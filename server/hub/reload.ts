/**
 * Applies changed settings while the hub runs, and tells the operator in the log what changed and what still needs a
 * restart. Reads no source of settings: main.ts passes in a sound configuration.
 */
import type { Config } from '../config/config.ts';
import { settings } from '../config/settings.ts';
import { StartError } from '../lib/start-error.ts';
import type { HubContext } from './context.ts';

/**
 * Applies what can change, and checks the certificate files at once. If a live setting cannot be applied, all stay as
 * they are, and the log has one error.
 * @returns whether the live settings of `next` apply.
 */
export async function reload(context: HubContext, next: Config): Promise<boolean> {
  const { config, log, tls } = context;
  const differing = Object.entries(settings).filter(([field]) => valueOf(next, field) !== valueOf(config, field));
  const namesWhere = (isLive: boolean): string[] =>
    differing.filter(([, setting]) => setting.isLive === isLive).map(([, { name }]) => name);
  const changed = namesWhere(true);
  const needRestart = namesWhere(false);
  try {
    context.applyLive(next);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log.error(nothingReloaded(error.message));
    return false;
  }
  const levelBefore = log.level;
  log.level = config.logLevel;
  // A level that would hide the next lines holds after them.
  if (!log.isLevelEnabled('info')) log.level = levelBefore;
  log.info({ changed }, describe(config, changed.length));
  if (needRestart.length > 0) log.warn({ needRestart }, 'settings have changed that only a restart applies');
  log.level = config.logLevel;
  if ((await tls?.checkAnew()) === 'replaced') log.info('a new certificate is in use');
  return true;
}

/** What the log says of settings that are not sound. */
export function nothingReloaded(problem: string): string {
  return `nothing was reloaded: ${problem}; the previous settings stay in use`;
}

function describe({ configFile }: Config, changed: number): string {
  if (changed > 0) return 'SIGHUP: settings were reloaded';
  const why = configFile === null ? ': they can change only in a file that HUB_CONFIG names' : '';
  return `SIGHUP: no live setting has changed${why}`;
}

function valueOf(config: Config, field: string): unknown {
  return config[field as keyof Config];
}
