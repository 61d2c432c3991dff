/** The package as it would be published: `npm pack` into a folder, and commands run beside it as a newcomer would. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Packs into a folder and answers the tarball's path. */
export async function packInto(folder: string): Promise<string> {
  const output = await run('npm', ['pack', '--silent', '--pack-destination', folder], repository);
  return join(folder, output.trim().split('\n').at(-1) ?? '');
}

/** Runs a command to its end, and returns its stdout; rejects with all its output if it fails. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(command, args, { cwd, env: { ...inherited(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** A command that runs until `end`; `printed` resolves with the match in its output. */
export function runOn(command: string, args: readonly string[], cwd: string): RunningCommand {
  // A group of its own: npx starts others, and does not always take them along when it ends.
  const child = spawn(command, args, { cwd, env: inherited(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  const waiting = new Set<() => void>();
  const receive = (text: string) => {
    output += text;
    for (const look of [...waiting]) look();
  };
  child.stdout.setEncoding('utf8').on('data', receive);
  child.stderr.setEncoding('utf8').on('data', receive);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output);
          if (match === null) return;
          waiting.delete(look);
          resolve(match);
        };
        waiting.add(look);
        look();
        void closed.then(() => reject(new Error(`${command} ended before it wrote ${String(pattern)}:\n${output}`)));
      }),
    end: async () => {
      const signal = (name: NodeJS.Signals): void => {
        if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, name);
      };
      // Vite gives back its lock on the folder if it is asked to end, and not if it is killed.
      signal('SIGTERM');
      const kill = setTimeout(() => signal('SIGKILL'), 5_000);
      await closed;
      clearTimeout(kill);
    },
  };
}

export interface RunningCommand {
  readonly printed: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly end: () => Promise<void>;
}

/**
 * Without what vitest, npm and the hub's own settings have put there: a newcomer has none of it. Nor colours, which CI
 * turns on.
 */
function inherited(): Record<string, string | undefined> {
  const mine = Object.entries(process.env).filter(
    ([name]) => !/^(HUB_|NODE_ENV$|FORCE_COLOR$|VITE|npm_(?!config_(registry|cache)))/.test(name),
  );
  return { ...Object.fromEntries(mine), NO_COLOR: '1' };
}
