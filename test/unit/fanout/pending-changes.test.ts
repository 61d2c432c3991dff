/**
 * How often one user is reported (PROTOCOL.md section 4): at most every 50 ms, for all watchers and kinds of watches;
 * nothing is lost, nothing is sent twice, and no `at` covers what is still to come.
 */
import { describe, expect, it, vi } from 'vitest';
import { PendingUser } from '../../../server/fanout/delivery/pending-user.ts';
import type { Entry } from '../../../shared/messages/entry.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { Session } from '../../../server/presence/sessions/session.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { plain } from '../../support/presence-stage.ts';

const EVERY_MS = 50;

const newStage = (): FanoutStage => new FanoutStage({ reportEveryMs: EVERY_MS });

function watching(stage: FanoutStage, ...users: string[]): Peer {
  const peer = stage.open();
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

const entriesIn = (messages: readonly HubMessage[]): Entry[] =>
  messages.flatMap((message) =>
    'entries' in message ? message.entries : message.type === 'friend' && message.op === 'add' ? [message.entry] : [],
  );
const brief = (messages: readonly HubMessage[]): string[] =>
  messages.map((message) =>
    [message.type, ...entriesIn([message]).map(({ user, status }) => `${user}:${status}`)].join(' '),
  );
const reported = ({ socket }: Peer): string[] => brief(socket.take());

/** A user who has just been reported, and has changed again at once. */
function held(stage: FanoutStage, user = '7'): Session {
  const session = stage.core.begin(user);
  stage.fanout.flush();
  stage.core.clock.pass(1);
  stage.core.say(session, { status: 'busy' });
  stage.fanout.flush();
  return session;
}

describe('a user who changes', () => {
  it('is sent with the next flush after 50 ms of quiet, and else 50 ms after the last one, in its latest state (W40)', () => {
    const stage = newStage();
    const peer = watching(stage, '7');
    const session = held(stage);
    expect(reported(peer)).toEqual(['presence 7:online']);
    stage.core.clock.pass(20);
    stage.core.say(session, { status: 'away' });
    stage.core.clock.pass(EVERY_MS - 22);
    stage.fanout.flush();
    expect(reported(peer)).toEqual([]);
    stage.core.clock.pass(1);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:away']);
    stage.core.clock.pass(EVERY_MS);
    stage.core.say(session, { status: 'online' });
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:online']);
  });

  it('190 times a second for ten seconds is reported 20 times a second at most, the last state included (W40)', () => {
    const stage = newStage();
    const peer = watching(stage, '7');
    const session = stage.core.begin('7');
    for (let i = 0; i < 1900; i++) {
      stage.core.clock.pass(i % 4 === 0 ? 6 : 5);
      stage.core.say(session, { status: i % 2 === 0 ? 'busy' : 'online' });
      stage.fanout.flush();
      // Neither other watchers nor requests of this one make it more.
      if (i % 7 === 0) stage.fanout.watchUsers(stage.open().outbox, ['7'], undefined, undefined);
      if (i % 5 === 0) stage.fanout.unwatchUsers(peer.outbox, ['9'], undefined);
    }
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    const seen = entriesIn(peer.socket.take().filter(({ type }) => type === 'presence'));
    expect(seen.length).toBeLessThanOrEqual(202);
    expect(seen.length).toBeGreaterThan(150);
    expect(seen.at(-1)).toEqual(stage.core.entry('7'));
    expect(seen.every(({ v }, i) => i === 0 || v > seen[i - 1]!.v)).toBe(true);
  });

  it('holds up nobody else', () => {
    const stage = newStage();
    const peer = watching(stage, '7', '8');
    held(stage);
    stage.core.begin('8');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 8:online']);
  });

  it('is sent by a timer of its own, though nobody changes any more', async () => {
    const stage = newStage();
    const peer = watching(stage, '7');
    held(stage);
    expect(reported(peer)).toEqual(['presence 7:online']);
    stage.core.clock.pass(EVERY_MS);
    await expect.poll(() => peer.socket.take().length, { interval: 5, timeout: 5000 }).toBe(1);
  });

  it('is sent its own fold at once (W40)', () => {
    const stage = newStage();
    const peer = stage.open(plain('7'));
    stage.fanout.watchSelf(peer.outbox, '7');
    const own = stage.open(plain('7'));
    stage.fanout.watchUsers(own.outbox, ['7'], undefined, undefined);
    peer.socket.take();
    held(stage);
    expect(peer.socket.take()).toMatchObject([{ status: 'online' }, { status: 'busy' }]);
  });

  it('is sent a fold with very many devices every 50 ms at most, its last state included', () => {
    const stage = newStage();
    const own = stage.open(plain('7'));
    stage.fanout.watchSelf(own.outbox, '7');
    const label = (no: number): string => `${no}`.padEnd(60, 'x');
    for (let i = 0; i < 50; i++) stage.core.begin('7', { device: label(i) });
    stage.fanout.flush();
    expect(own.socket.take()).toHaveLength(2);
    for (let i = 0; i < 190; i++) {
      stage.core.clock.pass(5);
      stage.core.begin('7', { device: label(100 + i) });
      stage.fanout.flush();
    }
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    const seen = own.socket.take();
    expect(seen.length).toBeGreaterThan(15);
    expect(seen.length).toBeLessThanOrEqual(20);
    expect(seen.at(-1)).toMatchObject({ devices: stage.core.users.peek('7').fold.devices });
  });

  it('is sent at once when everything must be sent: before `fresh` and before draining', () => {
    const stage = newStage();
    const peer = watching(stage, '7');
    held(stage);
    stage.fanout.reports.flushAll();
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 7:busy']);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(peer)).toEqual([]);
  });
});

describe('a change that is held back', () => {
  it('is in the snapshot of a watch that begins meanwhile, and is not sent again', () => {
    const stage = newStage();
    stage.befriend('42', '7');
    const first = watching(stage, '7');
    held(stage);
    const byId = stage.open();
    stage.fanout.watchUsers(byId.outbox, ['7'], undefined, undefined);
    const byList = stage.open();
    stage.fanout.watchFriends(byList.outbox, '42', undefined, undefined);
    stage.fanout.watchUsers(first.outbox, ['9'], undefined, undefined);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(byId)).toEqual(['snapshot 7:busy']);
    expect(reported(byList)).toEqual(['snapshot 7:busy']);
    expect(reported(first)).toEqual(['presence 7:online', 'snapshot 9:offline', 'presence 7:busy']);
  });

  it('is sent if the user changed once more after that snapshot', () => {
    const stage = newStage();
    watching(stage, '7');
    const session = held(stage);
    const peer = watching(stage, '7');
    stage.core.say(session, { status: 'away' });
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:away']);
  });

  it('is in the entry of a friend added meanwhile, and is not sent again', () => {
    const stage = newStage();
    watching(stage, '7');
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    held(stage);
    stage.befriend('42', '7');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['friend 7:busy']);
  });

  it('is dropped by an unwatch, an unfriending and a close', () => {
    const stage = newStage();
    stage.befriend('42', '7');
    const [unwatched, closed, stays] = [watching(stage, '7'), watching(stage, '7'), watching(stage, '7')];
    const unfriended = stage.open();
    stage.fanout.watchFriends(unfriended.outbox, '42', undefined, undefined);
    held(stage);
    for (const { socket } of [unwatched, closed, unfriended, stays]) socket.take();
    stage.fanout.unwatchUsers(unwatched.outbox, ['7'], undefined);
    stage.unfriend('42', '7');
    stage.fanout.close(closed.outbox);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect([unwatched, closed, unfriended, stays].map(reported)).toEqual([
      ['unwatched'],
      [],
      ['friend'],
      ['presence 7:busy'],
    ]);
  });

  it('is dropped for a viewer that the user blocks meanwhile, which sees it leave instead', () => {
    const stage = newStage();
    const [eve, other] = [stage.open(plain('eve')), watching(stage, '7')];
    stage.fanout.watchUsers(eve.outbox, ['7'], undefined, undefined);
    held(stage);
    reported(eve);
    reported(other);
    void stage.blocks.block('7', 'eve');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(eve)).toEqual(['presence 7:offline']);
    expect(reported(other)).toEqual(['presence 7:busy']);
    stage.core.clock.pass(EVERY_MS);
    void stage.blocks.unblock('7', 'eve');
    expect(reported(eve)).toEqual(['presence 7:busy']);
  });

  it('of a user who went offline and then blocks a viewer reaches that viewer all the same, and once', () => {
    const stage = newStage();
    const [eve, other] = [stage.open(plain('eve')), watching(stage, '7')];
    stage.fanout.watchUsers(eve.outbox, ['7'], undefined, undefined);
    const session = stage.core.begin('7');
    stage.fanout.flush();
    stage.core.leave(session);
    stage.fanout.flush();
    reported(eve);
    reported(other);
    void stage.blocks.block('7', 'eve');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect([reported(eve), reported(other)]).toEqual([['presence 7:offline'], ['presence 7:offline']]);
  });

  it('reaches a slow reader once, with what else it missed', () => {
    const stage = newStage();
    const peer = watching(stage, '7', '8');
    peer.socket.isSlow = true;
    stage.core.begin('8');
    stage.fanout.flush(); // queued: it is behind from now on
    held(stage);
    peer.socket.isSlow = false;
    stage.drain(peer);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 8:online', 'presence 7:busy']);
  });
});

