/** How sessions live and end: leases, graces, goodbyes and late errors (PROTOCOL.md section 2). */
import { describe, expect, it } from 'vitest';
import { GRACE_MS, LEASE_MS, PresenceStage, TICK_MS } from '../../support/presence-stage.ts';

const counts = (stage: PresenceStage): unknown => ({ ...stage.presence.sessionCounts });
const NONE = { 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 };

it('a change names its session by adapter and id, and holds no session', () => {
  const stage = new PresenceStage();
  const session = stage.begin('42');
  const [change] = stage.changes;
  expect(change).toEqual({
    user: session.user,
    isShown: true,
    cause: 'came',
    source: { adapter: 'ws-json', session: `hub.${session.no}` },
    from: 'offline',
    at: stage.clock.wallMs,
    lapsedAt: null,
  });
});

it('what is set last has the largest stamp, also over hubs whose clocks agree', () => {
  const stage = new PresenceStage();
  const session = stage.begin('42');
  expect(session.statusSetNo).toBe(stage.clock.wallMs * 64);
  stage.say(session, { status: 'busy' });
  expect(session.statusSetNo).toBe(stage.clock.wallMs * 64 + 1);
  stage.clock.pass(5);
  const other = new PresenceStage();
  other.clock.pass(4);
  expect(stage.begin('7').statusSetNo).toBeGreaterThan(other.begin('7').statusSetNo);
});

describe('a lease', () => {
  it('runs out at its end, not before, and within one tick of the wheel', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    expect(stage.pass(LEASE_MS - 1).lapsed).toEqual([]);
    const { lapsed, changes } = stage.pass(1 + TICK_MS);
    expect(lapsed).toEqual([session]);
    expect(changes).toMatchObject([{ isShown: true, cause: 'lapsed', lapsedAt: session.endsAt }]);
    expect(session.phase).toBe('ended');
  });

  it('gets no grace when it expires (L4)', () => {
    const stage = new PresenceStage({ graceMs: 60_000 });
    stage.begin('42');
    stage.pass(LEASE_MS + TICK_MS);
    expect(stage.entry('42').status).toBe('offline');
  });

  it('is renewed by a sign of life and by a heartbeat (L1)', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.pass(LEASE_MS - 1);
    stage.renew(session);
    stage.pass(LEASE_MS - 1);
    stage.say(session, {});
    expect(stage.pass(LEASE_MS - 1).lapsed).toEqual([]);
    expect(stage.pass(1 + TICK_MS).lapsed).toEqual([session]);
  });

  it('may be made longer or shorter by a heartbeat', () => {
    const stage = new PresenceStage();
    const longer = stage.begin('42');
    const shorter = stage.begin('7');
    stage.say(longer, { leaseMs: 20_000 });
    stage.say(shorter, { leaseMs: 300 });
    expect(stage.pass(300 + TICK_MS).lapsed).toEqual([shorter]);
    expect(stage.pass(19_699 - TICK_MS).lapsed).toEqual([]);
    expect(stage.pass(1 + TICK_MS).lapsed).toEqual([longer]);
  });

  it('of a day holds for a day', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { adapter: 'http', leaseMs: 86_400_000 });
    for (let passed = 0; passed < 86_390_000; passed += 3_455_600) expect(stage.pass(3_455_600 - 1).lapsed).toEqual([]);
    expect(stage.pass(86_400_000).lapsed).toEqual([session]);
  });

  it('that ran out takes nothing from the other sessions of its user (L8)', () => {
    const stage = new PresenceStage();
    stage.begin('42', { device: 'phone', leaseMs: 60_000 });
    stage.begin('42');
    stage.pass(LEASE_MS + TICK_MS);
    expect(stage.entry('42')).toMatchObject({ status: 'online', devices: ['phone'] });
  });

  it('that ran out in one look with another of its user counts as one change, of one moment', () => {
    const stage = new PresenceStage();
    stage.begin('42', { status: 'invisible', leaseMs: LEASE_MS + 10 });
    stage.begin('42', { device: 'phone', leaseMs: LEASE_MS });
    const before = stage.entry('42');
    stage.pass(LEASE_MS + TICK_MS);
    expect(stage.users.peek('42').firstSession).toBeNull();
    expect(stage.entry('42')).toEqual(before); // nobody may see the phone flash up as the invisible one goes
  });
});

