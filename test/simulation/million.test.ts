/**
 * A million sessions in one core: what they weigh, that a sign of life moves nothing in the wheel, and that all of them
 * running out at once comes out whole, in bites. Nothing here is timed.
 */
import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Journal } from '../../server/presence/explain/journal.ts';
import { VersionClock } from '../../server/presence/version-clock.ts';
import type { Session, SessionOwner } from '../../server/presence/sessions/session.ts';
import { TestClock } from '../support/clock.ts';
import { buildTestCore } from '../support/presence-stage.ts';

const COUNT = 1_000_000;
const LEASE_MS = 20_000;
const BUDGET = 2_000;

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe('a million sessions', () => {
  it(
    'weigh less than 1 kB each, cost the wheel nothing while they live, and run out whole in bites',
    { timeout: 300_000 },
    () => {
      const clock = new TestClock();
      const hubClock = new VersionClock(0, () => true);
      const journal = new Journal([1, 2], clock.now().wallMs);
      const { presence } = buildTestCore({ graceMs: 2000, hubClock, journal, now: clock.now() });
      const owner: SessionOwner = { lapsed: () => {} };
      const ids = Array.from({ length: COUNT }, (_, i) => `user-${i}`);
      const sessions: Session[] = [];
      const before = heapBytes();
      for (const user of ids) {
        const claim = {
          user,
          device: 'legacy',
          adapter: 'tcp-xml',
          status: 'online',
          code: 1,
          text: undefined,
        } as const;
        sessions.push(
          presence.begin({ ...claim, leaseMs: LEASE_MS, address: '10.0.0.7:5222', owner }, clock.now()).session,
        );
      }
      expect((heapBytes() - before) / COUNT).toBeLessThan(1000);
      expect(presence.sessionCounts['tcp-xml']).toBe(COUNT);

      clock.pass(LEASE_MS - 100);
      expect(presence.expire(clock.now(), BUDGET)).toEqual({ changes: [], lapsed: [], doubted: [], isMoreDue: false });
      const ticks = sessions.map(({ wheelTick }) => wheelTick);
      for (const session of sessions) presence.renew(session, clock.now());
      expect(sessions.every(({ wheelTick }, i) => wheelTick === ticks[i])).toBe(true);

      // All are looked at once where they stood, and found alive; then they are silent, and all run out at one moment.
      let looks = 0;
      const expireAll = (): number => {
        let lapsedCount = 0;
        for (let isMoreDue = true; isMoreDue; looks++) {
          const expired = presence.expire(clock.now(), BUDGET);
          isMoreDue = expired.isMoreDue;
          if (expired.lapsed.length > BUDGET || expired.changes.length !== expired.lapsed.length)
            throw new Error('too large a bite');
          lapsedCount += expired.lapsed.length;
        }
        return lapsedCount;
      };
      clock.pass(200);
      expect(expireAll()).toBe(0);
      expect(looks).toBeGreaterThanOrEqual(COUNT / BUDGET);
      clock.pass(LEASE_MS);
      expect(expireAll()).toBe(COUNT);
      expect(presence.sessionCounts['tcp-xml']).toBe(0);
      expect(sessions.every(({ phase, user }) => phase === 'ended' && user.fold.status === 'offline')).toBe(true);
    },
  );
});