describe('what a block changes', () => {
  const eve = (stage: FanoutStage): Peer => {
    const peer = stage.open(plain('eve'));
    stage.fanout.watchUsers(peer.outbox, ['7'], undefined, undefined);
    return peer;
  };

  it('190 times a second for ten seconds is sent 20 times a second at most, the last state included, and to nobody else (W40)', async () => {
    const stage = newStage();
    const [blocked, other] = [eve(stage), watching(stage, '7')];
    stage.core.begin('7');
    stage.fanout.flush();
    for (const { socket } of [blocked, other]) socket.take();
    const edits: Promise<unknown>[] = [];
    for (let i = 0; i < 1900; i++) {
      stage.core.clock.pass(i % 4 === 0 ? 6 : 5);
      edits.push(i % 2 === 0 ? stage.blocks.block('7', 'eve') : stage.blocks.unblock('7', 'eve'));
      stage.fanout.flush();
    }
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    await Promise.all(edits);
    const seen = entriesIn(blocked.socket.take());
    expect(seen.length).toBeLessThanOrEqual(202);
    expect(seen.length).toBeGreaterThan(150);
    expect(seen.at(-1)).toEqual(stage.core.entryFor('7', plain('eve')));
    expect(seen.every(({ v }, i) => i === 0 || v > seen[i - 1]!.v)).toBe(true);
    expect(reported(other)).toEqual([]);
  });

  it('is done once it is sent: at once after 50 ms of quiet, otherwise 50 ms after the user was last reported', async () => {
    const stage = newStage();
    const blocked = eve(stage);
    stage.core.begin('7');
    stage.fanout.flush();
    reported(blocked);
    let isDone = false as boolean;
    void stage.blocks.block('7', 'eve').then(() => (isDone = true));
    await Promise.resolve();
    expect([isDone, reported(blocked)]).toEqual([false, []]);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(blocked)).toEqual(['presence 7:offline']);
    await expect.poll(() => isDone).toBe(true);
    stage.core.clock.pass(EVERY_MS);
    void stage.blocks.unblock('7', 'eve');
    expect(reported(blocked)).toEqual(['presence 7:online']);
  });

  it('hides the user at once, whenever it is sent: no snapshot, no added friend and no later change shows it', () => {
    const stage = newStage();
    stage.befriend('eve', '8');
    const blocked = eve(stage);
    stage.fanout.watchFriends(blocked.outbox, 'eve', undefined, undefined);
    const session = held(stage);
    blocked.socket.take();
    void stage.blocks.block('7', 'eve');
    stage.core.say(session, { status: 'away' });
    stage.fanout.watchUsers(blocked.outbox, ['7'], undefined, undefined);
    stage.befriend('eve', '7');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    // The snapshot has reported it, so it is not sent again.
    expect(reported(blocked)).toEqual(['snapshot 7:offline', 'friend 7:offline']);
  });

  it('is sent after a snapshot if it changed once more', () => {
    const stage = newStage();
    const blocked = eve(stage);
    held(stage);
    blocked.socket.take();
    void stage.blocks.block('7', 'eve');
    stage.fanout.watchUsers(blocked.outbox, ['7'], undefined, undefined);
    void stage.blocks.unblock('7', 'eve');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(blocked)).toEqual(['snapshot 7:offline', 'presence 7:busy']);
  });

  it('is covered by no `at` before it is sent, and others are sent no `at` that is lower for it', () => {
    const stage = newStage();
    const blocked = eve(stage);
    const other = watching(stage, '7');
    stage.core.begin('7');
    stage.fanout.flush();
    stage.core.clock.pass(5);
    void stage.blocks.block('7', 'eve');
    const { v } = stage.core.entryFor('7', plain('eve'));
    stage.core.clock.pass(5);
    for (const peer of [blocked, other]) {
      peer.socket.take();
      stage.fanout.watchUsers(peer.outbox, ['9'], undefined, undefined);
    }
    const [atOfBlocked, atOfOther] = [blocked, other].map(({ socket }) => (socket.take()[0] as { at: number }).at);
    expect(atOfBlocked).toBeLessThan(v);
    expect(atOfOther).toBe(stage.core.clock.wallMs - 1);
  });

  it('raises the version for nobody who has been shown the user already', () => {
    const stage = newStage();
    eve(stage);
    held(stage);
    const shown = watching(stage, '7');
    void stage.blocks.block('7', 'eve');
    void stage.blocks.unblock('7', 'eve');
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(reported(shown)).toEqual([]);
  });
});