describe('an unclean end', () => {
  it('keeps the session visible for the grace, without a change (L3)', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    const before = stage.entry('42');
    expect(stage.lose(session)).toBeUndefined();
    expect(stage.pass(GRACE_MS - 1).changes).toEqual([]);
    expect(stage.entry('42')).toEqual(before);
    const { changes, lapsed } = stage.pass(1 + TICK_MS);
    expect(changes).toMatchObject([{ isShown: true }]);
    expect(lapsed).toEqual([]);
    expect(counts(stage)).toEqual(NONE);
  });

  it('has its full grace from that moment when less lease was left', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.pass(LEASE_MS - 10);
    stage.lose(session);
    stage.pass(GRACE_MS - 1);
    expect(stage.entry('42').status).toBe('online');
    stage.pass(1 + TICK_MS);
    expect(stage.entry('42').status).toBe('offline');
  });

  it('has no more than its grace when more lease was left', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { leaseMs: 86_400_000 });
    stage.lose(session);
    stage.pass(GRACE_MS + TICK_MS);
    expect(stage.entry('42').status).toBe('offline');
  });

  it('counts at once if the grace is 0', () => {
    const stage = new PresenceStage({ graceMs: 0 });
    const session = stage.begin('42');
    expect(stage.lose(session)).toMatchObject({ isShown: true });
    expect(stage.entry('42').status).toBe('offline');
  });

  it('found twice has one grace, from the first time', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.lose(session);
    stage.pass(GRACE_MS - 100);
    stage.lose(session);
    stage.pass(100 + TICK_MS);
    expect(stage.entry('42').status).toBe('offline');
  });

  it('of a session that is over takes nothing from a newer one, and counts nothing twice', () => {
    for (const graceMs of [0, GRACE_MS]) {
      const stage = new PresenceStage({ graceMs });
      const old = stage.begin('42');
      stage.lose(old);
      const young = stage.begin('42');
      const before = stage.entry('42');
      expect(old.phase).toBe('ended');
      expect([stage.lose(old), stage.giveUp(old), stage.leave(old)]).toEqual([undefined, undefined, undefined]);
      stage.pass(GRACE_MS + TICK_MS);
      expect(stage.entry('42')).toEqual(before);
      expect({ young: young.phase, old: old.phase }).toEqual({ young: 'live', old: 'ended' });
      expect(counts(stage)).toEqual({ ...NONE, 'ws-json': 1 });
    }
  });

  it('takes nothing from the other sessions of the user and device', () => {
    const stage = new PresenceStage();
    stage.begin('42');
    stage.lose(stage.begin('42'));
    expect(stage.pass(GRACE_MS + TICK_MS).changes).toEqual([]);
    expect(stage.entry('42').status).toBe('online');
  });
});

describe('a new session', () => {
  it('silently takes the place of one in its grace, of its user and device, whatever the adapter (L6)', () => {
    const stage = new PresenceStage();
    const old = stage.begin('42', { status: 'away', code: 2, text: 'lunch', adapter: 'tcp-xml' });
    const before = stage.entry('42');
    stage.lose(old);
    stage.pass(500);
    const young = stage.begin('42', { status: 'away', code: 2, text: 'lunch', adapter: 'ws-json' });
    stage.pass(GRACE_MS + TICK_MS);
    expect(stage.changes).toHaveLength(1);
    expect(stage.entry('42')).toEqual(before);
    expect([old.phase, young.phase]).toEqual(['ended', 'live']);
    expect(counts(stage)).toEqual({ ...NONE, 'ws-json': 1 });
  });

  it('brings its own status, code and text when it takes a place (L6)', () => {
    const stage = new PresenceStage();
    stage.lose(stage.begin('42', { status: 'busy', text: 'meeting' }));
    stage.begin('42', { status: 'away' });
    expect(stage.entry('42')).toMatchObject({ status: 'away', code: 2 });
    expect(stage.entry('42')).not.toHaveProperty('text');
  });

  it('may come back visible in the place of an invisible one, and invisible in that of a visible one', () => {
    const stage = new PresenceStage();
    stage.lose(stage.begin('42', { status: 'invisible' }));
    const seen = stage.begin('42');
    expect(stage.entry('42').status).toBe('online');
    stage.lose(seen);
    stage.begin('42', { status: 'invisible' });
    expect(stage.entry('42').status).toBe('offline');
  });

  it('takes one place, that of the one lost last; the others keep their grace', () => {
    const stage = new PresenceStage();
    const [first, second] = [stage.begin('42', { text: 'a' }), stage.begin('42', { text: 'b' })];
    stage.lose(second);
    stage.clock.pass(1);
    stage.lose(first);
    stage.begin('42');
    expect([first.phase, second.phase]).toEqual(['ended', 'grace']);
  });

  it('takes no place of another device or another user', () => {
    const stage = new PresenceStage();
    const [phone, other] = [stage.begin('42', { device: 'phone' }), stage.begin('7')];
    stage.lose(phone);
    stage.lose(other);
    stage.begin('42');
    expect([phone.phase, other.phase]).toEqual(['grace', 'grace']);
    expect(stage.entry('42').devices).toEqual(['phone', 'web']);
  });

  it('never ends a live one: two tabs with one device are two sessions (L6)', () => {
    const stage = new PresenceStage();
    const [one, two] = [stage.begin('42'), stage.begin('42')];
    expect([one.phase, two.phase]).toEqual(['live', 'live']);
    stage.leave(two);
    expect(stage.entry('42').status).toBe('online');
  });
});

