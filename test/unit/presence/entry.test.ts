/** When an entry changes, and what its times and its version say (PROTOCOL.md section 1). */
import type { User } from '../../../server/presence/user.ts';
import { describe, expect, it, vi } from 'vitest';
import { entry as entrySchema } from '../../../shared/messages/entry.ts';
import { admin, GRACE_MS, LEASE_MS, PresenceStage, TICK_MS } from '../../support/presence-stage.ts';

describe('a change', () => {
  it('is reported for status, code, devices and text, each', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    expect(stage.changes).toHaveLength(1);
    for (const said of [{ status: 'away' }, { code: 5 }, { device: 'phone' }, { text: 'hi' }, { text: '' }] as const) {
      expect(stage.say(session, said)).toMatchObject({ isShown: true });
    }
  });

  it('is not reported for a repetition, a second session that adds nothing, or a sign of life', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { text: 'hi' });
    const before = stage.entry('42');
    stage.clock.pass(100);
    stage.begin('42', { text: 'hi' });
    stage.say(session, { status: 'online', code: 1, text: 'hi', device: 'web' });
    stage.say(session, {});
    stage.renew(session);
    expect(stage.changes).toHaveLength(1);
    expect(stage.entry('42')).toEqual(before);
  });

  it('of an invisible user is reported as not shown', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { status: 'invisible' });
    expect(stage.changes.at(-1)).toMatchObject({ isShown: false });
    expect(stage.say(session, { text: 'secret' })).toMatchObject({ isShown: false });
    expect(stage.leave(session)).toMatchObject({ isShown: false });
  });

  it('makes an entry of the contract, and builds its JSON again (I15)', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { text: 'say "hi"\n' });
    for (const said of [{}, { status: 'away' }, { status: 'invisible' }, { status: 'busy', text: '' }] as const) {
      stage.say(session, said);
      const read = entrySchema.strict().parse(JSON.parse(stage.users.entryJsonFor(stage.users.peek('42'), admin)));
      expect(read).toEqual(stage.entry('42'));
    }
  });
});

describe('since (I9)', () => {
  it('is null for a user never seen', () => {
    expect(new PresenceStage().entry('42')).toMatchObject({ since: null, lastSeen: null, v: 0 });
  });

  it('is when the visible status began, and stands when only code, devices or text change', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    const from = stage.clock.wallMs;
    stage.clock.pass(10);
    stage.say(session, { code: 5 });
    stage.say(session, { text: 'hi' });
    stage.begin('42', { device: 'phone' });
    expect(stage.entry('42').since).toBe(from);
    stage.say(session, { status: 'busy' });
    expect(stage.entry('42').since).toBe(stage.clock.wallMs);
  });

  it('moves when the user goes invisible, and stands through what it does there', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.pass(10);
    stage.say(session, { status: 'invisible' });
    const gone = stage.entry('42');
    expect(gone.since).toBe(stage.clock.wallMs);
    stage.clock.pass(10);
    stage.say(session, { text: 'secret' });
    stage.begin('42', { status: 'busy', device: 'phone' });
    stage.clock.pass(10);
    stage.leave(session);
    expect(stage.entry('42').since).toBe(stage.clock.wallMs); // the phone is busy, and now seen
    expect(gone.status).toBe('offline');
  });
});

