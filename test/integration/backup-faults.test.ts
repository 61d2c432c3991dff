/** `presence-hub backup` and `restore` that cannot succeed: nothing is lost, and one line says what to do. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { ceilingOf } from '../../server/storage/sqlite/restore.ts';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { runBackup, runRestore } from '../support/backup-commands.ts';
import { startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { useProcessFolder } from '../support/process-folder.ts';

vi.setConfig({ testTimeout: 60_000 });

const launcher = fileURLToPath(new URL('../../server/launch.mjs', import.meta.url));
const folder = useProcessFolder('hub-backup-');
const { at } = folder;

/** Leaves the folder as a hub does that is killed: with data in hub.sqlite-wal alone. */
async function makeData(name: string, friend: string): Promise<void> {
  const hub = startHubProcess({ HUB_DATA: at(name) });
  const page = startLine(await hub.started, 'page');
  await fetch(`${page}v1/users/42/friends/${friend}`, { method: 'PUT' });
  hub.child.kill('SIGKILL');
  await hub.exited;
  expect(statSync(at(`${name}/hub.sqlite-wal`)).size).toBeGreaterThan(0);
}

async function friendsIn(name: string): Promise<unknown> {
  const hub = startHubProcess({ HUB_DATA: at(name) });
  const page = startLine(await hub.started, 'page');
  const { friends } = (await (await fetch(`${page}v1/users/42/friends`)).json()) as { friends: unknown };
  hub.child.kill('SIGKILL');
  await hub.exited;
  return friends;
}

function expectRefused(
  result: { readonly code: number; readonly out: string; readonly err: string },
  ...parts: string[]
) {
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/^presence-hub: [^\n]*\n$/);
  for (const part of parts) expect(result.err).toContain(part);
}

test('a restore that is killed before it is complete loses nothing of the folder', async () => {
  await makeData('data', 'mine');
  await makeData('other', 'theirs');
  expect((await runBackup(at('hub.backup'), '--data', at('other'))).code).toBe(0);
  const preload = at('killed.mjs');
  writeFileSync(
    preload,
    `import fs from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     fs.renameSync = () => process.kill(process.pid, 'SIGKILL');
     syncBuiltinESMExports();`,
  );
  const args = ['restore', at('hub.backup'), '--data', at('data'), '--force'];
  const killed = await startHubProcess({ NODE_OPTIONS: `--import=${preload}` }, args).exited;
  expect(killed.signal).toBe('SIGKILL');
  expect(await friendsIn('data')).toEqual(['mine']);
  expect((await runRestore(...args.slice(1))).code).toBe(0);
  expect(await friendsIn('data')).toEqual(['theirs']);
  expect(readdirSync(at('data')).filter((file) => file.includes('restoring'))).toEqual([]);
});

test('a database that is not all in FILE is not restored, above all not over itself', async () => {
  await makeData('data', 'mine');
  cpSync(at('data'), at('copy'), { recursive: true });
  for (const name of ['data', 'copy']) {
    const refused = await runRestore(at(`${name}/hub.sqlite`), '--data', at('data'), '--force');
    expectRefused(refused, `${name}/hub.sqlite`, 'presence-hub backup');
  }
  expect(await friendsIn('data')).toEqual(['mine']);
});

test('a FILE that is a pipe or a folder is refused', needing('Linux'), async () => {
  execFileSync('mkfifo', [at('pipe')]);
  mkdirSync(at('folder'));
  for (const name of ['pipe', 'folder']) {
    const {
      code,
      stdout: out,
      stderr: err,
    } = await startHubProcess({}, ['restore', at(name), '--data', at('data')]).exited;
    expectRefused({ code: code ?? 0, out, err }, name, 'is not a file');
  }
});

