/** A new hub is started before the old one has ended, as in a rolling update: it waits for HUB_DATA, and says so. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startHub } from '../../server/hub.ts';
import { createLog } from '../../server/lib/log/log.ts';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { TestClock } from '../support/clock.ts';
import { defaultConfig } from '../support/hub.ts';
import { endHubProcesses, freePort, holdPort, startHubProcess, type HubProcess } from '../support/hub-process.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-update-'));
});
afterEach(async () => {
  await endHubProcesses();
  rmSync(folder, { recursive: true });
});

/** Resolves when the hub has said that on stderr. */
async function says({ child }: HubProcess, words: string): Promise<void> {
  let said = '';
  for await (const text of child.stderr!.iterator({ destroyOnReturn: false })) {
    said += String(text);
    if (said.includes(words)) return;
  }
  throw new Error(`the hub ended without "${words}": ${said}`);
}
const messages = (stderr: string): string[] =>
  stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);

describe('a second hub with the data and the ports of the first', () => {
  test('waits for the end of the first, says so, and takes over (S14)', async () => {
    const port = String(await freePort());
    const settings = { HUB_DATA: folder, HUB_PORT: port, HUB_DRAIN_MS: '1000' };
    const first = startHubProcess(settings);
    await first.started;
    const second = startHubProcess(settings);
    await says(second, `HUB_DATA=${folder} is in use by another hub: waiting 15 s for its end`);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    first.child.kill('SIGTERM');
    expect(await first.exited).toMatchObject({ code: 0 });
    await second.started;
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  });

  test('ends at once and in order if it is stopped while it waits', async () => {
    const settings = { HUB_DATA: folder };
    await startHubProcess(settings).started;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const second = startHubProcess(settings);
      await says(second, 'waiting 15 s');
      const sentAt = performance.now();
      second.child.kill(signal);
      expect(await second.exited).toMatchObject({ code: 0, signal: null });
      expect(performance.now() - sentAt).toBeLessThan(5_000);
    }
  });
});

test('a hub logs its start, its leave-taking and its end', async () => {
  const hub = startHubProcess({ HUB_DATA: folder, HUB_DRAIN_MS: '100' });
  await hub.started;
  hub.child.kill('SIGTERM');
  expect(messages((await hub.exited).stderr)).toEqual([
    'the hub is ready',
    'the hub is draining: it asks its clients to reconnect',
    'the hub is stopping',
    'the hub has stopped: its ports and its data folder are free',
  ]);
});

test('a slow start is no stall: what stopped it is all that is said', async () => {
  const { port, close } = await holdPort();
  const real = new TestClock();
  const stalls: number[] = [];
  const clock = new StallClock(real, (ms) => stalls.push(ms));
  // A start that waits for this file, and a clock on which it takes a minute.
  const pollFile = join(folder, 'targets.json');
  execFileSync('mkfifo', [pollFile]);
  const starting = startHub({ ...defaultConfig, port, pollFile }, { log: createLog('silent'), clock });
  starting.catch(() => undefined);
  for (let look = 0; look < 10; look++) {
    real.pass(6_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  await writeFile(pollFile, '[]');
  await expect(starting).rejects.toThrow(/HUB_PORT/);
  expect(stalls).toEqual([]);
  await close();
});
