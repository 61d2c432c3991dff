/** A token gate with an authenticator that answers when the test says so: what waits, for whom, and how much of it. */
import { describe, expect, it } from 'vitest';
import { TokenGate } from '../../../../server/adapters/tcp-xml/token-gate.ts';
import type { Verdict } from '../../../../server/auth/authenticator.ts';
import type { Heartbeat } from '../../../../server/adapters/tcp-xml/frames/decode.ts';
import { TestClock } from '../../../support/clock.ts';

const beat = (user: string, state: number, token?: string): Heartbeat => ({
  ok: true,
  user,
  state,
  device: undefined,
  ip: undefined,
  port: undefined,
  token,
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function stage() {
  const clock = new TestClock();
  const said: string[] = [];
  const asked: { token: string; answer: (verdict: Verdict) => void }[] = [];
  const grants = new TokenGate({
    authenticator: {
      withoutToken: null,
      verify: (token) => new Promise((answer) => asked.push({ token, answer })),
    },
    address: '192.0.2.1',
    clock,
    onGranted: ({ user, state }) => said.push(`${user} ${state}`),
    onRefused: (reason) => said.push(reason),
    onRenewalRefused: (reason) => said.push(`renewal ${reason}`),
    onVerify: () => undefined,
    onNotAuthorized: () => undefined,
    onExpired: (user) => said.push(`${user} ran out`),
    onSettled: () => undefined,
  });
  const take = (...beats: readonly Heartbeat[]): void => {
    for (const one of beats) grants.take(one, 'bytes');
  };
  /** Answers the oldest question. */
  const settle = async (verdict: Verdict): Promise<void> => {
    asked.shift()?.answer(verdict);
    await turn();
  };
  const good = (user: string, forMs = 60_000): Verdict => ({
    ok: true,
    identity: { user, scopes: new Set(), expiresAtMs: clock.wallMs + forMs, isOpen: false },
  });
  return { grants, clock, said, asked, take, settle, good };
}
const bad: Verdict = { ok: false, kind: 'refused', fault: 'form', why: '' };
const unavailable: Verdict = { ok: false, kind: 'unavailable', fault: 'keys', why: '', retryInMs: 1_000 };

describe('while a token is verified', () => {
  it('holds the user’s frames and nobody else’s', async () => {
    const { take, settle, said, good } = stage();
    take(beat('42', 1, 'a'), beat('42', 2));
    take(beat('7', 1, 'b'));
    expect(said).toEqual([]);
    await settle(good('42'));
    expect(said).toEqual(['42 1', '42 2']);
    await settle(good('7'));
    expect(said).toEqual(['42 1', '42 2', '7 1']);
  });

  it('keeps the last frames, and goodbyes before beats', async () => {
    const { take, settle, said, good } = stage();
    take(beat('42', 1, 'a'), beat('42', -1), ...[2, 3, 4, 5].map((state) => beat('42', state)));
    await settle(good('42'));
    expect(said).toEqual(['42 -1', '42 3', '42 4', '42 5']);
  });

  it('asks once for one token, however often it comes', async () => {
    const { take, settle, said, asked } = stage();
    take(beat('42', 1, 'a'), beat('42', 2, 'a'), beat('42', 3, 'a'));
    expect(asked).toHaveLength(1);
    await settle(bad);
    expect(said).toEqual(['unauthenticated', 'unauthenticated', 'unauthenticated']);
    expect(asked).toHaveLength(0);
  });

  it('takes no more than 128 users at a time, and refuses the next as if the keys were away', async () => {
    const { grants, take, settle, said, asked, good } = stage();
    for (let user = 0; user < 128; user++) take(beat(`${user}`, 1, `token ${user}`));
    expect(grants.isFull).toBe(true);
    take(beat('late', 1, 'late'));
    expect(said).toEqual(['unavailable']);
    expect(asked).toHaveLength(128);
    await settle(good('0'));
    take(beat('late', 1, 'late'));
    expect(asked).toHaveLength(128);
    expect(said).toEqual(['unavailable', '0 1']);
    for (let user = 1; user < 65; user++) await settle(good(`${user}`));
    expect([grants.isFull, grants.isHalfEmpty]).toEqual([false, true]);
  });

  it('says nothing any more once the connection is over', async () => {
    const { grants, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    grants.close();
    await settle(good('42'));
    expect(said).toEqual([]);
  });
});

describe('a token that can’t be judged', () => {
  it('is kept and judged again with a later frame of the user, which need not bring it (T19)', async () => {
    const { take, settle, said, asked, good, clock } = stage();
    take(beat('42', 1, 'a'));
    await settle(unavailable);
    clock.pass(999);
    take(beat('42', 2), beat('42', 2, 'a'));
    expect([said, asked.length]).toEqual([['unavailable', 'unavailable', 'unavailable'], 0]);
    clock.pass(1);
    take(beat('42', 3), beat('42', 4));
    await settle(good('42'));
    expect(said.slice(3)).toEqual(['42 3', '42 4']);
    take(beat('42', 5));
    expect([said.at(-1), asked.length]).toEqual(['42 5', 0]);
  });

  it('gives way to another one at once, and to a refusal', async () => {
    const { take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(unavailable);
    take(beat('42', 2, 'b'));
    await settle(bad);
    take(beat('42', 3));
    expect(said).toEqual(['unavailable', 'unauthenticated', 'unauthenticated']);
    take(beat('42', 4, 'c'));
    await settle(good('42'));
    expect(said.at(-1)).toBe('42 4');
  });

  it('that would renew a grant is judged again with the next frame, and asks for the plain way', async () => {
    const { grants, take, settle, said, good, asked, clock } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42'));
    take(beat('42', 1, 'b'));
    await settle(unavailable);
    expect(grants.allows('42')).toBe(false);
    clock.pass(1_000);
    take(beat('42', 2));
    expect(asked.map(({ token }) => token)).toEqual(['b']);
    await settle(good('42'));
    expect(said).toEqual(['42 1', '42 1', 'renewal unavailable', '42 2']);
    expect(grants.allows('42')).toBe(true);
  });

  it('is one of the latest 256 KiB of them (T19)', async () => {
    const { take, settle, said, clock } = stage();
    const users = Array.from({ length: 33 }, (_, user) => `${user}`);
    for (const user of users) {
      take(beat(user, 1, user.padEnd(8192, '.')));
      await settle(unavailable);
    }
    clock.pass(100);
    said.length = 0;
    take(beat('0', 1), beat('1', 1), beat('32', 1));
    expect(said).toEqual(['unauthenticated', 'unavailable', 'unavailable']);
  });
});

describe('a grant', () => {
  it('runs out by the clock at a look, once', async () => {
    const { grants, clock, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42', 1_000));
    expect(grants.nextExpiryAt).toBe(clock.monoMs + 1_000);
    clock.pass(999);
    grants.expire();
    expect(said).toEqual(['42 1']);
    clock.pass(1);
    grants.expire();
    grants.expire();
    expect(said).toEqual(['42 1', '42 ran out']);
    expect(grants.nextExpiryAt).toBe(Infinity);
  });

  it('that ran out between two looks lets no frame in', async () => {
    const { clock, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42', 1_000));
    clock.pass(1_000);
    take(beat('42', 2));
    expect(said).toEqual(['42 1', '42 ran out', 'unauthenticated']);
  });

  it('lets frames in while a fresh token is verified, and asks for each fresh one once', async () => {
    const { take, settle, said, asked, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42'));
    take(beat('42', 2, 'b'), beat('42', 3, 'b'), beat('42', 1, 'a'));
    expect(said).toEqual(['42 1', '42 2', '42 3', '42 1']);
    expect(asked).toHaveLength(1);
    await settle(bad);
    take(beat('42', 2, 'b'));
    expect(asked).toHaveLength(0);
    expect(said.slice(4)).toEqual(['renewal unauthenticated', '42 2']);
  });

  it('tries a fresh token again if the keys were unavailable', async () => {
    const { take, settle, asked, good, clock } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42'));
    take(beat('42', 1, 'b'));
    await settle(unavailable);
    take(beat('42', 1, 'b'));
    expect(asked).toHaveLength(0);
    clock.pass(1_000);
    take(beat('42', 1, 'b'));
    expect(asked).toHaveLength(1);
  });

  it('that runs out while its fresh token is verified waits for it', async () => {
    const { grants, clock, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42', 1_000));
    take(beat('42', 2, 'b'));
    clock.pass(1_000);
    grants.expire();
    take(beat('42', 3));
    expect(said).toEqual(['42 1', '42 2', '42 ran out']);
    await settle(good('42'));
    expect(said.at(-1)).toBe('42 3');
  });
});

describe('a fresh token', () => {
  it('that comes while another is verified is verified after it, the last of them alone', async () => {
    const { take, settle, said, asked, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42'));
    take(beat('42', 2, 'b'), beat('42', 3, 'c'), beat('42', 4, 'd'));
    expect(asked.map(({ token }) => token)).toEqual(['b']);
    await settle(bad);
    expect(asked.map(({ token }) => token)).toEqual(['d']);
    await settle(good('42'));
    take(beat('42', 5, 'd'));
    expect(asked).toEqual([]);
    expect(said).toEqual(['42 1', '42 2', '42 3', '42 4', 'renewal unauthenticated', '42 5']);
  });

  it('reads the frames that follow once all before them are over', async () => {
    const { clock, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42', 1_000));
    take(beat('42', 2, 'b'), beat('42', 3, 'c'));
    clock.pass(1_000);
    take(beat('42', 4));
    await settle(bad);
    await settle(good('42'));
    expect(said).toEqual(['42 1', '42 2', '42 3', '42 ran out', '42 4']);
  });

  it('that is one too many is counted, and may come again', async () => {
    const { take, settle, said, asked, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42'));
    for (let user = 0; user < 128; user++) take(beat(`u${user}`, 1, 'token'));
    take(beat('42', 2, 'b'));
    expect(said).toEqual(['42 1', 'renewal unavailable', '42 2']);
    await settle(bad);
    take(beat('42', 3, 'b'));
    expect(asked.at(-1)?.token).toBe('b');
  });

  it('whose verdict comes in the moment that the one before runs out costs the user nothing', async () => {
    const { clock, take, settle, said, good } = stage();
    take(beat('42', 1, 'a'));
    await settle(good('42', 1_000));
    take(beat('42', 2, 'b'));
    clock.pass(1_000);
    await settle(good('42'));
    take(beat('42', 3));
    expect(said).toEqual(['42 1', '42 2', '42 3']);
  });
});
