/** What is remembered of tokens, and for how long. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Verdict } from '../../../server/auth/authenticator.ts';
import { everyone } from '../../../server/auth/identity.ts';
import { createTokenMemory, type TokenMemory } from '../../../server/auth/token-memory.ts';
import { TestClock } from '../../support/clock.ts';

const good = (user: string, expiresAtMs: number | null = null): Verdict => ({
  ok: true,
  identity: { ...everyone, user, expiresAtMs },
});
const bad: Verdict = { ok: false, kind: 'refused', fault: 'signature', why: '' };

describe('a memory of tokens', () => {
  let clock: TestClock;
  let memory: TokenMemory;
  const userOf = (digest: string) => {
    const verdict = memory.recall(digest, clock.now());
    return verdict?.ok === true ? verdict.identity.user : undefined;
  };

  beforeEach(() => {
    clock = new TestClock();
    memory = createTokenMemory({ capacity: 3, forMs: 1000 });
  });

  it('knows the user of a token, and nothing about others', () => {
    memory.remember('a', good('42'), clock.now());
    expect(userOf('a')).toBe('42');
    expect(userOf('b')).toBeUndefined();
  });

  it('forgets after its time, also what is asked for again and again', () => {
    memory.remember('a', good('42'), clock.now());
    clock.pass(999);
    expect(userOf('a')).toBe('42');
    clock.pass(1);
    expect(userOf('a')).toBeUndefined();
  });

  it('knows a bad token for as long', () => {
    memory.remember('a', bad, clock.now());
    clock.pass(999);
    expect(memory.recall('a', clock.now())).toBe(bad);
    clock.pass(1);
    expect(memory.recall('a', clock.now())).toBeUndefined();
  });

  it('forgets when the token expires by the wall clock', () => {
    memory.remember('a', good('42', clock.wallMs + 500), clock.now());
    clock.stepWall(499);
    expect(userOf('a')).toBe('42');
    clock.stepWall(1);
    expect(userOf('a')).toBeUndefined();
  });

  it('holds no more than it may, and forgets the longest unused', () => {
    for (const digest of ['a', 'b', 'c']) memory.remember(digest, good(digest), clock.now());
    userOf('a');
    memory.remember('d', good('d'), clock.now());
    expect(['a', 'b', 'c', 'd'].map(userOf)).toEqual(['a', undefined, 'c', 'd']);
  });
});
