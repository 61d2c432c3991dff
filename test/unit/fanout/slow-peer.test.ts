/**
 * A peer that reads too slowly: new snapshots instead of lost changes, and limits for what waits (PROTOCOL.md section
 * 4).
 */
import { describe, expect, it, vi } from 'vitest';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';

type Status = 'online' | 'away' | 'busy';

function brief(message: HubMessage): string {
  switch (message.type) {
    case 'snapshot': {
      const whose = 'friendsOf' in message ? `friends of ${message.friendsOf}` : 'ids';
      return [`${whose}:`, ...message.entries.map(({ user, status }) => `${user} ${status}`)].join(' ');
    }
    case 'presence':
      return ['presence:', ...message.entries.map(({ user, status }) => `${user} ${status}`)].join(' ');
    default:
      return message.type;
  }
}

const reported = ({ socket }: Peer): string[] => socket.take().map(brief);

function watching(stage: FanoutStage, ...users: string[]): Peer {
  const peer = stage.open();
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

/** Changes the user as often as statuses are given, each sent on its own. */
function change(stage: FanoutStage, user: string, ...statuses: Status[]): void {
  for (const status of statuses) {
    stage.core.begin(user, { status, text: status });
    stage.fanout.flush();
  }
}

/** Makes the peer slow: the first change waits in its socket. */
function slowDown(stage: FanoutStage, peer: Peer, by: string): void {
  peer.socket.isSlow = true;
  change(stage, by, 'away');
  expect(peer.socket.queuedCount).toBe(1);
}

function readOn(stage: FanoutStage, peer: Peer): void {
  peer.socket.isSlow = false;
  stage.drain(peer);
}

describe('a peer that drained', () => {
  it('gets every watch again if a user changed twice: lists one each, ids together, without `since` or `re`', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a', 'b');
    stage.befriend('43', 'b');
    const peer = watching(stage, 'c', 'd');
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    slowDown(stage, peer, 'd');
    change(stage, 'b', 'away', 'online', 'busy');
    change(stage, 'c', 'away');
    readOn(stage, peer);
    const messages = peer.socket.take();
    expect(messages.map(brief)).toEqual([
      'presence: d away',
      'friends of 42: a offline b busy',
      'friends of 43: b busy',
      'ids: c away d away',
    ]);
    for (const message of messages.slice(1)) {
      expect(Object.keys(message)).not.toContain('since');
      expect(Object.keys(message)).not.toContain('re');
    }
    change(stage, 'a', 'busy');
    expect(reported(peer)).toEqual(['presence: a busy']);
  });

  it('gets no snapshot if each changed once: nothing was lost', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, 'a', 'b', 'c');
    slowDown(stage, peer, 'a');
    change(stage, 'a', 'busy');
    change(stage, 'b', 'busy');
    readOn(stage, peer);
    expect(reported(peer)).toEqual(['presence: a away', 'presence: a busy b busy']);
  });

  it('is sent a new snapshot though an answer meanwhile brought it the latest', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, 'a', 'b');
    slowDown(stage, peer, 'a');
    change(stage, 'b', 'away', 'busy');
    stage.fanout.unwatchUsers(peer.outbox, ['a'], undefined);
    readOn(stage, peer);
    expect(reported(peer)).toEqual(['presence: a away', 'presence: b busy', 'unwatched', 'ids: b busy']);
  });

  it('is sent users by id in snapshots of at most a thousand', () => {
    const stage = new FanoutStage();
    const ids = Array.from({ length: 2500 }, (_, n) => `u${n}`);
    const peer = watching(stage, ...ids);
    slowDown(stage, peer, 'u1');
    change(stage, 'u2', 'away', 'busy');
    change(stage, 'u2', 'away', 'busy');
    readOn(stage, peer);
    const snapshots = peer.socket.take().filter(({ type }) => type === 'snapshot');
    expect(snapshots.map((message) => ('users' in message ? message.users.length : 0))).toEqual([1000, 1000, 500]);
    expect(new Set(snapshots.flatMap((message) => ('users' in message ? message.users : [])))).toEqual(new Set(ids));
  });

  it('and is slow again is sent one snapshot each time it drains, and what changes meanwhile', () => {
    const stage = new FanoutStage();
    for (const owner of ['42', '43', '44']) stage.befriend(owner, `friend-of-${owner}`);
    const peer = watching(stage, 'a', 'b');
    for (const owner of ['42', '43', '44']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    slowDown(stage, peer, 'a');
    change(stage, 'b', 'away', 'busy');
    const rounds: string[][] = [];
    for (let round = 0; round < 4; round++) {
      stage.drain(peer);
      rounds.push(reported(peer));
      if (round === 1) change(stage, 'friend-of-42', 'busy');
    }
    readOn(stage, peer);
    rounds.push(reported(peer));
    expect(rounds).toEqual([
      ['presence: a away'],
      ['friends of 42: friend-of-42 offline'],
      ['friends of 43: friend-of-43 offline'],
      ['presence: friend-of-42 busy', 'friends of 44: friend-of-44 offline'],
      ['ids: a away b busy'],
    ]);
  });

  it('is sent no `at` that would not hold for a watch whose snapshot it is still owed', () => {
    const stage = new FanoutStage();
    for (const owner of ['42', '43']) stage.befriend(owner, `friend-of-${owner}`);
    const peer = stage.open();
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    slowDown(stage, peer, 'friend-of-43');
    change(stage, 'friend-of-43', 'busy', 'away');
    stage.drain(peer); // the list of 42 is sent, that of 43 owed
    change(stage, 'friend-of-42', 'busy');
    stage.drain(peer);
    readOn(stage, peer);
    const presence = peer.socket.take().filter(({ type }) => type === 'presence');
    expect(presence.map((message) => [brief(message), 'at' in message])).toEqual([
      ['presence: friend-of-43 away', true],
      ['presence: friend-of-42 busy', false],
    ]);
  });

  it('is owed nothing of a watch that ended meanwhile', () => {
    const stage = new FanoutStage();
    for (const owner of ['42', '43']) stage.befriend(owner, `friend-of-${owner}`);
    const peer = watching(stage, 'a', 'b');
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    slowDown(stage, peer, 'a');
    change(stage, 'b', 'away', 'busy');
    stage.drain(peer);
    stage.fanout.unwatchFriends(peer.outbox, '43', undefined);
    stage.fanout.unwatchUsers(peer.outbox, ['b'], undefined);
    readOn(stage, peer);
    expect(reported(peer)).toEqual([
      'presence: a away',
      'friends of 42: friend-of-42 offline',
      'unwatched',
      'unwatched',
      'ids: a away',
    ]);
  });
});

