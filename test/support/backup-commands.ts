/** `presence-hub backup` and `restore` within a test, and what they print. */
import { run as backupCommand } from '../../server/operator/backup.ts';
import { run as restoreCommand } from '../../server/operator/restore.ts';
import { testIo } from './cli-io.ts';

const running =
  (command: typeof backupCommand) =>
  async (...args: string[]) => {
    const io = testIo();
    const code = await command(args, io);
    return { code, out: io.stdout.text, err: io.stderr.text };
  };

export const runBackup = running(backupCommand);
export const runRestore = running(restoreCommand);
