/** Runs of this test suite on a machine without Chromium: what their last line says, and what CI makes of it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { skippedLine } from '../support/skipped-reporter.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));

/** Runs one small test that needs Chromium. */
async function runWithoutChromium(env: NodeJS.ProcessEnv = {}) {
  // Of the run that this test is part of, the inner one must know nothing.
  const outer = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('VITEST') && name !== 'CI' && name !== 'TEST_RESULTS',
  );
  const child = spawn(process.execPath, [vitest, 'run', 'test/browser/react-hydration.test.ts'], {
    cwd: repository,
    env: { ...Object.fromEntries(outer), CHROMIUM: '/nowhere/chromium', NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lastLine: stdout.trim().split('\n').at(-1), stderr };
}

const WITHOUT_CHROMIUM = 'SKIPPED 1 test: Chromium not found (1: install chromium, or set CHROMIUM to its path)';

it('a run without Chromium succeeds, and its last line says which tests it skipped and why', async () => {
  expect(await runWithoutChromium()).toMatchObject({ code: 0, lastLine: WITHOUT_CHROMIUM });
});

it('CI fails without Chromium, and says so', async () => {
  const { code, stderr } = await runWithoutChromium({ CI: 'true' });
  expect(code).toBe(1);
  expect(stderr).toContain('Chromium not found, and CI needs it: install chromium, or set CHROMIUM to its path');
});

it('the line has each reason once, the most frequent first, and none if nothing was skipped', () => {
  const chromium = { reason: 'Chromium not found', remedy: 'install chromium' };
  const nginx = { reason: 'nginx not found', remedy: 'install nginx' };
  const offline = { reason: 'npm registry not reached', remedy: '' };
  expect(skippedLine([nginx, chromium, undefined, chromium, offline])).toBe(
    'SKIPPED 5 tests: Chromium not found (2: install chromium), nginx not found (1: install nginx), no reason given (1), npm registry not reached (1)',
  );
  expect(skippedLine([])).toBeUndefined();
});
