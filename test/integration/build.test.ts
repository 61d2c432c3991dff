/** The launcher and the build, as processes, in a small clone of their own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
  for (const name of ['server/launch.mjs', 'server/build.mjs', 'server/build-pages.mjs', 'tsconfig.base.json']) {
    write(name, fs.readFileSync(join(repository, name), 'utf8'));
  }
  const rooms = ['shared', 'server', 'client'];
  write('tsconfig.json', JSON.stringify({ files: [], references: rooms.map((path) => ({ path })) }));
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
  for (const room of rooms) write(`${room}/tsconfig.json`, JSON.stringify(options(room)));
  write('package.json', '{"type":"module"}');
  write('shared/word.ts', "export const word = 'first';\n");
  write('server/main.ts', "import { word } from '../shared/word.ts';\nconsole.log(`main says ${word}`);\n");
  write('client/sdk/sdk.ts', "export const said = 'by the page';\n");
  write('client/page/page.ts', "import { said } from '../sdk/sdk.ts';\ndocument.title = said;\n");
  write('client/page/page.css', 'body { background: url(./face.svg); }');
  write('client/page/initials.svg', '<svg xmlns="http://www.w3.org/2000/svg"></svg>');
  write(
    'client/page/index.html',
    '<!doctype html><link rel="stylesheet" href="./page.css" /><script type="module" src="./page.ts"></script>',
  );
  fs.mkdirSync(join(clone, 'node_modules'));
  fs.mkdirSync(join(clone, 'node_modules/@photostructure'));
  for (const name of ['typescript', 'vite', '@photostructure/sqlite']) {
    fs.symlinkSync(join(repository, 'node_modules', name), join(clone, 'node_modules', name));
  }
});

afterEach(() => fs.rmSync(clone, { recursive: true, force: true }));

async function launch(script = 'server/launch.mjs', user?: number) {
  const uid = user === undefined ? {} : { uid: user };
  const child = spawn(process.execPath, [join(clone, script)], { stdio: ['ignore', 'pipe', 'pipe'], ...uid });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

/** What the page's index.html leads to, by its hashed names. */
/** The style sheet, then the script: names with hashes have no order of their own. */
function pageAssets(): string[] {
  const html = fs.readFileSync(join(clone, 'dist/client/page/index.html'), 'utf8');
  const names = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+-[\w-]{8}\.\w+)"/g)].map(([, name]) => name!);
  return names.sort((a, b) => extname(a).localeCompare(extname(b)));
}

const inDist = (path: string) => fs.existsSync(join(clone, 'dist', path));

