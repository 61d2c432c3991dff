/** The settings of the hub on this machine, for the commands that work without asking a hub. Starts nothing. */
import { readFileSync } from 'node:fs';
import type { Flags } from '../../client/cli/commands/command-line.ts';
import type { Environment } from '../../shared/environment.ts';
import type { Result } from '../../shared/result.ts';
import { readConfig, type Config } from '../config/config.ts';
import type { SettingName } from '../config/settings.ts';

export const settingsFlags = { data: 'text', config: 'text' } as const satisfies Flags;
export const settingsHelp = [
  '  --data FOLDER     the data folder (HUB_DATA, else ./data)',
  '  --config FILE     the file of the hub’s settings (HUB_CONFIG)',
  '  --help            this text',
];

/** Reads the settings as `presence-hub serve` does. A failure is one line. */
export function readOwnSettings(
  flags: { readonly data?: string; readonly config?: string; readonly roster?: string },
  env: Environment,
): Result<{ config: Config; warnings: readonly string[] }> {
  const given = new Map<SettingName, string>();
  if (flags.data !== undefined) given.set('HUB_DATA', flags.data);
  if (flags.config !== undefined) given.set('HUB_CONFIG', flags.config);
  if (flags.roster !== undefined) given.set('HUB_ROSTER', flags.roster);
  return readConfig({ flags: given, env, readFile: (path) => readFileSync(path, 'utf8') });
}
