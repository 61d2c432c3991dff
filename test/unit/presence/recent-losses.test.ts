/** PROTOCOL.md section 2: an unclean end found during a stall has the longer grace, though nobody knew of the stall yet. */
import { expect, it } from 'vitest';
import { RecentLosses } from '../../../server/presence/sessions/recent-losses.ts';
import type { Session } from '../../../server/presence/sessions/session.ts';
import { GRACE_MS, PresenceStage } from '../../support/presence-stage.ts';

const STALL_GRACE_MS = 25_000;

function lostAt(stage: PresenceStage, user: string): Session {
  const session = stage.begin(user);
  stage.lose(session);
  return session;
}

function settling(isAftermath: boolean) {
  const moved: Session[] = [];
  const stalls = { wallOf: () => 0, isAftermath: () => isAftermath };
  const rule = { stalls, graceMs: GRACE_MS, stallGraceMs: STALL_GRACE_MS };
  return { moved, settle: (losses: RecentLosses, monoMs: number) => losses.settle(monoMs, rule, (s) => moved.push(s)) };
}

it('lengthens the grace of what was lost since the last moment that was judged', () => {
  const stage = new PresenceStage();
  const losses = new RecentLosses();
  const judged = settling(false);
  losses.add(lostAt(stage, 'before'));
  stage.clock.pass(25);
  const found = lostAt(stage, 'in the stall');
  losses.add(found);
  judged.settle(losses, stage.clock.monoMs);
  expect(judged.moved).toEqual([]);

  const after = settling(true);
  const lostMs = stage.clock.monoMs;
  after.settle(losses, stage.clock.monoMs + 1);
  expect(after.moved).toEqual([found]);
  expect(found.waitEndsAt).toBe(lostMs + STALL_GRACE_MS);
  after.settle(losses, stage.clock.monoMs + 1);
  expect(after.moved).toEqual([found]);
});

it('ignores users that are back already', () => {
  const stage = new PresenceStage();
  const losses = new RecentLosses();
  const session = lostAt(stage, '42');
  losses.add(session);
  stage.begin('42');
  const after = settling(true);
  after.settle(losses, stage.clock.monoMs);
  expect(after.moved).toEqual([]);
});
