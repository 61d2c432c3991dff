/** `presence-hub migrate`: copies the friend lists of HUB_DATA to the PostgreSQL of HUB_ROSTER. Starts no hub. */
import { readNoMore, runCommand, type CommandLine, type Flags } from '../../client/cli/commands/command-line.ts';
import { EXIT_OK, exitWith, say, type Io } from '../../client/cli/terminal/io.ts';
import type { Result } from '../../shared/result.ts';
import type { Config } from '../config/config.ts';
import { migrate } from '../hub/storage/migrate.ts';
import { StartError } from '../lib/start-error.ts';
import { readOwnSettings, settingsFlags, settingsHelp } from './own-settings.ts';

const help = [
  'presence-hub migrate --data FOLDER --roster postgres://USER@HOST/DATABASE',
  '',
  'Copies the friend lists of the folder to PostgreSQL while no hub uses the folder. It may be repeated: what is there',
  'stays.',
  '',
  '  --roster URL      where the lists go (HUB_ROSTER)',
  ...settingsHelp,
].join('\n');

const flags = { ...settingsFlags, roster: 'text' } as const satisfies Flags;

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read, run: copy }, args, io);
}

function read({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<Config> {
  const noMore = readNoMore(words, 0);
  if (!noMore.ok) return noMore;
  const settings = readOwnSettings(given, env);
  return settings.ok ? { ok: true, value: settings.value.config } : settings;
}

async function copy(config: Config, io: Io): Promise<number> {
  try {
    say(io, await migrate(config, (edges) => say(io, `${edges} edges`)));
    return EXIT_OK;
  } catch (error) {
    if (error instanceof StartError) return exitWith(io, error.message);
    throw error;
  }
}
