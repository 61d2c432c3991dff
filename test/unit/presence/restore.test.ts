/** What a restart of the hub restores (PROTOCOL.md section 2): live sessions wait for their users, and nobody is notified. */
import { describe, expect, it } from 'vitest';
import type { RestoredSession } from '../../../server/presence/sessions/restored-session.ts';
import { PresenceStage } from '../../support/presence-stage.ts';

const WARM_MS = 25_000;

function stageWith(...sessions: Partial<RestoredSession>[]): PresenceStage {
  const stage = new PresenceStage();
  const { wallMs } = stage.clock;
  const entry = { since: wallMs - 9000, lastSeen: wallMs - 9000, v: 17 };
  const whole = sessions.map((session, i) => ({
    adapter: 'ws-json',
    device: 'web',
    status: 'online' as const,
    code: 1,
    text: '',
    statusSetNo: i + 1,
    textSetNo: 0,
    startedAt: wallMs - 8000 + i,
    lastSignAt: wallMs - 4000,
    leaseEndsAt: wallMs + 21_000,
    ...session,
  }));
  stage.presence.restore('42', entry, whole, WARM_MS, stage.clock.now());
  return stage;
}

describe('a restored user', () => {
  it('is shown as it was, at the same version, and nobody is notified', () => {
    const stage = stageWith({ status: 'busy', code: 3, text: 'x', textSetNo: 5 }, { device: 'phone' });
    expect(stage.entry('42')).toMatchObject({ status: 'busy', code: 3, text: 'x', devices: ['phone', 'web'], v: 17 });
    expect(stage.changes).toEqual([]);
    expect(stage.presence.restoredCount).toBe(2);
  });

  it('whose device is back stays, on that session’s own word, and still nobody is notified', () => {
    const stage = stageWith({});
    stage.begin('42');
    stage.clock.pass(WARM_MS + 1000);
    expect(stage.changes).toEqual([]);
    expect(stage.presence.restoredCount).toBe(0);
  });

  it('who does not come back goes once the warm time is over, last seen when it really was', () => {
    const stage = stageWith({}, { device: 'phone', lastSignAt: 0 });
    const lastSignAt = stage.clock.wallMs - 4000;
    stage.pass(WARM_MS - 100);
    expect(stage.entry('42').status).toBe('online');
    stage.pass(200);
    expect(stage.changes).toHaveLength(1);
    expect(stage.entry('42')).toMatchObject({ status: 'offline', lastSeen: lastSignAt });
  });

  it('keeps the rest of its own lease over HTTP, and a beat there takes it up again as it stands (L13)', () => {
    const stage = stageWith({ adapter: 'http', device: 'cron', status: 'away', code: 2 });
    expect(stage.presence.restoredCount).toBe(1);
    const session = stage.findSession('42', 'cron', 'http')!;
    stage.say(session, { leaseMs: 60_000 });
    expect(stage.presence.restoredCount).toBe(0);
    stage.pass(59_000);
    expect(stage.entry('42')).toMatchObject({ status: 'away' });

    const long = stageWith({ adapter: 'http', device: 'cron', leaseEndsAt: stage.clock.wallMs + 3_600_000 });
    expect(long.presence.restoredCount).toBe(0);
    long.pass(WARM_MS + 1000);
    expect(long.entry('42').status).toBe('online');
  });

  it('who was invisible stays so until a message of its own, though other sessions wait longer (L14)', () => {
    const stage = stageWith(
      { status: 'invisible' },
      { adapter: 'http', device: 'cron', leaseEndsAt: 1_767_225_600_000 + 3_600_000 },
    );
    expect(stage.entry('42').status).toBe('offline');
    stage.pass(WARM_MS + 1000);
    expect(stage.entry('42').status).toBe('offline');
    stage.pass(3_600_000);
    expect(stage.changes.filter(({ isShown }) => isShown)).toEqual([]);
  });

  it('ends at once with a goodbye of its device', () => {
    const stage = stageWith({});
    stage.leaveDevice('42', 'web');
    expect(stage.entry('42').status).toBe('offline');
  });
});