describe('lastSeen (I10)', () => {
  it('is the last sign of life, not the moment its absence was found out, after a lapse', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.pass(1234);
    stage.renew(session);
    const signAt = stage.clock.wallMs;
    stage.pass(LEASE_MS + TICK_MS);
    expect(stage.entry('42')).toMatchObject({
      status: 'offline',
      lastSeen: signAt,
      since: signAt + LEASE_MS + TICK_MS,
    });
  });

  it('is the last sign of life, not the break nor the end of the grace, after an unclean end', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.pass(100);
    stage.renew(session);
    const signAt = stage.clock.wallMs;
    stage.clock.pass(900);
    stage.lose(session);
    stage.pass(GRACE_MS + TICK_MS);
    expect(stage.entry('42')).toMatchObject({ status: 'offline', lastSeen: signAt });
  });

  it('is the goodbye after a clean end', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.pass(900);
    stage.leave(session);
    expect(stage.entry('42').lastSeen).toBe(stage.clock.wallMs);
  });

  it('is that of any session that gave it, even of one that ended before without a change', () => {
    const stage = new PresenceStage();
    const silent = stage.begin('42', { leaseMs: 20_000 });
    const lively = stage.begin('42');
    stage.clock.pass(700);
    stage.renew(lively);
    const signAt = stage.clock.wallMs;
    stage.lose(lively);
    expect(stage.pass(GRACE_MS + TICK_MS).changes).toEqual([]);
    stage.pass(20_000);
    expect(silent.phase).toBe('ended');
    expect(stage.entry('42').lastSeen).toBe(signAt);
  });

  it('is the moment of going invisible, whatever signs came after it', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.pass(500);
    stage.say(session, { status: 'invisible' });
    const goneAt = stage.clock.wallMs;
    stage.clock.pass(500);
    stage.renew(session);
    stage.say(session, { text: 'secret' });
    stage.clock.pass(500);
    stage.leave(session);
    stage.evict();
    expect(stage.entry('42')).toMatchObject({ status: 'offline', since: goneAt, lastSeen: goneAt });
  });

  it('does not move when an invisible session ends and leaves a silent visible one', () => {
    const stage = new PresenceStage();
    const phone = stage.begin('42', { device: 'phone', leaseMs: 60_000 });
    stage.clock.pass(500);
    const hidden = stage.begin('42', { status: 'invisible' });
    const goneAt = stage.clock.wallMs;
    stage.clock.pass(500);
    stage.renew(phone); // while invisible: must not be sent
    stage.lose(hidden);
    stage.pass(GRACE_MS + TICK_MS);
    expect(stage.entry('42')).toMatchObject({ status: 'online', lastSeen: goneAt });
    stage.clock.pass(50);
    stage.giveUp(phone);
    expect(stage.entry('42')).toMatchObject({ status: 'offline', lastSeen: goneAt });
  });

  it('is not in the future after the wall clock was a day ahead, and was set back (I11)', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    stage.clock.stepWall(86_400_000);
    stage.say(session, { status: 'busy' });
    const { v } = stage.entry('42');
    stage.clock.stepWall(-86_400_000);
    stage.clock.pass(10);
    stage.renew(session);
    const seenAt = stage.clock.wallMs;
    stage.clock.pass(10);
    stage.giveUp(session);
    expect(stage.entry('42')).toMatchObject({ status: 'offline', lastSeen: seenAt });
    expect(stage.entry('42').v).toBeGreaterThan(v);
  });

  it('is not in the future once a user is back who left while the wall clock was ahead', () => {
    const stage = new PresenceStage();
    stage.clock.stepWall(86_400_000);
    stage.leave(stage.begin('42'));
    stage.clock.stepWall(-86_400_000);
    stage.begin('42');
    expect(stage.entry('42')).toMatchObject({ status: 'online', lastSeen: stage.clock.wallMs });
  });
});

describe('the version (I16)', () => {
  it('grows with every change, also of many within one millisecond', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    const versions = [stage.entry('42').v];
    for (const status of ['away', 'busy', 'online', 'invisible', 'away'] as const) {
      stage.say(session, { status });
      versions.push(stage.entry('42').v);
    }
    expect(versions).toEqual(versions.map((_, i) => stage.clock.wallMs + i));
  });

  it('is 0 for a user whose first session ever is invisible, then and after its end', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { status: 'invisible', text: 'secret' });
    const never = { user: '42', status: 'offline', code: -1, since: null, lastSeen: null, devices: [], v: 0 };
    expect(stage.entry('42')).toEqual(never);
    stage.clock.pass(10);
    stage.leave(session);
    expect(stage.entry('42')).toEqual(never);
    stage.evict();
    expect([...stage.users.held()]).toEqual([]);
  });

  it('stands while nothing shown changes', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42', { status: 'invisible' });
    stage.begin('42', { status: 'busy', device: 'phone' });
    stage.clock.pass(10);
    stage.say(session, { text: 'secret' });
    stage.renew(session);
    expect(stage.entry('42').v).toBe(0);
  });

  it('grows from what the store recalls, even if that is ahead of the clock', () => {
    const stage = new PresenceStage();
    const ahead = stage.clock.wallMs + 5000;
    stage.stored.set('42', { since: 1, lastSeen: 2, v: ahead });
    expect(stage.entry('42')).toMatchObject({ status: 'offline', since: 1, lastSeen: 2, v: ahead });
    stage.begin('42');
    expect(stage.entry('42')).toMatchObject({ since: stage.clock.wallMs, lastSeen: stage.clock.wallMs, v: ahead + 1 });
  });

  it('grows through letting go and recalling', () => {
    const stage = new PresenceStage();
    let last = 0;
    for (let i = 0; i < 3; i++) {
      stage.leave(stage.begin('42'));
      const entry = stage.entry('42');
      expect(entry.v).toBeGreaterThan(last);
      last = entry.v;
      stage.evict();
      expect([...stage.users.held()]).toEqual([]);
      expect(stage.entry('42')).toEqual(entry);
    }
  });

  it('of a forgotten user is 0, and above every earlier one once the user is back (I20)', () => {
    const stage = new PresenceStage();
    stage.leave(stage.begin('42'));
    const { v } = stage.entry('42');
    stage.evict();
    stage.stored.delete('42');
    stage.clock.pass(60_000);
    expect(stage.entry('42')).toMatchObject({ since: null, lastSeen: null, v: 0 });
    stage.begin('42');
    expect(stage.entry('42').v).toBeGreaterThan(v);
  });

  it('does not go back when the wall clock does', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    const { v } = stage.entry('42');
    stage.clock.stepWall(-3_600_000);
    stage.say(session, { status: 'away' });
    expect(stage.entry('42').v).toBe(v + 1);
    stage.begin('7');
    expect(stage.entry('7').v).toBeGreaterThanOrEqual(v);
  });
});

