/** Starts that fail for what is on the disk: one sentence each, and no stack trace; a corrupt row stops nothing. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { endHubProcesses, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';

vi.setConfig({ testTimeout: 60_000 });

const launcher = fileURLToPath(new URL('../../server/launch.mjs', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-start-failure-'));
});
afterEach(async () => {
  await endHubProcesses();
  rmSync(folder, { recursive: true, force: true });
});

function expectSentence(stderr: string, ...parts: string[]): void {
  expect(stderr).toMatch(/^presence-hub: [^\n]*\n$/);
  for (const part of parts) expect(stderr).toContain(part);
}

/** A data folder that a hub has used, changed by `sql`. */
async function usedData(sql: string): Promise<string> {
  const data = join(folder, 'data');
  const hub = startHubProcess({ HUB_DATA: data, HUB_TRANSPORT: 'ws' });
  const page = startLine(await hub.started, 'page');
  for (const user of ['7', '8']) {
    await fetch(`${page}v1/heartbeat`, { method: 'POST', body: JSON.stringify({ user, ttlMs: 3_600_000 }) });
  }
  hub.child.kill('SIGINT');
  await hub.exited;
  const db = openSqlite(join(data, 'hub.sqlite'));
  db.exec(sql);
  db.close();
  return data;
}

test.each([
  ['a file of settings that is no JSON', 'HUB_CONFIG', '{"port": 80'],
  ['a file of settings that is a list', 'HUB_CONFIG', '[]'],
  ['a file of settings nested a million deep', 'HUB_CONFIG', `{"port":${'['.repeat(1e6)}${']'.repeat(1e6)}}`],
  ['a file of settings with __proto__', 'HUB_CONFIG', '{"__proto__": {"port": 1}}'],
  ['a setting that is given twice', 'HUB_CONFIG', '{"port": 1, "HUB_PORT": 2}'],
  ['a setting of a megabyte', 'HUB_CONFIG', `{"port": "${'x'.repeat(1e6)}"}`],
  ['a name of a megabyte', 'HUB_CONFIG', `{"${'x'.repeat(1e6)}": 1}`],
  ['poll targets that are no JSON', 'HUB_POLL', '[{"user": '],
  ['poll targets nested a million deep', 'HUB_POLL', `[{"user":${'['.repeat(1e6)}${']'.repeat(1e6)}}]`],
  ['a poll target with __proto__', 'HUB_POLL', '[{"user": "7", "url": "tcp://a:1", "__proto__": {}}]'],
  [
    'a poll target with a user of a megabyte',
    'HUB_POLL',
    JSON.stringify([{ user: 'x'.repeat(1e6), url: 'tcp://a:1' }]),
  ],
])('%s (S15)', async (_, setting, content) => {
  const file = join(folder, 'file.json');
  writeFileSync(file, content);
  const exit = await startHubProcess({ [setting]: file }).exited;
  expect(exit.code).toBe(1);
  expectSentence(exit.stderr);
  expect(exit.stderr).toMatch(new RegExp(`${setting}|file\\.json`));
  expect(exit.stderr.length).toBeLessThan(600);
});

test.each(['HUB_CONFIG', 'HUB_POLL', 'HUB_TLS_CERT'])('%s that is a directory', async (setting) => {
  const settings = setting === 'HUB_TLS_CERT' ? { HUB_TLS_CERT: folder, HUB_TLS_KEY: folder } : { [setting]: folder };
  const exit = await startHubProcess(settings).exited;
  expect(exit.code).toBe(1);
  expectSentence(exit.stderr, setting);
});

describe('storage', () => {
  test('if a table is missing', async () => {
    const data = await usedData('DROP TABLE edge');
    const exit = await startHubProcess({ HUB_DATA: data }).exited;
    expect(exit.code).toBe(1);
    expectSentence(exit.stderr, 'HUB_DATA', 'edge');
  });

  test('with a corrupt row: it is named in the log and skipped, and the hub serves the others (S15)', async () => {
    const data = await usedData("UPDATE entry SET sessions = '[{' WHERE user = '7'");
    const hub = startHubProcess({ HUB_DATA: data, HUB_TRANSPORT: 'ws' });
    const page = startLine(await hub.started, 'page');
    const answer = await fetch(`${page}v1/presence?users=7,8`);
    expect(await answer.json()).toMatchObject({ entries: [{ status: 'offline' }, { status: 'online' }] });
    expect((await fetch(`${page}readyz`)).status).toBe(200);
    hub.child.kill('SIGINT');
    const { code, stderr } = await hub.exited;
    expect(code).toBe(0);
    expect(stderr).toContain('the entry of user \\"7\\"');
    expect(stderr).not.toContain('user \\"8\\"');
    expect(stderr).not.toContain('    at ');
  });

  // A limit on the size of files stands for a full disk: it holds for root, too. In blocks of 1 KiB.
  test.each([0, 4, 16, 64])('if files may have %i KiB only', needing('POSIX'), async (kib) => {
    const data = join(folder, 'data');
    mkdirSync(data);
    const env = { ...process.env, HUB_PORT: '0', HUB_TCP_PORT: '0', HUB_DATA: data, HUB_TRANSPORT: 'ws' };
    const script = `ulimit -f ${kib}; exec "$0" "$1"`;
    const child = spawn('bash', ['-c', script, process.execPath, launcher], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += String(text)));
    // With more room it may start after all, and must end cleanly then.
    child.stdout.on('data', () => child.kill('SIGINT'));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).not.toMatch(/\n? {4}at /);
    if (code !== 0) expectSentence(stderr, 'HUB_DATA');
  });
});
