/** Who is sent what, and when (PROTOCOL.md section 4), with sockets that only note what they are sent. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';

/** A message in few words: its type, and the users in it with their status. */
function brief(message: HubMessage): string {
  switch (message.type) {
    case 'presence':
    case 'snapshot':
      return [message.type, ...message.entries.map(({ user, status }) => `${user}:${status}`)].join(' ');
    case 'friend':
      return message.op === 'add' ? `add ${message.entry.user}:${message.entry.status}` : `remove ${message.user}`;
    case 'self':
      return `self ${message.status} ${message.devices.join('+')}`;
    default:
      return message.type;
  }
}

const reported = ({ socket }: Peer): string[] => socket.take().map(brief);

/** A peer that watches the users by id, with its snapshot already taken. */
function watching(stage: FanoutStage, ...users: string[]): Peer {
  const peer = stage.open();
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

function watchingFriendsOf(stage: FanoutStage, owner: string): Peer {
  const peer = stage.open();
  stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
  peer.socket.take();
  return peer;
}

describe('a watch', () => {
  it('of friends is answered with one entry for each, offline ones and those never seen included', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8', '9');
    stage.core.begin('7');
    stage.core.leave(stage.core.begin('8'));
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, 'q1');
    const [snapshot, ...rest] = peer.socket.take();
    expect(rest).toEqual([]);
    expect(snapshot).toEqual({
      type: 'snapshot',
      re: 'q1',
      friendsOf: '42',
      at: stage.core.clock.wallMs - 1,
      entries: ['7', '8', '9'].map((user) => stage.core.entry(user)),
    });
  });

  it('of ids is answered with them in the order asked, and echoes them', () => {
    const stage = new FanoutStage();
    stage.core.begin('9');
    const peer = stage.open();
    stage.fanout.watchUsers(peer.outbox, ['9', '7'], undefined, 5);
    expect(peer.socket.take()).toMatchObject([
      { type: 'snapshot', re: 5, users: ['9', '7'], entries: [stage.core.entry('9'), stage.core.entry('7')] },
    ]);
  });

  it('of somebody without friends is answered with an empty snapshot', () => {
    const stage = new FanoutStage();
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    const [snapshot] = peer.socket.take();
    expect(snapshot).toMatchObject({ entries: [] });
    expect(snapshot).not.toHaveProperty('since');
    expect(snapshot).not.toHaveProperty('re');
  });

  it('is sent every later change, one message a flush, one entry a user, the last of each (W39)', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7', '9');
    const session = stage.core.begin('7');
    stage.core.say(session, { status: 'busy' });
    stage.core.begin('9', { status: 'away' });
    expect(reported(peer)).toEqual([]);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:busy 9:away']);
    stage.fanout.flush();
    expect(reported(peer)).toEqual([]);
    expect(stage.deliveries).toEqual([2]);
  });

  it('is sent one change in the same words as all others who watch, and of two in their order', () => {
    const stage = new FanoutStage();
    const some = [watching(stage, '7'), watching(stage, '7', '9'), watching(stage, '7'), watching(stage, '9', '7')];
    const more = [watching(stage, '9'), watching(stage, '9'), watching(stage, '9')];
    stage.core.begin('7', { text: 'naïve 𝄞' });
    stage.core.begin('9');
    stage.fanout.flush();
    const at = `"at":${stage.core.clock.wallMs - 1}`;
    const words = (...users: string[]): string => {
      const entries = users.map((user) => JSON.stringify(stage.core.entry(user)));
      return `{"type":"presence","entries":[${entries.join(',')}],${at}}`;
    };
    expect([...some, ...more].map(({ socket }) => socket.takeRaw())).toEqual(
      [['7'], ['7', '9'], ['7'], ['7', '9'], ['9'], ['9'], ['9']].map((users) => [words(...users)]),
    );
    expect([...some, ...more].map(({ socket }) => socket.sentAsBytes)).toEqual([0, 0, 1, 0, 0, 1, 1]);
  });

  it('has an `at` below every version that comes later and not below what was sent long ago', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    const session = stage.core.begin('7');
    stage.core.clock.pass(100);
    stage.core.begin('9');
    stage.core.say(session, { text: 'hi' });
    stage.fanout.flush();
    const [message] = peer.socket.take();
    stage.core.say(session, { text: 'ho' });
    expect(message).toMatchObject({ at: stage.core.clock.wallMs - 1 });
    expect(stage.core.entry('7').v).toBeGreaterThan((message as { at: number }).at);
  });

  it('is not sent changes that nobody may see', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    const session = stage.core.begin('7', { status: 'invisible' });
    stage.core.say(session, { text: 'secret' });
    stage.core.leave(session);
    stage.fanout.flush();
    expect(reported(peer)).toEqual([]);
  });

  it('that overlaps another gets each change once', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7');
    stage.befriend('43', '7');
    const peer = watching(stage, '7');
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    stage.core.begin('7');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:online']);
  });

  it('said twice is one watch with a new snapshot, ended by one unwatch', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7');
    const peer = stage.open();
    for (const since of [undefined, undefined]) stage.fanout.watchFriends(peer.outbox, '42', since, undefined);
    for (const since of [undefined, undefined]) stage.fanout.watchUsers(peer.outbox, ['9'], since, undefined);
    expect(reported(peer)).toEqual([
      'snapshot 7:offline',
      'snapshot 7:offline',
      'snapshot 9:offline',
      'snapshot 9:offline',
    ]);
    stage.core.begin('7');
    stage.core.begin('9');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:online 9:online']);
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    stage.fanout.unwatchUsers(peer.outbox, ['9'], undefined);
    stage.core.begin('7', { status: 'busy' });
    stage.core.begin('9', { status: 'busy' });
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['unwatched', 'unwatched']);
  });

  it('begun between a change and its flush has the change in its snapshot, and not again', () => {
    const stage = new FanoutStage();
    const other = watching(stage, '7');
    stage.core.begin('7');
    const peer = stage.open();
    stage.fanout.watchUsers(peer.outbox, ['7'], undefined, undefined);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['snapshot 7:online']);
    expect(reported(other)).toEqual(['presence 7:online']);
  });

  it('of ids adds to those watched before, whose pending changes go out first', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    stage.core.begin('7');
    stage.fanout.watchUsers(peer.outbox, ['9'], undefined, undefined);
    stage.core.begin('9');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 7:online', 'snapshot 9:offline', 'presence 9:online']);
  });
});

