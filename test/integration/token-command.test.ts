/** `presence-hub token`: the hub takes what it signs, for as long and for as much as it says. */
import { afterEach, describe, expect, test } from 'vitest';
import { run } from '../../server/operator/token.ts';
import { testIo } from '../support/cli-io.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET } from '../support/tokens.ts';

const env = { HUB_JWT_SECRET: TEST_SECRET };
const sign = async (args: readonly string[], settings: Readonly<Record<string, string>> = env) => {
  const io = testIo({ env: settings });
  const code = await run(args, io);
  return { code, token: io.stdout.text.trim(), err: io.stderr.text };
};

describe('a token', () => {
  let hub: TestHub | undefined;
  afterEach(() => hub?.stop());
  const start = async () => {
    const settings = { auth: 'jwt', jwtSecret: TEST_SECRET, jwtIssuer: 'me', jwtAudience: 'hub' } as const;
    hub = await startTestHub(settings, (clock) => {
      clock.wallMs = Date.now();
      return clock;
    });
  };
  const named = { ...env, HUB_JWT_ISSUER: 'me', HUB_JWT_AUDIENCE: 'hub' };
  const read = async (user: string, token: string) =>
    (await fetch(`${hub?.addresses.http}/v1/presence/${user}`, { headers: { authorization: `Bearer ${token}` } }))
      .status;

  test('is the user’s for an hour, and allows no more', async () => {
    await start();
    const { code, token } = await sign(['42'], named);
    expect([code, await read('42', token), await read('7', token)]).toEqual([0, 200, 403]);
    hub?.clock.pass(3_590_000);
    expect(await read('42', token)).toBe(200);
    hub?.clock.pass(20_000);
    expect(await read('42', token)).toBe(401);
  });

  test('has the scope and the hours that are asked for', async () => {
    await start();
    const { token } = await sign(['42', '--scope', 'observe', '--hours', '48'], named);
    hub?.clock.pass(47 * 3_600_000);
    expect(await read('7', token)).toBe(200);
  });

  test('has the issuer and audience of the settings', async () => {
    await start();
    expect(await read('42', (await sign(['42'])).token)).toBe(401);
  });
});

test.each([
  [['42'], {}, 'HUB_JWT_SECRET is not set'],
  [[], env, 'USER is missing'],
  [['a b'], env, 'USER is "a b"'],
  [['42', '--scope', 'root'], env, '--scope is "root"'],
  [['42', '--hours', '0'], env, '--hours is "0"'],
] as const)('%j is not signed, and a line says why', async (args, settings, problem) => {
  const { code, token, err } = await sign(args, settings);
  expect({ code, token }).toEqual({ code: 2, token: '' });
  expect(err).toContain(problem);
});
