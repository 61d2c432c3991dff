/** Requests that wait for a turn of the loop: which do, in what order, and what they are charged for before that. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Callers } from '../../../../server/adapters/http/callers.ts';
import type { PageRules } from '../../../../server/adapters/http/routes/own-pages.ts';
import { aboutNobody, route, type Reply } from '../../../../server/adapters/http/route.ts';
import { createRouter } from '../../../../server/adapters/http/router.ts';
import { openAuthenticator, type Authenticator } from '../../../../server/auth/authenticator.ts';
import { everyone } from '../../../../server/auth/identity.ts';
import { TurnBudget, UNITS_PER_TURN } from '../../../../server/lib/time/turn-budget.ts';
import type { HttpReply, HttpRequest } from '../../../../server/sockets/port.ts';
import { TestClock } from '../../../support/clock.ts';

const pageRules = { isPreflight: () => false, isAllowed: () => true } as unknown as PageRules;
/** A token is as good as none, but takes a moment to be verified. */
const withTokens: Authenticator = {
  withoutToken: null,
  verify: async (token) =>
    token === 'bad' ? { ok: false, kind: 'refused', fault: 'form', why: '' } : { ok: true, identity: everyone },
};

let turns: TurnBudget;
let afterTurn: (() => void)[];
let answered: string[];

beforeEach(() => {
  afterTurn = [];
  turns = new TurnBudget((run) => afterTurn.push(run));
  answered = [];
});

function routerOf(authenticator: Authenticator, perS = 1000): (request: HttpRequest) => Reply {
  const callers = new Callers({
    authenticator,
    messages: { perS, burst: perS },
    clock: new TestClock(),
    onRefused: () => undefined,
    explainRefusal: () => undefined,
  });
  const one = route({
    method: 'POST',
    path: '/{name}',
    about: aboutNobody,
    may: () => true,
    answer: ({ params }) => {
      answered.push(params['name'] ?? '');
      return { status: 204, headers: {}, body: '' };
    },
  });
  return createRouter([one], { pageRules, callers, turns, onRefused: () => undefined, onAdminChange: () => undefined });
}

const requestOf = (name: string, { chars = 0, token = '' } = {}): HttpRequest => ({
  method: 'POST',
  path: `/${name}`,
  query: '',
  headers: new Map(token === '' ? [] : [['authorization', `Bearer ${token}`]]),
  remoteAddress: '192.0.2.1',
  body: 'x'.repeat(chars),
});
const nextTurn = async (): Promise<void> => {
  for (const run of afterTurn.splice(0)) run();
  await Promise.resolve();
};
/** Microtasks run; no turn passes. */
const settle = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await Promise.resolve();
};
const allOf = (replies: readonly Reply[]): Promise<HttpReply[]> =>
  Promise.all(replies.map((reply) => Promise.resolve(reply)));
const useUpTurn = (): void => turns.spend(UNITS_PER_TURN);

describe('a request without a token', () => {
  it('is answered at once if it is small, also in a turn that is used up', () => {
    const router = routerOf(openAuthenticator);
    useUpTurn();
    expect(router(requestOf('small', { chars: 1000 }))).toMatchObject({ status: 204 });
  });

  it('is answered at once if the turn has room for it, and later ones wait for what it takes', async () => {
    const router = routerOf(openAuthenticator);
    const large = { chars: 200_000 };
    expect(router(requestOf('first', large))).toMatchObject({ status: 204 });
    const replies = ['second', 'third'].map((name) => router(requestOf(name, large)));
    for (const reply of replies) expect(reply).toBeInstanceOf(Promise);
    expect(router(requestOf('small'))).toMatchObject({ status: 204 });
    await settle();
    expect(answered).toEqual(['first', 'small']);
    await nextTurn();
    await settle();
    // One that alone takes more than a turn has gets a turn for itself.
    expect(answered).toEqual(['first', 'small', 'second']);
    await nextTurn();
    expect(await allOf(replies)).toMatchObject([{ status: 204 }, { status: 204 }]);
    expect(answered).toEqual(['first', 'small', 'second', 'third']);
  });

  it('over its rate is refused at once, and takes nothing of the turn', async () => {
    const router = routerOf(openAuthenticator, 1);
    expect(router(requestOf('one'))).toMatchObject({ status: 204 });
    for (let n = 0; n < 10; n++) expect(router(requestOf('over', { chars: 200_000 }))).toMatchObject({ status: 429 });
    expect(turns.take(1)).toBeUndefined();
    await nextTurn();
  });
});

describe('a request with a token', () => {
  it('waits for a turn after its token was verified, since many may be verified in one', async () => {
    const router = routerOf(withTokens);
    const replies = Array.from({ length: 500 }, (_, n) => router(requestOf(String(n), { token: 'good' })));
    await settle();
    const inFirstTurn = answered.length;
    expect(inFirstTurn).toBeGreaterThan(50);
    expect(inFirstTurn).toBeLessThan(250);
    for (let n = 0; n < 3; n++) {
      await nextTurn();
      await settle();
    }
    expect(await allOf(replies)).toHaveLength(500);
    expect(answered).toEqual(Array.from({ length: 500 }, (_, n) => String(n)));
  });

  it('that is refused takes nothing of the turn', async () => {
    const router = routerOf(withTokens);
    const replies = await allOf(
      Array.from({ length: 500 }, () => router(requestOf('bad', { token: 'bad', chars: 200_000 }))),
    );
    expect(replies[0]).toMatchObject({ status: 401 });
    expect(turns.take(1)).toBeUndefined();
    expect(answered).toEqual([]);
  });
});
