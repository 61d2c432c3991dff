/**
 * The SQLite store and roster pass their contracts, in a file and in memory; in a file they outlive a killed process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { StoredRoster } from '../../server/roster/port.ts';
import { SqliteRoster } from '../../server/storage/sqlite/sqlite-roster.ts';
import { openDatabase, StorageError } from '../../server/storage/sqlite/database.ts';
import type { Store } from '../../server/storage/port.ts';
import { CEILING_AHEAD_MS } from '../../server/presence/version-clock.ts';
import { SqliteStore } from '../../server/storage/sqlite/sqlite-store.ts';
import { transpile, type Transpiled } from '../support/transpile.ts';
import { lastingRosterContract, rosterContract } from './roster-contract.ts';
import { lastingStoreContract, storeContract } from './store-contract.ts';

interface Run {
  readonly store: Store;
  readonly roster: StoredRoster;
  end(): void;
}

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hub-data-'));
  undo.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

function openRun(path: string, wallMs: number): Run {
  const database = openDatabase(path, { sync: 'normal', wallMs });
  let isOpen = true;
  const end = (): void => {
    if (isOpen) database.close();
    isOpen = false;
  };
  undo.push(end);
  return { store: new SqliteStore(database, CEILING_AHEAD_MS), roster: new SqliteRoster(database), end };
}

describe.each([
  ['in a file', newFolder],
  ['in memory', () => ':memory:'],
])('%s', (_, newPath) => {
  storeContract(() => {
    const path = newPath();
    return (wallMs) => openRun(path, wallMs);
  });
  rosterContract(() => openRun(newPath(), 1000).roster);
});

describe('in a file', () => {
  lastingStoreContract(() => {
    const folder = newFolder();
    return (wallMs) => openRun(folder, wallMs);
  });
  lastingRosterContract(() => {
    const folder = newFolder();
    return () => openRun(folder, 1000);
  });
});

describe('two processes and one folder', () => {
  let script: Transpiled;
  beforeAll(() => {
    script = transpile('test/support/storage-child.ts');
  });
  afterAll(() => script.remove());

  interface Child {
    readonly process: ChildProcess;
    readonly said: string[];
    /** What it wrote to stderr. */
    readonly complaints: () => string;
    /** Resolves when the child has printed this many lines, or has ended. */
    saying(lines: number): Promise<void>;
    /** Resolves when it has ended and all that it said is in `said`. */
    readonly ended: Promise<unknown>;
  }

  function startChild(folder: string): Child {
    const child = spawn(process.execPath, [script.file, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    undo.push(() => child.kill('SIGKILL'));
    const said: string[] = [];
    const lines = createInterface(child.stdout);
    lines.on('line', (line) => said.push(line));
    const ended = Promise.all([once(child, 'close'), once(lines, 'close')]);
    const saying = async (count: number): Promise<void> => {
      while (said.length < count) {
        if ((await Promise.race([once(lines, 'line'), ended.then(() => 'ended')])) === 'ended') return;
      }
    };
    return { process: child, said, complaints: () => complaints, saying, ended };
  }

  /** The second words of the lines that begin with `first`. */
  function reported(child: Child, first: string): string[] {
    return child.said.filter((line) => line.startsWith(`${first} `)).map((line) => line.slice(first.length + 1));
  }

  test('the second is refused at once, and let in as soon as the first is killed', async () => {
    const folder = newFolder();
    const child = startChild(folder);
    await child.saying(1);
    const askedAt = performance.now();
    expect(() => openRun(folder, 2000)).toThrow(StorageError);
    expect(performance.now() - askedAt).toBeLessThan(150);
    expect(() => openRun(folder, 2000)).toThrow(
      `HUB_DATA=${folder} is in use by another hub: stop that one, or give this one a folder of its own.`,
    );
    child.process.kill('SIGKILL');
    await child.ended;
    openRun(folder, 2000);
  });

  test('the second is refused in the other direction too', async () => {
    const folder = newFolder();
    openRun(folder, 2000);
    const child = startChild(folder);
    await child.ended;
    expect(child.said).toEqual([expect.stringContaining('is in use by another hub')]);
  });

  test('a process that opens them writes no warning of an experimental feature', async () => {
    const folder = newFolder();
    openRun(folder, 2000);
    const child = startChild(folder);
    await child.ended;
    expect(child.complaints()).toBe('');
  });

  test('what a killed process had done is there, and its versions are below what is shown now (S13)', async () => {
    const folder = newFolder();
    const child = startChild(folder);
    await child.saying(300);
    child.process.kill('SIGKILL');
    await child.ended;

    const friends = reported(child, 'edge');
    const users = reported(child, 'entry');
    const ceiling = Number(reported(child, 'ceiling').at(-1));
    expect(friends.length).toBeGreaterThan(50);

    const { store, roster } = openRun(folder, 500);
    const kept = new Set(roster.friendsOf('u'));
    expect(friends.filter((friend) => !kept.has(friend))).toEqual([]);
    expect(store.state.bornAt).toBe(1000);
    expect(store.state.clockFloor).toBeGreaterThan(ceiling);
    expect(store.state.certainFrom).toBe(store.state.clockFloor);
    for (const user of users) {
      expect(store.recall(user)).toMatchObject({ v: store.state.clockFloor });
    }
  });
});