describe('a watch with `since`', () => {
  it('of friends is sent what is newer, who was added and who was removed, and echoes it', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'changed', 'dropped', 'silent');
    stage.core.begin('silent');
    stage.core.begin('old');
    stage.core.clock.pass(1000);
    const since = stage.core.hubClock.sentUpTo(stage.core.clock.wallMs);
    stage.core.begin('changed');
    stage.befriend('42', 'old');
    stage.unfriend('42', 'dropped');
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', since, undefined);
    expect(peer.socket.take()).toMatchObject([
      { since, removed: ['dropped'], entries: [{ user: 'changed' }, { user: 'old' }] },
    ]);
  });

  it('of ids is sent what is newer', () => {
    const stage = new FanoutStage();
    stage.core.begin('silent');
    stage.core.clock.pass(1000);
    const since = stage.core.hubClock.sentUpTo(stage.core.clock.wallMs);
    stage.core.begin('changed');
    const peer = stage.open();
    stage.fanout.watchUsers(peer.outbox, ['changed', 'silent', 'never'], since, undefined);
    expect(peer.socket.take()).toMatchObject([{ since, removed: [], entries: [{ user: 'changed' }] }]);
  });

  it('misses no change of the millisecond in which `at` was taken', () => {
    const stage = new FanoutStage();
    const peer = stage.open();
    const session = stage.core.begin('7');
    stage.fanout.watchUsers(peer.outbox, ['7'], undefined, undefined);
    const [snapshot] = peer.socket.take();
    stage.core.say(session, { status: 'away' });
    const again = stage.open();
    stage.fanout.watchUsers(again.outbox, ['7'], (snapshot as { at: number }).at, undefined);
    expect(reported(again)).toEqual(['snapshot 7:away']);
  });

  it('is answered in full, without `since`, from before the hub can be sure, ahead of its clock, or beyond the tombstones (W28)', () => {
    const certainFrom = 1_767_225_600_000;
    const stage = new FanoutStage({ certainFrom });
    stage.befriend('42', '7');
    stage.core.clock.pass(5000);
    stage.core.begin('7');
    stage.core.clock.pass(5000);
    stage.lists.forgotBefore = certainFrom + 100;
    const { wallMs } = stage.core.clock;
    const isFull = (since: number, kind: 'friends' | 'ids'): boolean => {
      const peer = stage.open();
      if (kind === 'friends') stage.fanout.watchFriends(peer.outbox, '42', since, undefined);
      else stage.fanout.watchUsers(peer.outbox, ['7'], since, undefined);
      const [snapshot] = peer.socket.take();
      return !('since' in snapshot!) && !('removed' in snapshot!);
    };
    expect([0, certainFrom - 1, wallMs + 1].map((since) => isFull(since, 'ids'))).toEqual([true, true, true]);
    expect([certainFrom, wallMs - 1].map((since) => isFull(since, 'ids'))).toEqual([false, false]);
    expect([0, certainFrom + 99, wallMs + 1].map((since) => isFull(since, 'friends'))).toEqual([true, true, true]);
    expect(isFull(certainFrom + 100, 'friends')).toBe(false);
  });
});

