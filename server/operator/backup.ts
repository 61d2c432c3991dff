/** `presence-hub backup FILE`: copies the data of a hub on this machine, running or not. Asks no hub. */
import { readNoMore, runCommand, type CommandLine, type Flags } from '../../client/cli/commands/command-line.ts';
import { EXIT_OK, exitWith, say, type Io } from '../../client/cli/terminal/io.ts';
import { fail, ok, type Result } from '../../shared/result.ts';
import { StartError } from '../lib/start-error.ts';
import { backUp, type Contents } from '../storage/sqlite/backup.ts';
import { MEMORY } from '../storage/sqlite/database.ts';
import { readOwnSettings, settingsFlags, settingsHelp } from './own-settings.ts';

const help = [
  'presence-hub backup FILE     copies the data of the hub on this machine into FILE, also while the hub runs',
  '',
  'The copy is consistent and complete: friend lists, blocks, entries with their versions, history, webhook queues.',
  '',
  '  --force           replaces FILE if it exists',
  ...settingsHelp,
].join('\n');

export const fileFlags = { ...settingsFlags, force: 'switch' } as const satisfies Flags;

export interface FileOrder {
  readonly file: string;
  readonly data: string;
  readonly mayReplace: boolean;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags: fileFlags, read: readFileOrder, run: copy }, args, io);
}

export function readFileOrder({ words, flags }: CommandLine<typeof fileFlags>, { env }: Io): Result<FileOrder> {
  const [file] = words;
  if (file === undefined) return fail('FILE is missing: the path of the backup');
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const settings = readOwnSettings(flags, env);
  if (!settings.ok) return settings;
  const { data } = settings.value.config;
  if (data === MEMORY) return fail('HUB_DATA is :memory:, which no other program can read: name a folder with --data');
  return ok({ file, data, mayReplace: flags.force === true });
}

async function copy({ file, data, mayReplace }: FileOrder, io: Io): Promise<number> {
  return explaining(io, () => {
    say(io, `backed up ${data} into ${file}: ${describeContents(backUp(data, file, mayReplace))}`);
  });
}

/** Runs the work and prints a failure as one line. */
export function explaining(io: Io, work: () => void): number {
  try {
    work();
    return EXIT_OK;
  } catch (error) {
    if (error instanceof StartError) return exitWith(io, error.message);
    throw error;
  }
}

export function describeContents({ users, friends, bytes }: Contents): string {
  const megabytes = (bytes / 1_000_000).toFixed(1);
  return `${users} users, ${friends} entries of friend lists, ${megabytes} MB`;
}