describe('a user in memory', () => {
  it('is let go only without a session, without an audience, and once stored', () => {
    const stage = new PresenceStage();
    const session = stage.begin('42');
    const { user } = session;
    stage.evict();
    expect(stage.users.peek('42')).toBe(user);
    stage.leave(session);
    stage.users.release(user);
    expect(stage.users.peek('42')).toBe(user);
    user.audience = { isEmpty: false };
    stage.evict();
    expect(stage.users.peek('42')).toBe(user);
    user.audience = { isEmpty: true };
    stage.evict();
    expect(stage.users.peek('42')).not.toBe(user);
  });

  it('is not held by a look', () => {
    const stage = new PresenceStage();
    stage.users.peek('42');
    expect([...stage.users.held()]).toEqual([]);
    expect(stage.users.acquire('42')).toBe(stage.users.peek('42'));
  });
});

describe('an answer whose time must reveal nothing to its reader', () => {
  const eve = { user: 'eve', isAdmin: false, follower: 'eve', mayObserve: true };
  const offline = ['gone', 'hidden', 'hidden with forty sessions', 'blocking', 'blocking with forty sessions'];

  /** Users who are shown offline to eve for different reasons, all seen before, and nobody watches them. */
  function stageOfOffline({ hidesLastSeen = false } = {}): PresenceStage {
    const stage = new PresenceStage({ hidesLastSeen });
    const { users, ledger } = stage;
    for (const user of offline) {
      const count = user.includes('forty') ? 40 : 1;
      const sessions = Array.from({ length: count }, (_, i) => stage.begin(user, { device: `d${i}`, text: 'x' }));
      if (user === 'gone') stage.leave(sessions[0]!);
      if (user.startsWith('hidden')) stage.say(sessions[0]!, { status: 'invisible' });
      if (!user.startsWith('blocking')) continue;
      users.hide(user, 'eve', ledger.freeze(users.peek(user), stage.clock.now()));
    }
    stage.evict();
    return stage;
  }

  /** What a piece of work asks of the store and of the JSON functions. */
  function workOf(stage: PresenceStage, work: () => void): object {
    let recalls = 0;
    stage.onRecall = () => recalls++;
    const parse = vi.spyOn(JSON, 'parse');
    const stringify = vi.spyOn(JSON, 'stringify');
    work();
    const done = { recalls, parses: parse.mock.calls.length, strings: stringify.mock.calls.length };
    parse.mockRestore();
    stringify.mockRestore();
    return done;
  }

  it('costs one look in the store and one new JSON text for each user who is shown offline, each time', () => {
    for (const hidesLastSeen of [false, true]) {
      const stage = stageOfOffline({ hidesLastSeen });
      for (const user of [...offline, ...offline])
        expect(
          workOf(stage, () => stage.users.peekAs(user, eve)),
          user,
        ).toEqual({ recalls: 1, parses: 0, strings: 1 });
    }
  });

  it('is what any other reader of that kind is shown', () => {
    for (const hidesLastSeen of [false, true]) {
      const stage = stageOfOffline({ hidesLastSeen });
      stage.begin('here');
      for (const viewer of [eve, admin])
        for (const user of [...offline, 'here', 'never'])
          expect(JSON.parse(stage.users.peekAs(user, viewer))).toEqual(stage.entryFor(user, viewer));
    }
  });

  it('costs the first watcher of each of them the same, and the next watcher nothing', () => {
    for (const user of offline) {
      const stage = stageOfOffline();
      for (const { id } of stage.users.held()) stage.users.peekAs(id, eve);
      stage.entryFor(user, eve);
      const watch = (): void => {
        stage.users.entryJsonFor(stage.users.acquireAll([user], eve)[0] as User, eve);
      };
      expect(workOf(stage, watch), user).toEqual({ recalls: 1, parses: 0, strings: 1 });
      stage.users.peek(user).audience = { isEmpty: false };
      expect(workOf(stage, watch), user).toEqual({ recalls: 0, parses: 0, strings: 0 });
    }
  });
});
