/** Requests whose cost is known only once they have begun: how many of a caller run before the first is charged. */
import { describe, expect, it } from 'vitest';
import { Callers } from '../../../../server/adapters/http/callers.ts';
import type { PageRules } from '../../../../server/adapters/http/routes/own-pages.ts';
import { aboutNobody, route, type Reply } from '../../../../server/adapters/http/route.ts';
import { createRouter } from '../../../../server/adapters/http/router.ts';
import { openAuthenticator, type Authenticator } from '../../../../server/auth/authenticator.ts';
import { staticAdmin } from '../../../../server/auth/identity.ts';
import { TurnBudget } from '../../../../server/lib/time/turn-budget.ts';
import type { HttpReply, HttpRequest } from '../../../../server/sockets/port.ts';
import { TestClock } from '../../../support/clock.ts';

const pageRules = { isPreflight: () => false, isAllowed: () => true } as unknown as PageRules;
const admins: Authenticator = {
  withoutToken: null,
  verify: () => Promise.resolve({ ok: true, identity: staticAdmin }),
};
/** What each long request costs beyond one unit, with a rate of 1000 and as large a burst. */
const COST = 200;

function stage(authenticator: Authenticator = openAuthenticator) {
  let running = 0;
  let begun = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const callers = new Callers({
    authenticator,
    messages: { perS: 1000, burst: 1000 },
    clock: new TestClock(),
    onRefused: () => undefined,
    explainRefusal: () => undefined,
  });
  const long = route({
    method: 'GET',
    path: '/long',
    isLong: true,
    about: aboutNobody,
    may: () => true,
    answer: async ({ chargeFor, query }) => {
      begun++;
      most = Math.max(most, ++running);
      if (query.has('fails')) throw new Error('it failed');
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
      chargeFor(COST * 50);
      return { status: 200, headers: {}, body: '' };
    },
  });
  const router = createRouter([long], {
    pageRules,
    callers,
    turns: new TurnBudget(),
    onRefused: () => undefined,
    onAdminChange: () => undefined,
  });
  const ask = (query = '', remoteAddress = '192.0.2.1'): Reply =>
    router({
      method: 'GET',
      path: '/long',
      query,
      headers: new Map([['authorization', 'Bearer x']]),
      remoteAddress,
      body: '',
    } satisfies HttpRequest);
  const endAll = async (replies: readonly Reply[]): Promise<HttpReply[]> => {
    let isOver = false as boolean;
    const all = Promise.all(replies.map((reply) => Promise.resolve(reply))).finally(() => (isOver = true));
    while (!isOver) {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return all;
  };
  return { ask, endAll, begun: () => begun, most: () => most };
}

const statusesOf = (replies: readonly HttpReply[], status: number): number =>
  replies.filter((reply) => reply.status === status).length;

describe('long requests of one caller', () => {
  it('are refused once those before them have used up its rate, although they came before that (H2)', async () => {
    const { ask, endAll, begun, most } = stage();
    const replies = await endAll(Array.from({ length: 500 }, () => ask()));
    expect(most()).toBe(32);
    // Those that ran when the debt began are answered, and none after them.
    expect(begun()).toBeLessThanOrEqual(40);
    expect(statusesOf(replies, 200)).toBe(begun());
    expect(statusesOf(replies, 429)).toBe(500 - begun());
  });

  it('do not keep another caller waiting', async () => {
    const { ask, endAll, begun } = stage();
    const many = Array.from({ length: 100 }, () => ask());
    const other = ask('', '198.51.100.7');
    expect(begun()).toBe(33);
    const replies = await endAll([...many, other]);
    expect(replies.at(-1)?.status).toBe(200);
  });

  it('make room for the next one also if they fail', async () => {
    const { ask, endAll } = stage();
    const failing = Array.from({ length: 40 }, () => Promise.resolve(ask('fails')).catch((error: unknown) => error));
    expect(await Promise.all(failing)).toHaveLength(40);
    expect(statusesOf(await endAll([ask()]), 200)).toBe(1);
  });

  it('all run at once for an admin, who has no rate', async () => {
    const { ask, endAll, most } = stage(admins);
    const replies = await endAll(Array.from({ length: 100 }, () => ask()));
    expect(statusesOf(replies, 200)).toBe(100);
    expect(most()).toBeGreaterThan(32);
  });
});
