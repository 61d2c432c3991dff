/**
 * The model of the cluster's protocol holds, and is strong enough to notice that a part of the protocol is missing. The
 * model is cluster.pml; spin tries every order of its events.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { needing, programPath } from '../support/needs.ts';

const model = fileURLToPath(new URL('cluster.pml', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'hub-spin-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Returns what spin's verifier prints. */
function verify(...defines: readonly string[]): string {
  const options = { cwd: folder, encoding: 'utf8' as const };
  execFileSync(programPath('spin'), ['-a', ...defines.map((define) => `-D${define}`), model], options);
  execFileSync('cc', ['-O2', '-DSAFETY', '-DNOREDUCE', '-w', '-o', 'pan', 'pan.c'], options);
  return execFileSync('./pan', ['-m20000'], options);
}

describe('the protocol of the cluster', needing('spin'), () => {
  it.each([
    ['a failover that loses operations, and an outage', ['FAILOVERS=1', 'OUTAGES=1']],
    ['an outage, and a node that stops or dies', ['OUTAGES=1', 'STOPS=1']],
  ])(
    'keeps its promises under %s, in every order',
    (_, faults) => expect(verify(...faults)).toMatch(/errors: 0/),
    240_000,
  );

  it.each([
    ['without ids of operations a fork passes as the same history', 'NO_IDS', 'seenOnline==isShown|isShown=='],
    ['without epochs a client keeps an entry that was lost', 'NO_EPOCH', 'seenOnline==isShown'],
    ['without adds before removes a user is falsely offline', 'NO_ADDS', 'seenOnline&&'],
  ])(
    '%s',
    (_, left, violated) => {
      expect(verify('FAILOVERS=1', 'OUTAGES=1', left)).toMatch(new RegExp(`assertion violated.*(${violated})`));
    },
    240_000,
  );

  it('without a renewal before each first write, a node that was declared dead writes', () => {
    expect(verify('FAILOVERS=1', 'STOPS=1', 'NO_RENEW')).toMatch(/assertion violated.*wasFenced/);
  }, 240_000);
});