describe('an unwatch', () => {
  it('drops what is pending of the unwatched, sends the rest, then answers (W38)', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8');
    const peer = watching(stage, '8', '9');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    for (const user of ['7', '8', '9']) stage.core.begin(user);
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    expect(reported(peer)).toEqual(['presence 8:online 9:online', 'unwatched']);
    stage.core.begin('8', { status: 'busy' });
    stage.core.begin('9', { status: 'busy' });
    stage.fanout.unwatchUsers(peer.outbox, ['9'], 'q');
    expect(peer.socket.take()).toMatchObject([
      { type: 'presence', entries: [{ user: '8' }] },
      { type: 'unwatched', re: 'q', users: ['9'] },
    ]);
  });

  it('of what was never watched is answered all the same, and ends nothing', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    stage.fanout.unwatchUsers(peer.outbox, ['9'], undefined);
    stage.core.begin('7');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['unwatched', 'unwatched', 'presence 7:online']);
  });

  it('leaves the other watchers of the same list and users as they were', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7');
    const [one, two] = [watchingFriendsOf(stage, '42'), watchingFriendsOf(stage, '42')];
    stage.fanout.unwatchFriends(one.outbox, '42', undefined);
    stage.core.begin('7');
    stage.fanout.flush();
    expect([reported(one), reported(two)]).toEqual([['unwatched'], ['presence 7:online']]);
  });

  it('lets go of users that nothing else needs', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8');
    const peer = watching(stage, '9');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    expect([...stage.core.users.held()]).toHaveLength(3);
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    stage.fanout.unwatchUsers(peer.outbox, ['9'], undefined);
    stage.fanout.dropIdleLists();
    expect([...stage.core.users.held()]).toEqual([]);
  });
});

describe('a watched friend list', () => {
  it('that grows sends the new friend with its entry, and its changes from then on (W30)', () => {
    const stage = new FanoutStage();
    stage.core.begin('7');
    const peer = watchingFriendsOf(stage, '42');
    stage.befriend('42', '7');
    stage.core.begin('7', { status: 'busy' });
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['add 7:online', 'presence 7:busy']);
  });

  it('that shrinks reports it, and nothing more of that user, pending changes included (W38)', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8');
    const peer = watchingFriendsOf(stage, '42');
    stage.core.begin('7');
    stage.core.begin('8');
    stage.unfriend('42', '7');
    stage.core.begin('7', { status: 'busy' });
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 8:online', 'remove 7']);
  });

  it('that shrinks continues to report a user that another watch covers', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7');
    const peer = watching(stage, '7');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    stage.core.begin('7');
    stage.unfriend('42', '7');
    expect(reported(peer)).toEqual(['presence 7:online', 'remove 7']);
  });

  it('sends the rest before it reports a friend, so that the versions of a user only grow (W38)', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    stage.core.begin('7');
    stage.befriend('42', '7');
    expect(reported(peer)).toEqual(['presence 7:online', 'add 7:online']);
  });

  it('that is replaced reports what was dropped and what was added, and nothing of those who stay', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8');
    const peer = watchingFriendsOf(stage, '42');
    void stage.edit(
      [
        { user: '42', friend: '9' },
        { user: '42', friend: '8' },
      ],
      [{ user: '42', friend: '7' }],
    );
    expect(reported(peer)).toEqual(['remove 7', 'add 9:offline']);
  });

  it('is not sent to those who watch another, and not read if nobody watches it', () => {
    const stage = new FanoutStage();
    const peer = watchingFriendsOf(stage, '43');
    const recalled = vi.spyOn(stage.core.users, 'peek');
    stage.befriend('42', '7');
    stage.unfriend('42', '7');
    expect(reported(peer)).toEqual([]);
    expect(recalled).not.toHaveBeenCalled();
  });
});