test('a FILE of another program, or damaged, is named with a remedy in one line', async () => {
  await makeData('data', 'mine');
  expect((await runBackup(at('hub.backup'), '--data', at('data'))).code).toBe(0);
  const flipped = readFileSync(at('hub.backup'));
  flipped[35] = 77; // the number of free pages
  writeFileSync(at('flipped'), flipped);
  const similar = openSqlite(at('similar'));
  similar.exec('CREATE TABLE run (a); INSERT INTO run VALUES (1); CREATE TABLE entry (a); CREATE TABLE edge (a)');
  similar.exec('PRAGMA user_version = 3');
  similar.close();
  writeFileSync(at('negative'), readFileSync(at('hub.backup')));
  const negative = openSqlite(at('negative'));
  negative.exec('PRAGMA user_version = -1');
  negative.close();
  for (const name of ['flipped', 'similar', 'negative']) {
    const refused = await runRestore(at(name), '--data', at('data'), '--force');
    expectRefused(refused, `${at(name)} is not a backup of a hub`, 'name a file that presence-hub backup has made');
  }
  expect(await friendsIn('data')).toEqual(['mine']);
});

test('a backup that is damaged only in an index is refused', async () => {
  await makeData('data', 'mine');
  expect((await runBackup(at('hub.backup'), '--data', at('data'))).code).toBe(0);
  const sound = readFileSync(at('hub.backup'));
  const codes: number[] = [];
  for (let place = sound.indexOf('mine42'); place >= 0; place = sound.indexOf('mine42', place + 1)) {
    const damaged = Buffer.from(sound);
    damaged.write('mink42', place);
    writeFileSync(at('damaged'), damaged);
    codes.push((await runRestore(at('damaged'), '--data', at('elsewhere'), '--force')).code);
  }
  // The table and its index.
  expect(codes).toEqual([1, 1]);
});

test('a restore over data that another program has locked is refused, because its versions cannot be read', async () => {
  await makeData('data', 'mine');
  // In a process of its own, because Node.js 20 keeps a database open for as long as a statement exists.
  const backup = startHubProcess({ HUB_DATA: at('data') }, ['backup', at('hub.backup')]);
  expect((await backup.exited).code).toBe(0);
  const other = openSqlite(at('data/hub.sqlite'));
  other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  expectRefused(await runRestore(at('hub.backup'), '--data', at('data'), '--force'), 'is locked by another program');
  other.exec('ROLLBACK');
  other.close();
  expect(ceilingOf(at('data/hub.sqlite'))).toBeGreaterThan(0);
  expect(await friendsIn('data')).toEqual(['mine']);
});

test(
  'without room for it, a backup names FILE and leaves nothing, and a restore names the folder',
  needing('Linux'),
  async () => {
    await makeData('data', 'mine');
    expect((await runBackup(at('hub.backup'), '--data', at('data'))).code).toBe(0);
    const limited = (...args: string[]) => {
      const command = ['-c', 'ulimit -f 8 && exec "$0" "$@"', process.execPath, launcher, ...args];
      const { status, stdout, stderr } = spawnSync('sh', command, { encoding: 'utf8' });
      return { code: status ?? 0, out: stdout, err: stderr };
    };
    mkdirSync(at('full'));
    expectRefused(
      limited('backup', at('full/file'), '--data', at('data')),
      `${at('full/file')} can't be written`,
      'ulimit',
    );
    expect(readdirSync(at('full'))).toEqual([]);
    expectRefused(
      limited('restore', at('hub.backup'), '--data', at('data'), '--force'),
      `HUB_DATA=${at('data')}`,
      'ulimit',
    );
    expect(await friendsIn('data')).toEqual(['mine']);
  },
);

test('of two backups into one FILE at the same time, one is refused; what a killed one has left is removed', async () => {
  await makeData('data', 'mine');
  mkdirSync(at('hub.backup.part'));
  const first = openSqlite(at('hub.backup.part/lock'));
  first.exec('BEGIN EXCLUSIVE');
  expectRefused(await runBackup(at('hub.backup'), '--data', at('data')), 'another backup');
  expect(existsSync(at('hub.backup'))).toBe(false);
  first.close();
  expect((await runBackup(at('hub.backup'), '--data', at('data'))).code).toBe(0);
  expect(readdirSync(folder.path).sort()).toEqual(['data', 'hub.backup']);
});

test('a file of yours beside FILE is kept', async () => {
  await makeData('data', 'mine');
  writeFileSync(at('hub.backup.part'), 'precious');
  expectRefused(await runBackup(at('hub.backup'), '--data', at('data')), 'hub.backup.part');
  expect(readFileSync(at('hub.backup.part'), 'utf8')).toBe('precious');
});
