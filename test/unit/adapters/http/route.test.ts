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

async function judged(isGood: boolean, isAllowed: boolean, load?: (asked: string[]) => Promise<void>) {
  const asked: string[] = [];
  const one = route<string>({
    method: 'PUT',
    path: '/x',
    about: () => {
      asked.push('about');
      return isGood ? { ok: true, value: '42' } : bad('user: no');
    },
    ...(load && { load: () => load(asked) }),
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
  return { judgement: await one.judge(call), asked };
}

describe('a route', () => {
  it('answers 400 to bad ids before it asks who may', async () => {
    const { judgement, asked } = await judged(false, false);
    expect(judgement).toMatchObject({ kind: 'bad', reply: { status: 400 } });
    expect(asked).toEqual(['about']);
  });

  it('forbids before it answers', async () => {
    const { judgement, asked } = await judged(true, false);
    expect(judgement).toEqual({ kind: 'forbidden' });
    expect(asked).toEqual(['about', 'may 42']);
  });

  it('asks who may only after what that depends on is loaded, and never if it cannot be', async () => {
    const { asked } = await judged(true, true, (order) => Promise.resolve().then(() => void order.push('loaded')));
    expect(asked).toEqual(['about', 'loaded', 'may 42']);
    await expect(judged(true, true, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('answers what is allowed, when it is asked to', async () => {
    const { judgement, asked } = await judged(true, true);
    expect(asked).toEqual(['about', 'may 42']);
    if (judgement.kind !== 'granted') throw new Error('it was not granted');
    expect(await judgement.answer()).toMatchObject({ status: 204 });
    expect(asked).toEqual(['about', 'may 42', 'answer 42']);
  });
});
