/** `presence-hub restore FILE`: puts a backup into the data folder of a hub that does not run. Asks no hub. */
import { runCommand } from '../../client/cli/commands/command-line.ts';
import { say, type Io } from '../../client/cli/terminal/io.ts';
import { systemClock } from '../lib/time/system-clock.ts';
import { restore } from '../storage/sqlite/restore.ts';
import { describeContents, explaining, fileFlags, readFileOrder, type FileOrder } from './backup.ts';
import { settingsHelp } from './own-settings.ts';

const help = [
  'presence-hub restore FILE    puts a backup into the data folder; no hub may be using that folder',
  '',
  '  --force           replaces the data that the folder holds',
  ...settingsHelp,
].join('\n');

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags: fileFlags, read: readFileOrder, run: putBack }, args, io);
}

async function putBack({ file, data, mayReplace }: FileOrder, io: Io): Promise<number> {
  return explaining(io, () => {
    const { ceiling, ...contents } = restore(file, data, mayReplace);
    say(io, `restored ${file} into ${data}: ${describeContents(contents)}`);
    const behindMs = ceiling - systemClock.now().wallMs;
    if (behindMs > CLOCK_TOLERANCE_MS) {
      say(io, `warning: this machine’s clock is ${Math.ceil(behindMs / 1000)} s behind the data: set the clock first`);
    }
  });
}

/** A run may have raised its ceiling by this much before it issued a version. */
const CLOCK_TOLERANCE_MS = 2000;