describe('what waits for a slow peer', () => {
  it('is not more than its first message for changes, however many there are', () => {
    const stage = new FanoutStage({ maxQueuedBytes: 0 });
    const peer = watching(stage, 'a', 'b');
    slowDown(stage, peer, 'a');
    for (let n = 0; n < 100; n++) change(stage, 'b', 'away', 'busy');
    expect(peer.socket.queuedCount).toBe(1);
  });

  it('is bounded for answers: beyond the limit nothing more is sent, and its owner is notified once, not at once', async () => {
    const stage = new FanoutStage({ maxQueuedBytes: 1000 });
    const [peer, other] = [watching(stage, 'a'), watching(stage, 'a')];
    const overflowed = vi.fn();
    peer.outbox.owner = { overflowed, charge: () => undefined };
    slowDown(stage, peer, 'a');
    let bytes = 0;
    const send = peer.socket.send.bind(peer.socket);
    peer.socket.send = (text) => {
      bytes += Buffer.byteLength(text);
      return send(text);
    };
    for (let n = 0; n < 100; n++) stage.fanout.watchUsers(peer.outbox, ['b'], undefined, n);
    expect(bytes).toBeLessThanOrEqual(1000);
    expect(bytes).toBeGreaterThan(500);
    expect(overflowed).not.toHaveBeenCalled();
    change(stage, 'a', 'busy');
    expect(reported(other)).toEqual(['presence: a away', 'presence: a busy']);
    await Promise.resolve();
    expect(overflowed).toHaveBeenCalledOnce();
    readOn(stage, peer);
    expect(reported(peer).length).toBeLessThan(20);
  });

  it('counts what the friend list makes be said, too', async () => {
    const stage = new FanoutStage({ maxQueuedBytes: 1000 });
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.befriend('42', 'a');
    const overflowed = vi.fn();
    peer.outbox.owner = { overflowed, charge: () => undefined };
    slowDown(stage, peer, 'a');
    for (let n = 0; n < 50; n++) stage.befriend('42', `f${n}`);
    await Promise.resolve();
    expect(overflowed).toHaveBeenCalledOnce();
  });

  it('never ends a peer for the snapshot that it fell behind with, nor for those it is owed', async () => {
    const stage = new FanoutStage({ maxQueuedBytes: 10 });
    const peer = stage.open();
    const overflowed = vi.fn();
    peer.outbox.owner = { overflowed, charge: () => undefined };
    peer.socket.isSlow = true;
    stage.fanout.watchUsers(peer.outbox, ['a', 'b', 'c'], undefined, undefined);
    change(stage, 'a', 'away', 'busy', 'online');
    stage.drain(peer);
    stage.drain(peer);
    readOn(stage, peer);
    await Promise.resolve();
    expect(overflowed).not.toHaveBeenCalled();
    expect(reported(peer)).toHaveLength(2);
  });
});

describe('how long a peer has been behind', () => {
  it('counts from the first message that had to wait, until it drained', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, 'a');
    expect(peer.outbox.behindSinceAt).toBeNull();
    const { monoMs } = stage.core.clock.now();
    slowDown(stage, peer, 'a');
    stage.core.clock.pass(500);
    stage.fanout.watchUsers(peer.outbox, ['a'], undefined, undefined);
    expect(peer.outbox.behindSinceAt).toBe(monoMs);
    readOn(stage, peer);
    expect(peer.outbox.behindSinceAt).toBeNull();
  });

  it('counts from the start if what it was sent then also had to wait', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, 'a');
    slowDown(stage, peer, 'a');
    change(stage, 'a', 'busy');
    stage.core.clock.pass(500);
    stage.drain(peer);
    expect(peer.outbox.behindSinceAt).toBe(stage.core.clock.now().monoMs);
  });
});

describe('the number of watches', () => {
  it('counts lists and users by id, each once', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, 'a', 'b');
    for (const owner of ['42', '42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    stage.fanout.watchUsers(peer.outbox, ['b', 'c'], undefined, undefined);
    expect(peer.outbox.watchCount).toBe(5);
    expect(stage.fanout.watchCountWith(peer.outbox, ['a', 'c'])).toBe(5);
    expect(stage.fanout.watchCountWith(peer.outbox, ['a', 'd', 'e'])).toBe(7);
    stage.fanout.unwatchUsers(peer.outbox, ['a'], undefined);
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    expect(peer.outbox.watchCount).toBe(3);
  });
});