describe('`at` while a change is held back', () => {
  /** The last `at` that the peer was sent. */
  const lastAt = (messages: readonly HubMessage[]): number =>
    messages.reduce((at, message) => ('at' in message && message.at !== undefined ? message.at : at), 0);

  it('is below the version of that change for those who wait for it, and a resume from there brings it (W40)', () => {
    const stage = newStage();
    const peer = watching(stage, '7', '8');
    held(stage);
    stage.core.clock.pass(5);
    stage.core.begin('8');
    stage.fanout.flush();
    const at = lastAt(peer.socket.take());
    expect(at).toBeLessThan(stage.core.entry('7').v);
    const again = stage.open();
    stage.fanout.watchUsers(again.outbox, ['7', '8'], at, undefined);
    expect(again.socket.take()).toMatchObject([{ since: at, entries: [{ user: '7', status: 'busy' }, { user: '8' }] }]);
  });

  it('is that low in a snapshot of others, too, and in what a slow reader is sent late', () => {
    const stage = newStage();
    const peer = watching(stage, '7', '8');
    held(stage);
    stage.core.clock.pass(5);
    const { v } = stage.core.entry('7');
    stage.fanout.watchUsers(peer.outbox, ['9'], undefined, undefined);
    expect(lastAt(peer.socket.take())).toBeLessThan(v);
    stage.core.begin('8');
    peer.socket.isSlow = true;
    stage.fanout.flush();
    stage.core.begin('9');
    stage.fanout.flush();
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(lastAt(peer.socket.take())).toBeLessThan(v);
  });

  it('is not changed for those who do not wait for it: a stranger, a blocked viewer, and one who has it in a snapshot', () => {
    const stage = newStage();
    const eve = stage.open(plain('eve'));
    stage.fanout.watchUsers(eve.outbox, ['7', '8'], undefined, undefined);
    void stage.blocks.block('7', 'eve');
    const stranger = watching(stage, '8');
    watching(stage, '7');
    held(stage);
    const late = watching(stage, '7', '8');
    stage.core.clock.pass(5);
    stage.core.begin('8');
    stage.fanout.flush();
    const usual = stage.core.clock.wallMs - 1;
    expect([eve, stranger, late].map(({ socket }) => lastAt(socket.take()))).toEqual([usual, usual, usual]);
  });

  it('is low enough with very many users held back, and as always once they are sent', () => {
    const stage = newStage();
    const users = Array.from({ length: 200 }, (_, i) => `u${i}`);
    const peer = watching(stage, ...users, '8');
    for (const user of users) held(stage, user);
    const lowest = Math.min(...users.map((user) => stage.core.entry(user).v));
    stage.fanout.watchUsers(peer.outbox, ['9'], undefined, undefined);
    expect(lastAt(peer.socket.take())).toBeLessThan(Math.max(...users.map((user) => stage.core.entry(user).v)));
    expect(lowest).toBeGreaterThan(0);
    stage.core.clock.pass(EVERY_MS);
    stage.fanout.flush();
    expect(lastAt(peer.socket.take())).toBe(stage.core.clock.wallMs - 1);
  });

  it('is as always for strangers, however many users are held back, and never looks at more than they watch', () => {
    const stage = newStage();
    const users = Array.from({ length: 500 }, (_, i) => `u${i}`);
    watching(stage, ...users);
    stage.befriend('42', '8', '9');
    const stranger = watching(stage, '8');
    stage.fanout.watchFriends(stranger.outbox, '42', undefined, undefined);
    stranger.socket.take();
    for (const user of users) held(stage, user);
    stage.core.clock.pass(5);
    const usual = stage.core.clock.wallMs - 1;
    stage.core.begin('8');
    stage.fanout.flush();
    expect(lastAt(stranger.socket.take())).toBe(usual);
    const asked = vi.spyOn(PendingUser.prototype, 'isPendingFor');
    stage.fanout.watchUsers(stranger.outbox, ['9'], undefined, undefined);
    expect(lastAt(stranger.socket.take())).toBe(usual);
    expect(asked).not.toHaveBeenCalled();
    asked.mockRestore();
  });

  it('is below the oldest change that the connection waits for, of very many', () => {
    const stage = newStage();
    const users = Array.from({ length: 200 }, (_, i) => `u${i}`);
    watching(stage, ...users);
    const peer = watching(stage, 'u190', 'u191', '8');
    for (const user of users) held(stage, user);
    const [first] = [stage.core.entry('u190').v, stage.core.entry('u191').v].sort((a, b) => a - b);
    stage.fanout.watchUsers(peer.outbox, ['9'], undefined, undefined);
    expect(lastAt(peer.socket.take())).toBe(first! - 1);
  });

  it('never lets a resume miss anything, whichever users change when', () => {
    const stage = newStage();
    const users = ['a', 'b', 'c', 'd'];
    const sessions = users.map((user) => stage.core.begin(user));
    const peer = watching(stage, ...users);
    const known = new Map<string, number>();
    const read = (messages: readonly HubMessage[]): void => {
      for (const { user, v } of entriesIn(messages)) known.set(user, v);
    };
    let at = 0;
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let i = 0; i < 3000; i++) {
      const who = random(users.length);
      stage.core.say(sessions[who]!, { text: String(i) });
      stage.core.clock.pass(random(9));
      if (random(3) === 0) stage.fanout.flush();
      if (random(20) === 0) stage.fanout.watchUsers(peer.outbox, [users[random(users.length)]!], undefined, undefined);
      const messages = peer.socket.take();
      read(messages);
      at = Math.max(at, lastAt(messages));
      for (const user of users) {
        const { v } = stage.core.entry(user);
        if (known.has(user) && known.get(user) !== v) expect(v, `${user} at ${i}`).toBeGreaterThan(at);
      }
    }
  });
});