describe('self', () => {
  it('is one’s own true fold, now and whenever it changes, invisible or not, and said once', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('42', { status: 'invisible' });
    const peer = stage.open();
    stage.fanout.watchSelf(peer.outbox, '42');
    stage.core.say(session, { text: 'secret' });
    stage.fanout.flush();
    stage.core.begin('42', { device: 'phone' });
    stage.fanout.flush();
    stage.core.say(session, { text: 'x' });
    stage.core.say(session, { text: 'secret' });
    stage.fanout.flush();
    expect(peer.socket.take()).toEqual([
      { type: 'self', status: 'invisible', devices: ['web'] },
      { type: 'self', status: 'invisible', text: 'secret', devices: ['web'] },
      { type: 'self', status: 'invisible', text: 'secret', devices: ['phone', 'web'] },
    ]);
  });

  it('waits while the peer is behind, and is then the latest', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('42');
    const peer = stage.open();
    stage.fanout.watchSelf(peer.outbox, '42');
    peer.socket.isSlow = true;
    for (const status of ['away', 'busy', 'invisible'] as const) {
      stage.core.say(session, { status });
      stage.fanout.flush();
    }
    expect(peer.socket.queuedCount).toBe(1);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['self online web', 'self away web', 'self invisible web']);
  });
});

describe('a slow peer', () => {
  it('is sent nothing of the hub’s own accord until it drained, then the latest of each who changed', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7', '8', '9');
    peer.socket.isSlow = true;
    const session = stage.core.begin('7');
    stage.fanout.flush();
    stage.core.say(session, { status: 'busy' });
    stage.fanout.flush();
    stage.core.begin('8');
    stage.fanout.flush();
    expect(peer.socket.queuedCount).toBe(1);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 7:busy 8:online']);
    stage.core.begin('9');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence 9:online']);
  });

  it('that is slow again while it catches up keeps what comes then for the next time', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7', '8');
    peer.socket.isSlow = true;
    stage.core.begin('7');
    stage.fanout.flush();
    stage.core.begin('8');
    stage.fanout.flush();
    stage.drain(peer);
    stage.core.begin('7', { status: 'busy' });
    stage.fanout.flush();
    expect(peer.socket.queuedCount).toBe(1);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 8:online', 'presence 7:busy']);
  });

  it('is also sent what waits for a flush when it has drained: its `at` is above no unsent change', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7', '8');
    peer.socket.isSlow = true;
    stage.core.begin('7');
    stage.fanout.flush();
    stage.core.begin('7', { status: 'busy' });
    stage.fanout.flush();
    stage.core.begin('8');
    stage.core.clock.pass(1000);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 7:busy 8:online']);
  });

  it('has what is pending of an unwatched or removed user dropped', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a', 'b');
    const peer = watching(stage, 'c', 'd');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    peer.socket.isSlow = true;
    stage.core.begin('d');
    stage.fanout.flush();
    for (const user of ['a', 'b', 'c', 'd']) stage.core.begin(user, { status: 'busy' });
    stage.fanout.flush();
    stage.unfriend('42', 'a');
    stage.core.begin('d', { status: 'busy', text: 'hi' });
    stage.fanout.flush();
    stage.fanout.unwatchUsers(peer.outbox, ['d'], undefined);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence d:online', 'presence b:busy c:busy d:busy', 'remove a', 'unwatched']);
  });

  it('drops pending changes of an unwatched list, except of users that another watch covers', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a', 'b');
    const peer = watching(stage, 'b', 'c');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    peer.socket.take();
    peer.socket.isSlow = true;
    stage.core.begin('c');
    stage.fanout.flush();
    for (const user of ['a', 'b', 'c']) stage.core.begin(user, { status: 'busy' });
    stage.fanout.flush();
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence c:online', 'presence b:busy c:busy', 'unwatched']);
  });

  it('is answered, with what waits for it before the answer', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    peer.socket.isSlow = true;
    stage.core.begin('7');
    stage.fanout.flush();
    stage.core.begin('7', { status: 'busy' });
    stage.fanout.watchUsers(peer.outbox, ['7', '9'], undefined, undefined);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence 7:online', 'presence 7:busy', 'snapshot 7:busy 9:offline']);
  });

  it('does not hold up the others', () => {
    const stage = new FanoutStage();
    const [slow, fast] = [watching(stage, '7'), watching(stage, '7')];
    slow.socket.isSlow = true;
    for (const status of ['online', 'busy'] as const) {
      stage.core.begin('7', { status });
      stage.fanout.flush();
    }
    expect(reported(fast)).toEqual(['presence 7:online', 'presence 7:busy']);
  });

  it('that lets the engine drop a message is cut, after the flush', async () => {
    const stage = new FanoutStage();
    const [full, fine] = [watching(stage, '7'), watching(stage, '7')];
    full.socket.isFull = true;
    stage.core.begin('7');
    stage.fanout.flush();
    expect(full.socket.isTerminated).toBe(false);
    expect(reported(fine)).toEqual(['presence 7:online']);
    await Promise.resolve();
    expect(full.socket.isTerminated).toBe(true);
  });

  it('that was behind when the engine dropped a message goes the way of too many answers, once', async () => {
    const stage = new FanoutStage();
    const full = watching(stage, '7');
    let overflows = 0;
    full.outbox.owner = { overflowed: () => overflows++, charge: () => undefined };
    full.socket.isSlow = true;
    stage.core.begin('7');
    stage.fanout.flush();
    full.socket.isFull = true;
    for (let n = 0; n < 2; n++) stage.fanout.watchUsers(full.outbox, ['7'], undefined, undefined);
    expect(overflows).toBe(0);
    await Promise.resolve();
    expect([overflows, full.socket.isTerminated]).toEqual([1, false]);
  });
});