describe('the build', () => {
  test('a first start builds, the pages too, and runs; the next one runs at once, without the compiler', async () => {
    const first = await launch();
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^building… done in \d+\.\d s\nmain says first\n$/);
    const assets = pageAssets();
    expect(assets).toEqual([expect.stringMatching(/\.css$/), expect.stringMatching(/\.js$/)]);
    expect(assets.map((name) => inDist(`client/page/${name}`))).toEqual([true, true]);
    expect(fs.readFileSync(join(clone, 'dist/client/page', assets[1]!), 'utf8')).toContain('by the page');
    expect(await launch()).toEqual({ code: 0, stdout: 'main says first\n', stderr: '' });
  });

  test('a changed source is rebuilt, and the output of a deleted source is removed', async () => {
    await launch();
    const old = pageAssets();
    write('shared/word.ts', "export const word = 'second word';\n");
    fs.renameSync(join(clone, 'client/page/page.ts'), join(clone, 'client/page/other.ts'));
    write('client/sdk/sdk.ts', "export const said = 'in other words';\n");
    write('client/page/page.css', 'body { margin: 0; }');
    write(
      'client/page/index.html',
      '<!doctype html><link rel="stylesheet" href="./page.css" /><script type="module" src="./other.ts"></script>',
    );
    const again = await launch();
    expect(again.stdout).toMatch(/^building… done.*\nmain says second word\n$/);
    expect(inDist('client/page/page.d.ts')).toBe(false);
    expect(inDist('client/page/other.d.ts')).toBe(true);
    const assets = pageAssets();
    expect(new Set(fs.readdirSync(join(clone, 'dist/client/page/assets')))).toEqual(
      new Set(assets.map((name) => name.replace('assets/', ''))),
    );
    expect(assets.filter((name) => old.includes(name))).toEqual([]);
    fs.rmSync(join(clone, 'client/page'), { recursive: true });
    expect((await launch()).stdout).toContain('main says second word');
    expect(inDist('client/page/index.html')).toBe(false);
    expect(inDist(`client/page/${assets[0]!}`)).toBe(false);
  });

  test('that lacks a part of Vite, as after npm ci --omit=optional, fails in one line that says what to do', async () => {
    fs.rmSync(join(clone, 'node_modules/vite'));
    write('node_modules/vite/package.json', '{"type":"module","exports":"./vite.js"}');
    write(
      'node_modules/vite/vite.js',
      "throw new Error('Cannot find native binding.\\n  at length', { cause: new Error('more') });",
    );
    const { code, stderr } = await launch();
    expect(code).toBe(1);
    expect(stderr).toBe(
      'presence-hub: the build needs Vite, which does not load (Cannot find native binding.): run npm ci without --omit; ' +
        'SECURITY.md says how to leave out uWebSockets.js\n',
    );
    fs.rmSync(join(clone, 'node_modules/vite'), { recursive: true });
    expect((await launch()).stderr).toMatch(/^presence-hub: the build needs Vite, [^\n]*\n$/);
  });

  test('of a clone that belongs to another user fails in one line that says who has to build', async () => {
    fs.rmSync(join(clone, 'node_modules'), { recursive: true });
    // Root may write everywhere: for it somebody else starts the hub.
    const [mode, other] = process.getuid?.() === 0 ? ([0o755, 65_534] as const) : ([0o555, undefined] as const);
    fs.chmodSync(clone, mode);
    const isRefused = async (path: string): Promise<void> => {
      const { code, stdout, stderr } = await launch('server/launch.mjs', other);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe(
        `presence-hub: the build may not write to ${path} (EACCES): let the owner of this folder run \`npm run build\`, or give it to the user that runs the hub\n`,
      );
    };
    await isRefused(join(clone, 'dist'));
    fs.chmodSync(clone, 0o755);
    fs.mkdirSync(join(clone, 'dist'));
    fs.chmodSync(join(clone, 'dist'), mode);
    await isRefused(join(clone, 'dist'));
    fs.chmodSync(join(clone, 'dist'), 0o755);
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

  test('a page that can not be built says why and does not count as built', async () => {
    write('client/page/page.css', '@import "./nowhere.css";');
    for (const attempt of [1, 2]) {
      const { code, stdout, stderr } = await launch();
      expect({ attempt, code, stdout }).toEqual({ attempt, code: 1, stdout: 'building… failed\n' });
      expect(stderr).toContain('nowhere.css');
    }
  });

  test('a dist/ that someone removed, in part or whole, is built again', async () => {
    await launch();
    fs.rmSync(join(clone, 'dist/server/main.js'));
    expect((await launch()).stdout).toContain('main says first');
    fs.rmSync(join(clone, 'dist/client/page/index.html'));
    expect((await launch()).stdout).toContain('main says first');
    expect(pageAssets()).toHaveLength(2);
    fs.rmSync(join(clone, 'dist'), { recursive: true });
    expect((await launch()).stdout).toContain('main says first');
  });

  test('two starts at once build once, and both run', async () => {
    const [one, other] = await Promise.all([launch(), launch()]);
    expect([one.code, other.code]).toEqual([0, 0]);
    expect([one.stderr, other.stderr]).toEqual(['', '']);
    expect(`${one.stdout}${other.stdout}`.match(/building…/g)).toHaveLength(1);
    expect(`${one.stdout}${other.stdout}`.match(/main says first/g)).toHaveLength(2);
  });

  test('waits for another build, and goes on if that is killed', async () => {
    fs.mkdirSync(join(clone, 'dist'));
    const lock = JSON.stringify(join(clone, 'dist/.build-lock'));
    const holding = `
      const { DatabaseSync } = require('@photostructure/sqlite');
      globalThis.lock = new DatabaseSync(${lock});
      lock.exec('BEGIN EXCLUSIVE');
      console.log('holds');
      setInterval(() => undefined, 1000);`;
    const holder = spawn(process.execPath, ['--eval', holding], { cwd: repository });
    await once(holder.stdout, 'data');
    const launched = launch();
    await delay(1000);
    expect(inDist('.built')).toBe(false);
    holder.kill('SIGKILL');
    expect((await launched).stdout).toMatch(/^waiting for another build…\nbuilding… done.*\nmain says first\n$/);
  });

  test('npm run dev builds again and restarts when a source is saved', async () => {
    const { scripts } = JSON.parse(fs.readFileSync(join(repository, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const child = spawn(scripts['dev']!, { cwd: clone, shell: true, stdio: ['ignore', 'pipe', 'ignore'] });
    let stdout = '';
    const says = (text: string) => expect.poll(() => stdout, { timeout: 60_000 }).toContain(text);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    await says('main says first');
    write('shared/word.ts', "export const word = 'saved word';\n");
    await says('main says saved word');
    child.kill();
    await once(child, 'close');
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
