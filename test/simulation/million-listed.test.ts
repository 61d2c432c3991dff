/**
 * A million present users in one core, listed while others come, go and change: pages are complete, and no turn of the
 * loop is held for more than 5 ms, also for a rare status.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { PresentUsers, type ListQuery } from '../../server/actions/present-users.ts';
import { TurnBudget } from '../../server/lib/time/turn-budget.ts';
import { PresenceStage, admin } from '../support/presence-stage.ts';
import type { PresentStatus } from '../../shared/status.ts';

const COUNT = 1_000_000;
const CHURNING = 20_000;

/** A clock that the work itself moves, as if the users between two checks of it took 0.1 ms, which is 2 µs each. */
class WorkClock {
  #now = 0;
  #turnBegan = 0;
  longestTurnMs = 0;
  #isOn = true;

  constructor() {
    const watch = (): void => {
      this.longestTurnMs = Math.max(this.longestTurnMs, this.#now - this.#turnBegan);
      this.#turnBegan = this.#now;
      if (this.#isOn) setImmediate(watch);
    };
    setImmediate(watch);
  }

  readonly nowMs = (): number => (this.#now += 0.1);

  stop(): void {
    this.#isOn = false;
  }
}

it('are listed whole under churn, in turns of at most 5 ms', { timeout: 600_000 }, async () => {
  const stage = new PresenceStage({ onChange: (change) => present.changed(change) });
  const { users } = stage;
  const work = new WorkClock();
  const present: PresentUsers = new PresentUsers({
    users,
    turns: new TurnBudget(),
    nowMs: work.nowMs,
  });
  const idOf = (i: number) => `user-${(i * 7919) % COUNT}`;
  const rare = new Set([17, 500_000, 999_999].map(idOf));
  for (let i = 0; i < COUNT; i++) {
    stage.begin(idOf(i), { status: rare.has(idOf(i)) ? 'busy' : 'online' });
    if (i % 10_000 === 0) stage.changes.length = 0;
  }
  const churners = Array.from({ length: CHURNING }, (_, i) => `churn-${i}`);
  const sessions = new Map(churners.map((id) => [id, stage.begin(id)]));
  let step = 0;
  const churn = (): void => {
    for (let n = 0; n < 20; n++) {
      const id = churners[step++ % CHURNING] as string;
      const session = sessions.get(id);
      if (session !== undefined && step % 3 === 0) {
        stage.leave(session);
        sessions.delete(id);
      } else if (session !== undefined) stage.say(session, { status: step % 2 === 0 ? 'away' : 'online' });
      else sessions.set(id, stage.begin(id));
    }
    stage.changes.length = 0;
  };
  const list = async (statuses: readonly PresentStatus[], prefix = ''): Promise<string[]> => {
    const ids: string[] = [];
    const query: ListQuery = { statuses: new Set(statuses), prefix, after: '', limit: 1000 };
    for (let after: string | null = ''; after !== null;) {
      const page = await present.page({ ...query, after }, admin);
      ids.push(...page.ids);
      after = page.next;
      churn();
      await nextTurn();
    }
    return ids;
  };

  await present.page({ statuses: new Set(['busy']), prefix: '', after: '', limit: 1 }, admin);

  const isStaying = (id: string): boolean => id.startsWith('user-');
  const everyone = await list(['online', 'away', 'busy']);
  expect(everyone.filter(isStaying)).toHaveLength(COUNT);
  expect(new Set(everyone).size).toBe(everyone.length);
  expect(everyone.every((id, i) => i === 0 || (everyone[i - 1] as string) < id)).toBe(true);

  const few = await list(['busy']);
  expect(few.filter(isStaying)).toEqual([...rare].sort());
  const some = await list(['online'], 'user-12345');
  expect(some).toEqual(
    [...Array(COUNT).keys()]
      .map((i) => `user-${i}`)
      .filter((id) => id.startsWith('user-12345') && !rare.has(id))
      .sort(),
  );

  const counts = await present.counts(admin, () => false);
  expect(counts.busy).toBe(rare.size);
  expect(counts.online + counts.away).toBe(COUNT - rare.size + sessions.size);
  work.stop();
  expect(work.longestTurnMs).toBeGreaterThan(1);
  expect(work.longestTurnMs).toBeLessThan(5);
});
