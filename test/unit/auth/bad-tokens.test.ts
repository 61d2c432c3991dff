/** What bad tokens cost the hub, and whom: a verification is charged to the address before it is done. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator, Verdict } from '../../../server/auth/authenticator.ts';
import { createJwtAuthenticator } from '../../../server/auth/jwt-authenticator.ts';
import { TestClock } from '../../support/clock.ts';
import { TEST_SECRET, tokenFor } from '../../support/tokens.ts';

const HERE = '192.0.2.1';
const busy = (retryInMs: number) => ({
  ok: false,
  kind: 'unavailable',
  fault: 'busy',
  why: 'too many bad tokens came from its address, so it was not verified',
  retryInMs,
});

let clock: TestClock;
let authenticator: Authenticator;
const verify = (token: string, address = HERE): Promise<Verdict> => authenticator.verify(token, address);
const verifyAll = (tokens: readonly string[]): Promise<Verdict[]> => Promise.all(tokens.map((token) => verify(token)));
const good = (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => tokenFor(`good-${i}`, { clock })));
const bad = (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => tokenFor(`bad-${i}`, { clock, secret: 'x'.repeat(32) })));
const faultsOf = (verdicts: readonly Verdict[]): string[] =>
  verdicts.map((verdict) => (verdict.ok ? 'none' : verdict.fault));

beforeEach(() => {
  clock = new TestClock();
  const made = createJwtAuthenticator({ secret: TEST_SECRET, badTokens: { perS: 1, burst: 3 }, clock });
  if (!made.ok) throw new Error(made.problem);
  authenticator = made.value;
});

describe('an address that has used up its rate with bad tokens (W8)', () => {
  it('has no more of them verified, so that not even a good one is judged', async () => {
    expect(faultsOf(await verifyAll(await bad(3)))).toEqual(['signature', 'signature', 'signature']);
    const [token] = await good(1);
    expect(await verify(token!)).toEqual(busy(1000));
  });

  it('is still let in with tokens that were verified before', async () => {
    const [known] = await good(1);
    await verify(known!);
    await verifyAll(await bad(3));
    expect(await verify(known!)).toMatchObject({ ok: true });
  });

  it('has one verified for each that the rate allows, and a good one gives its charge back', async () => {
    await verifyAll(await bad(3));
    clock.pass(1000);
    expect(faultsOf(await verifyAll(await good(5)))).toEqual(Array(5).fill('none'));
  });

  it('does not get into debt, so that it waits no longer the more it sends', async () => {
    await verifyAll(await bad(100));
    const [token] = await good(1);
    clock.pass(1000);
    expect(await verify(token!)).toMatchObject({ ok: true });
  });

  it('keeps no other address from being judged, but for its IPv6 neighbours', async () => {
    const tokens = await bad(3);
    await Promise.all(tokens.map((token, i) => verify(token, `2001:db8::${i}`)));
    const [one, two] = await good(2);
    expect(await verify(one!, '2001:db8::9')).toEqual(busy(1000));
    expect(await verify(two!, '2001:db8:1::9')).toMatchObject({ ok: true });
  });
});

describe('tokens that come at once', () => {
  it('are verified for as many bad ones as the rate allows, however many there are', async () => {
    const faults = faultsOf(await verifyAll(await bad(100)));
    expect(faults.filter((fault) => fault === 'signature')).toHaveLength(3);
    expect(faults.filter((fault) => fault === 'busy')).toHaveLength(97);
  });

  it('are all let in if they are good: those beyond the rate wait for the verdicts', async () => {
    expect(faultsOf(await verifyAll(await good(100)))).toEqual(Array(100).fill('none'));
  });

  it('are let in behind bad ones that are within the rate', async () => {
    const tokens = [...(await bad(2)), ...(await good(20))];
    expect(faultsOf(await verifyAll(tokens))).toEqual(['signature', 'signature', ...Array<string>(20).fill('none')]);
  });

  it('are spread over turns of the loop', async () => {
    const tokens = await good(200);
    let turns = 0;
    let isDone = false;
    const countTurns = async (): Promise<void> => {
      for (; !isDone; turns++) await nextTurn();
    };
    const counted = countTurns();
    await Promise.all(tokens.map((token, i) => verify(token, `192.0.2.${i % 100}`)));
    isDone = true;
    await counted;
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

describe('the same bad token', () => {
  it('is verified and charged once, so that a client that repeats it costs its address nothing more (W8)', async () => {
    const [token] = await bad(1);
    for (let i = 0; i < 10; i++) expect(faultsOf([await verify(token!)])).toEqual(['signature']);
    expect(faultsOf(await verifyAll(await good(3)))).toEqual(Array(3).fill('none'));
  });

  it('is verified again after a minute', async () => {
    const token = await tokenFor('42', { clock, notBeforeInS: 320 });
    expect(faultsOf([await verify(token)])).toEqual(['nbf']);
    clock.pass(59_999);
    expect(faultsOf([await verify(token)])).toEqual(['nbf']);
    clock.pass(1);
    expect(faultsOf([await verify(token)])).toEqual(['early']);
  });

  it('keeps no good one from being remembered', async () => {
    const [known] = await good(1);
    await verify(known!);
    await Promise.all((await bad(3)).map((token) => verify(token)));
    expect(await verify(known!)).toMatchObject({ ok: true });
  });
});
