/** The launcher and the build, as processes, in a small clone of their own. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

// A compiler start takes 1 s alone, and several on busy cores.
vi.setConfig({ testTimeout: 90_000 });

const repository = fileURLToPath(new URL('../..', import.meta.url));
const compiler = join(repository, 'node_modules/typescript/bin/tsc');
let clone: string;

function write(path: string, text: string): void {
  fs.mkdirSync(join(clone, path, '..'), { recursive: true });
  fs.writeFileSync(join(clone, path), text);
}

beforeEach(() => {
  clone = fs.mkdtempSync(join(tmpdir(), 'hub-build-'));
  for (const name of ['server/launch.mjs', 'server/build.mjs', 'tsconfig.json', 'tsconfig.base.json']) {
    write(name, fs.readFileSync(join(repository, name), 'utf8'));
  }
  const options = (room: string) => ({
    extends: '../tsconfig.base.json',
    compilerOptions: {
      lib: ['ES2023', 'DOM'],
      types: [],
      rootDir: '.',
      outDir: `../dist/${room}`,
      tsBuildInfoFile: `../dist/${room}/.tsbuildinfo`,
    },
    include: ['**/*.ts'],
    references: room === 'shared' ? [] : [{ path: '../shared' }],
  });
  for (const room of ['shared', 'server', 'client']) write(`${room}/tsconfig.json`, JSON.stringify(options(room)));
  write('package.json', '{"type":"module"}');
  write('shared/word.ts', "export const word = 'first';\n");
  write('server/main.ts', "import { word } from '../shared/word.ts';\nconsole.log(`main says ${word}`);\n");
  write('client/page/page.ts', 'export const page = 1;\n');
  write('client/page/index.html', '<!doctype html>');
  fs.mkdirSync(join(clone, 'node_modules'));
  fs.symlinkSync(join(repository, 'node_modules/typescript'), join(clone, 'node_modules/typescript'));
});

afterEach(() => fs.rmSync(clone, { recursive: true, force: true }));

async function launch(script = 'server/launch.mjs') {
  const child = spawn(process.execPath, [join(clone, script)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

const inDist = (path: string) => fs.existsSync(join(clone, 'dist', path));

describe('the build', () => {
  test('a first start builds, copies the pages and runs; the next one runs at once, without the compiler', async () => {
    const first = await launch();
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^building… done in \d+\.\d s\nmain says first\n$/);
    expect(inDist('client/page/index.html')).toBe(true);
    expect(await launch()).toEqual({ code: 0, stdout: 'main says first\n', stderr: '' });
  });

  test('a changed source is built anew, and what a deleted source left behind is removed', async () => {
    await launch();
    write('shared/word.ts', "export const word = 'second word';\n");
    fs.rmSync(join(clone, 'client/page/page.ts'));
    write('client/page/other.ts', 'export const other = 1;\n');
    fs.rmSync(join(clone, 'client/page/index.html'));
    const again = await launch();
    expect(again.stdout).toMatch(/^building… done.*\nmain says second word\n$/);
    expect(inDist('client/page/page.js')).toBe(false);
    expect(inDist('client/page/page.d.ts')).toBe(false);
    expect(inDist('client/page/index.html')).toBe(false);
    expect(inDist('client/page/other.js')).toBe(true);
  });

  test('a source that is saved while the compiler runs is read by the next build', async () => {
    const typescript = join(clone, 'node_modules/typescript');
    fs.rmSync(typescript);
    // The compiler's notes are the last that it writes: to them, the source that they are too late for is an old one.
    const saving = `
      const { spawnSync } = require('node:child_process');
      const { status } = spawnSync(process.execPath, [${JSON.stringify(compiler)}, ...process.argv.slice(2)]);
      const source = process.argv.at(-1) + '/shared/word.ts';
      require('node:fs').writeFileSync(source, "export const word = 'saved meanwhile';\\n");
      require('node:fs').utimesSync(source, new Date(1e12), new Date(1e12));
      process.exit(status);`;
    write('node_modules/typescript/package.json', '{}');
    write('node_modules/typescript/bin/tsc', saving);
    expect((await launch()).code).toBe(0);
    fs.rmSync(typescript, { recursive: true });
    fs.symlinkSync(join(repository, 'node_modules/typescript'), typescript);
    expect((await launch()).stdout).toContain('main says saved meanwhile');
  });

  test('a failed build says what the compiler says and does not count as built', async () => {
    write('shared/word.ts', "export const word: number = 'first';\n");
    for (const attempt of [1, 2]) {
      const failed = await launch();
      expect({ attempt, code: failed.code, stdout: failed.stdout }).toEqual({
        attempt,
        code: 1,
        stdout: 'building… failed\n',
      });
      expect(failed.stderr).toContain('shared/word.ts(1,14): error TS2322');
    }
    write('shared/word.ts', "export const word = 'mended';\n");
    expect((await launch()).stdout).toContain('main says mended');
  });

  test('a dist/ that someone removed, in part or whole, is built again', async () => {
    await launch();
    fs.rmSync(join(clone, 'dist/server/main.js'));
    expect((await launch()).stdout).toContain('main says first');
    fs.rmSync(join(clone, 'dist'), { recursive: true });
    expect((await launch()).stdout).toContain('main says first');
  });

  test('two starts at once build once, and both run', async () => {
    const [one, other] = await Promise.all([launch(), launch()]);
    expect([one.code, other.code]).toEqual([0, 0]);
    expect([one.stderr, other.stderr]).toEqual(['', '']);
    expect(`${one.stdout}${other.stdout}`.match(/building…/g)).toHaveLength(1);
    expect(`${one.stdout}${other.stdout}`.match(/main says first/g)).toHaveLength(2);
    expect(inDist('.lock')).toBe(false);
  });

  test('the lock of a process that died is taken over', async () => {
    const dead = spawn(process.execPath, ['--eval', '']);
    await new Promise((resolve) => dead.on('close', resolve));
    write('dist/.lock/pid', String(dead.pid));
    expect((await launch()).stdout).toContain('main says first');
    expect(inDist('.lock')).toBe(false);
  });

  test('without the compiler one line says what to run', async () => {
    fs.rmSync(join(clone, 'node_modules'), { recursive: true });
    const { code, stderr } = await launch('server/build.mjs');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'presence-hub: the build needs the compiler: run npm ci first\n',
    });
  });

  test('an installed package holds no sources: it runs what it has', async () => {
    await launch();
    for (const path of ['server/main.ts', 'shared/word.ts', 'node_modules', 'dist/.built']) {
      fs.rmSync(join(clone, path), { recursive: true });
    }
    expect(await launch()).toEqual({ code: 0, stdout: 'main says first\n', stderr: '' });
  });
});