describe('a clean end', () => {
  it('counts at once', () => {
    const stage = new PresenceStage();
    expect(stage.leave(stage.begin('42'))).toMatchObject({ isShown: true });
    expect(stage.entry('42').status).toBe('offline');
    expect(counts(stage)).toEqual(NONE);
  });

  it('also ends what is in its grace of its user and device, in one change', () => {
    const stage = new PresenceStage();
    const broken = [stage.begin('42', { status: 'busy' }), stage.begin('42', { text: 'hi' })];
    const phone = stage.begin('42', { device: 'phone', leaseMs: 60_000 });
    for (const session of [...broken, phone]) stage.lose(session);
    // It takes the place of one of them; two are left in their grace.
    const back = stage.begin('42', { status: 'away' });
    const before = stage.changes.length;
    stage.leave(back);
    expect(stage.changes).toHaveLength(before + 1);
    expect(broken.map(({ phase }) => phase)).toEqual(['ended', 'ended']);
    expect(stage.entry('42').devices).toEqual(['phone']);
  });

  it('leaves a live session of the same user and device alone', () => {
    const stage = new PresenceStage();
    const [one, two] = [stage.begin('42'), stage.begin('42')];
    expect(stage.leave(two)).toBeUndefined();
    expect(one.phase).toBe('live');
  });

  it('by a caller without a session ends the one in its grace of that user and device, and nothing else', () => {
    const stage = new PresenceStage();
    const [broken, live, phone] = [stage.begin('42'), stage.begin('42'), stage.begin('42', { device: 'phone' })];
    stage.lose(broken);
    stage.lose(phone);
    expect(stage.leaveDevice('42', 'web')).toBeUndefined();
    expect([broken.phase, live.phase, phone.phase]).toEqual(['ended', 'live', 'grace']);
    expect(stage.leaveDevice('42', 'phone')).toMatchObject({ isShown: true });
    expect(stage.entry('42').devices).toEqual(['web']);
  });

  it('of a user never seen is nothing, and holds nobody in memory', () => {
    const stage = new PresenceStage();
    expect(stage.leaveDevice('42', 'web')).toBeUndefined();
    expect([...stage.users.held()]).toEqual([]);
  });
});

describe('find', () => {
  it('finds the live session of user, device and adapter, so that over HTTP they are the session', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { adapter: 'http', device: 'cron' });
    stage.begin('42', { adapter: 'ws-json', device: 'cron' });
    expect(stage.findSession('42', 'cron', 'http')).toBe(session);
    expect(stage.findSession('42', 'web', 'http')).toBeUndefined();
    expect(stage.findSession('7', 'cron', 'http')).toBeUndefined();
  });

  it('does not find one that is over or in its grace', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { adapter: 'http' });
    stage.lose(session);
    expect(stage.findSession('42', 'web', 'http')).toBeUndefined();
    stage.leave(stage.begin('42', { adapter: 'http' }));
    expect(stage.findSession('42', 'web', 'http')).toBeUndefined();
  });
});

describe('a mass lapse', () => {
  it('comes out in bites of the budget, each user once, and says when more is due', () => {
    const stage = new PresenceStage();
    for (let i = 0; i < 10; i++) stage.begin(`u${i}`);
    stage.clock.pass(LEASE_MS + TICK_MS);
    const bites = [4, 4, 4].map((budget) => stage.presence.expire(stage.clock.now(), budget));
    expect(bites.map(({ lapsed, isMoreDue }) => [lapsed.length, isMoreDue])).toEqual([
      [4, true],
      [4, true],
      [2, false],
    ]);
    expect(new Set(bites.flatMap(({ changes }) => changes.map(({ user }) => user.id))).size).toBe(10);
  });
});

describe('the count of leases that are extended', () => {
  it('has a session with unread input once, however long it lasts', () => {
    const stage = new PresenceStage();
    const owner = { lapsed: () => undefined, pausedMs: 0 };
    const { extended } = stage.presence.leaseCounts;
    stage.begin('42', { owner });
    owner.pausedMs = LEASE_MS;
    stage.pass(LEASE_MS - 1);
    expect(extended.unread_input).toBe(0);
    for (let i = 0; i < 5; i++) expect(stage.pass(LEASE_MS / 10).lapsed).toEqual([]);
    expect(extended.unread_input).toBe(1);
    expect(stage.pass(LEASE_MS).lapsed).toHaveLength(1);
  });

  it('has it again if it was renewed in between', () => {
    const stage = new PresenceStage();
    const owner = { lapsed: () => undefined, pausedMs: 0 };
    const session = stage.begin('42', { owner });
    for (const times of [1, 2]) {
      owner.pausedMs += LEASE_MS;
      stage.pass(LEASE_MS / 2 + TICK_MS);
      stage.pass(LEASE_MS / 2);
      expect(stage.presence.leaseCounts.extended.unread_input).toBe(times);
      stage.renew(session);
      stage.pass(LEASE_MS / 2);
    }
  });
});