describe('a closed connection', () => {
  it('is sent nothing more, neither pending nor new nor what it was behind with', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7');
    const peer = watching(stage, '8');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.fanout.watchSelf(peer.outbox, '9');
    peer.socket.take();
    peer.socket.isSlow = true;
    stage.core.begin('7');
    stage.fanout.flush();
    for (const user of ['7', '8', '9']) stage.core.begin(user, { status: 'busy' });
    stage.fanout.flush();
    stage.core.begin('7', { status: 'busy', text: 'hi' });
    stage.fanout.close(peer.outbox);
    stage.fanout.flush();
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence 7:online']);
  });

  it('holds nobody in memory, and may be closed twice', () => {
    const stage = new FanoutStage();
    stage.befriend('42', '7', '8');
    const peer = watching(stage, '8', '9');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.fanout.watchSelf(peer.outbox, '42');
    stage.fanout.close(peer.outbox);
    stage.fanout.close(peer.outbox);
    stage.fanout.dropIdleLists();
    expect([...stage.core.users.held()]).toEqual([]);
  });
});

describe('the rhythm', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('flushes by itself in the same turn of the loop when the hub is idle, once for all changes of the turn', async () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7', '9');
    stage.core.begin('7');
    stage.core.begin('9');
    await new Promise(setImmediate);
    expect(reported(peer)).toEqual(['presence 7:online 9:online']);
  });

  it('waits after a flush that took long, and sends what came meanwhile within 50 ms', async () => {
    const stage = new FanoutStage();
    const peer = watching(stage, '7');
    const later = vi.spyOn(globalThis, 'setTimeout');
    let nowMs = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const send = peer.socket.send.bind(peer.socket);
    vi.spyOn(peer.socket, 'send').mockImplementation((message) => {
      nowMs += 30;
      return send(message);
    });
    stage.core.begin('7');
    await new Promise(setImmediate);
    stage.core.begin('7', { status: 'busy' });
    stage.core.begin('7', { status: 'busy', text: 'hi' });
    expect(later).toHaveBeenCalledOnce();
    expect(later.mock.calls[0]?.[1]).toBeLessThanOrEqual(20);
    await vi.waitFor(() => expect(reported(peer).at(-1)).toBe('presence 7:busy'));
  });
});

describe('a watch by id after entries were forgotten (I20)', () => {
  it('is answered in full if it names a user that seems never seen, because its entry may have been deleted since', () => {
    const stage = new FanoutStage();
    stage.core.begin('7');
    const since = stage.core.clock.wallMs;
    stage.core.pass(1000);
    stage.forgottenAt = stage.core.clock.wallMs;
    const answer = (...users: string[]): HubMessage | undefined => {
      const peer = stage.open();
      stage.fanout.watchUsers(peer.outbox, users, since, undefined);
      return peer.socket.take()[0];
    };
    expect(answer('7')).toMatchObject({ since, entries: [] });
    const full = answer('7', 'forgotten');
    expect(full).toMatchObject({ entries: [{ user: '7' }, { user: 'forgotten', v: 0 }] });
    expect(full).not.toHaveProperty('since');
  });

  it('stays a short answer if that was before its since', () => {
    const stage = new FanoutStage();
    stage.forgottenAt = stage.core.clock.wallMs;
    stage.core.pass(1000);
    const peer = stage.open();
    stage.fanout.watchUsers(peer.outbox, ['never'], stage.core.clock.wallMs, undefined);
    expect(peer.socket.take()[0]).toMatchObject({ since: stage.core.clock.wallMs, entries: [] });
  });
});
