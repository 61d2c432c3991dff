/** The order in which a route is judged: the ids’ form, then permission, and only then its answer. */
import { describe, expect, it } from 'vitest';
import { everyone } from '../../../../server/auth/identity.ts';
import { bad } from '../../../../server/adapters/http/read.ts';
import { noContent } from '../../../../server/adapters/http/reply.ts';
import { route, type Call } from '../../../../server/adapters/http/route.ts';

const call: Call = {
  request: { method: 'PUT', path: '/x', query: '', headers: new Map(), remoteAddress: '', body: '' },
  params: {},
  query: new URLSearchParams(),
  identity: everyone,
  chargeFor: () => undefined,
  viewer: { user: null, isAdmin: true, follower: null, mayObserve: true },
};

function judged(isGood: boolean, isAllowed: boolean) {
  const asked: string[] = [];
  const one = route<string>({
    method: 'PUT',
    path: '/x',
    about: () => {
      asked.push('about');
      return isGood ? { ok: true, value: '42' } : bad('user: no');
    },
    may: (_identity, user) => {
      asked.push(`may ${user}`);
      return isAllowed;
    },
    answer: (_call, user) => {
      asked.push(`answer ${user}`);
      return noContent();
    },
  });
  if (one.access === 'anyone') throw new Error('it asks for nothing');
  return { judgement: one.judge(call), asked };
}

describe('a route', () => {
  it('answers 400 to bad ids before it asks who may', () => {
    const { judgement, asked } = judged(false, false);
    expect(judgement).toMatchObject({ kind: 'bad', reply: { status: 400 } });
    expect(asked).toEqual(['about']);
  });

  it('forbids before it answers', () => {
    const { judgement, asked } = judged(true, false);
    expect(judgement).toEqual({ kind: 'forbidden' });
    expect(asked).toEqual(['about', 'may 42']);
  });

  it('answers what is allowed, when it is asked to', async () => {
    const { judgement, asked } = judged(true, true);
    expect(asked).toEqual(['about', 'may 42']);
    if (judgement.kind !== 'granted') throw new Error('it was not granted');
    expect(await judgement.answer()).toMatchObject({ status: 204 });
    expect(asked).toEqual(['about', 'may 42', 'answer 42']);
  });
});
