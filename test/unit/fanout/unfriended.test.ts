/** Watches that end because they are no longer allowed: unfriended, or a token that allows less (PROTOCOL.md sections 4 and 7). */
import { describe, expect, it, vi } from 'vitest';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { Viewer } from '../../../server/presence/viewer.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { admin, observer, plain } from '../../support/presence-stage.ts';

function brief(message: HubMessage): string {
  switch (message.type) {
    case 'presence':
    case 'snapshot':
      return [message.type, ...message.entries.map(({ user, status }) => `${user}:${status}`)].join(' ');
    case 'friend':
      return message.op === 'add' ? `add ${message.entry.user}` : `remove ${message.user}`;
    case 'unwatched':
      return `unwatched ${'users' in message ? message.users.join(' ') : `friends of ${message.friendsOf}`}`;
    default:
      return message.type;
  }
}

const reported = ({ socket }: Peer): string[] => socket.take().map(brief);

function watching(stage: FanoutStage, viewer: Viewer, ...users: string[]): Peer {
  const peer = stage.open(viewer);
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

describe('the end of a friendship', () => {
  it('ends the watches by id of the former friend before the edit returns, and says so (W31, H10)', () => {
    const stage = new FanoutStage();
    stage.befriend('anna', 'bob', 'carl');
    const peers = [watching(stage, plain('anna'), 'bob', 'carl'), watching(stage, plain('anna'), 'bob')];
    stage.unfriend('anna', 'bob');
    expect(peers.map(({ socket }) => socket.take())).toEqual([
      [{ type: 'unwatched', users: ['bob'] }],
      [{ type: 'unwatched', users: ['bob'] }],
    ]);
    for (const user of ['bob', 'carl']) stage.core.begin(user);
    stage.fanout.flush();
    expect(peers.map(reported)).toEqual([['presence carl:online'], []]);
    expect(peers.map(({ outbox }) => outbox.watchCount)).toEqual([1, 0]);
  });

  it('hands nothing more of the former friend to the socket, pending or behind, whatever order it was watched in', () => {
    const stage = new FanoutStage();
    stage.befriend('anna', 'bob', 'carl');
    const peers = [stage.open(plain('anna')), stage.open(plain('anna'))];
    for (const [n, { outbox, socket }] of peers.entries()) {
      if (n === 0) stage.fanout.watchFriends(outbox, 'anna', undefined, undefined);
      stage.fanout.watchUsers(outbox, ['bob', 'carl'], undefined, undefined);
      if (n === 1) stage.fanout.watchFriends(outbox, 'anna', undefined, undefined);
      socket.take();
    }
    peers[1]!.socket.isSlow = true;
    stage.core.begin('carl');
    stage.fanout.flush();
    stage.core.begin('bob');
    stage.core.begin('carl', { status: 'busy' });
    stage.fanout.flush();
    peers[0]!.socket.take();
    stage.core.begin('bob', { status: 'busy' });
    stage.unfriend('anna', 'bob');
    stage.core.begin('bob', { status: 'busy', text: 'secret' });
    stage.fanout.flush();
    peers[1]!.socket.isSlow = false;
    stage.drain(peers[1]!);
    expect(reported(peers[0]!)).toEqual(['remove bob', 'unwatched bob']);
    expect(reported(peers[1]!)).toEqual(['presence carl:online', 'presence carl:busy', 'remove bob', 'unwatched bob']);
  });

  it('ends no watch of those who may observe, of others, nor of the other direction', () => {
    const stage = new FanoutStage();
    stage.befriend('anna', 'bob');
    stage.befriend('bob', 'anna');
    const kept = [
      watching(stage, observer('anna'), 'bob'),
      watching(stage, plain('carl'), 'bob'),
      watching(stage, admin, 'bob'),
      watching(stage, plain('bob'), 'anna'),
    ];
    stage.unfriend('anna', 'bob');
    expect(kept.flatMap(reported)).toEqual([]);
    for (const user of ['anna', 'bob']) stage.core.begin(user);
    stage.fanout.flush();
    expect(kept.flatMap(reported)).toEqual([
      'presence bob:online',
      'presence bob:online',
      'presence bob:online',
      'presence anna:online',
    ]);
  });

  it('with very many at once is sent in messages of at most a thousand, and owes a slow peer none of them', () => {
    const stage = new FanoutStage();
    const friends = Array.from({ length: 2100 }, (_, n) => `f${n}`);
    stage.befriend('anna', ...friends);
    const peer = watching(stage, plain('anna'), ...friends);
    peer.socket.isSlow = true;
    for (const status of ['away', 'busy', 'online', 'busy'] as const) {
      stage.core.begin('f1', { status, text: status });
      stage.fanout.flush();
    }
    stage.unfriend('anna', ...friends);
    peer.socket.isSlow = false;
    stage.drain(peer);
    const messages = peer.socket.take().slice(1);
    expect(messages.map((message) => [message.type, 'users' in message && message.users.length])).toEqual([
      ['unwatched', 1000],
      ['unwatched', 1000],
      ['unwatched', 100],
    ]);
    expect([...stage.core.users.held()].map(({ id }) => id)).toEqual(['f1']);
  });
});

it('the end of a friendship ends the watch of an admin who may not observe, too: it had it as a friend', () => {
  const stage = new FanoutStage();
  stage.befriend('anna', 'bob');
  const peer = watching(stage, { ...admin, follower: 'anna', mayObserve: false }, 'bob');
  stage.unfriend('anna', 'bob');
  expect(reported(peer)).toEqual(['unwatched bob']);
  stage.core.begin('bob');
  stage.fanout.flush();
  expect(reported(peer)).toEqual([]);
});

describe('a token that allows less', () => {
  it('ends the watches that it does not allow, drops what waits of them, and says so without `re`', () => {
    const stage = new FanoutStage();
    stage.befriend('anna', 'bob');
    stage.befriend('other', 'dora');
    const peer = watching(stage, observer('anna'), 'bob', 'carl', 'dora');
    for (const owner of ['anna', 'other']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    for (const user of ['bob', 'carl', 'dora']) stage.core.begin(user);
    stage.fanout.endNotAllowed(peer.outbox, { friendsOf: (owner) => owner === 'anna', user: (id) => id === 'bob' }, 10);
    stage.fanout.changeViewer(peer.outbox, plain('anna'));
    const messages = peer.socket.take();
    expect(messages.map(brief)).toEqual(['presence bob:online', 'unwatched friends of other', 'unwatched carl dora']);
    expect(messages.some((message) => 're' in message)).toBe(false);
  });

  it('that allows as much ends nothing and says nothing', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, observer('anna'), 'bob');
    expect(stage.fanout.endNotAllowed(peer.outbox, { friendsOf: () => true, user: () => true }, 10)).toBe(0);
    stage.fanout.changeViewer(peer.outbox, observer('anna'));
    stage.core.begin('bob');
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['presence bob:online']);
  });

  it('that changes what is visible sends all watches again, as the new viewer sees them', () => {
    const stage = new FanoutStage();
    stage.befriend('anna', 'bob');
    for (const user of ['bob', 'carl']) stage.core.begin(user);
    void stage.blocks.block('bob', 'anna');
    const peer = watching(stage, { ...admin, follower: 'anna' }, 'bob', 'carl');
    stage.fanout.watchFriends(peer.outbox, 'anna', undefined, undefined);
    expect(reported(peer)).toEqual(['snapshot bob:online']);
    stage.fanout.changeViewer(peer.outbox, observer('anna'));
    expect(reported(peer)).toEqual(['snapshot bob:offline', 'snapshot bob:offline carl:online']);
    stage.fanout.changeViewer(peer.outbox, { ...admin, follower: 'anna' });
    expect(reported(peer)).toEqual(['snapshot bob:online', 'snapshot bob:online carl:online']);
  });

  it('that changes what a slow peer sees owes it all watches until it reads', () => {
    const stage = new FanoutStage();
    for (const user of ['bob', 'carl']) stage.core.begin(user);
    void stage.blocks.block('bob', 'anna');
    const peer = watching(stage, { ...admin, follower: 'anna' }, 'bob', 'carl');
    peer.socket.isSlow = true;
    stage.core.begin('carl', { status: 'busy' });
    stage.fanout.flush();
    stage.fanout.changeViewer(peer.outbox, observer('anna'));
    expect(peer.socket.queuedCount).toBe(1);
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer)).toEqual(['presence carl:busy', 'snapshot bob:offline carl:busy']);
  });

  it('ends as many at a time as it is configured to', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, observer('anna'), 'a', 'b', 'c');
    for (const owner of ['x', 'y']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    const nothing = { friendsOf: () => false, user: () => false };
    expect([1, 2, 3, 4].map(() => stage.fanout.endNotAllowed(peer.outbox, nothing, 2))).toEqual([2, 2, 1, 0]);
    expect(peer.socket.take().map(brief)).toEqual([
      'unwatched friends of x',
      'unwatched friends of y',
      'unwatched a b',
      'unwatched c',
    ]);
  });

  it('that can’t be compared with the friends changes nothing', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, observer('anna'), 'bob', 'carl');
    const fails = (): boolean => {
      throw new Error('storage fails');
    };
    expect(() => {
      stage.fanout.endNotAllowed(peer.outbox, { friendsOf: fails, user: fails }, 10);
    }).toThrow('storage fails');
    expect([peer.outbox.viewer, peer.outbox.watchCount]).toEqual([observer('anna'), 2]);
  });
});

it('a watch whose list can’t be read is no watch, and holds nobody', () => {
  const stage = new FanoutStage();
  stage.befriend('anna', 'bob');
  const peer = stage.open(observer('anna'));
  const reads = vi.spyOn(stage.lists, 'changesSince').mockImplementation(() => {
    throw new Error('storage fails');
  });
  expect(() => {
    stage.fanout.watchFriends(peer.outbox, 'anna', 0, undefined);
  }).toThrow('storage fails');
  reads.mockRestore();
  expect([peer.outbox.watchCount, [...stage.core.users.held()]]).toEqual([0, []]);
  stage.core.begin('bob');
  stage.fanout.flush();
  expect(reported(peer)).toEqual([]);
});
