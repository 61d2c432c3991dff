/** How much work a message or an edit causes: whom storage is asked for, what is searched, what a turn of the loop holds. */
import { describe, expect, it, vi } from 'vitest';
import { MAX_CHANGED_KEPT } from '../../../server/fanout/delivery/outbox.ts';
import { MAX_IDLE_FRIENDS, MAX_IDLE_LISTS } from '../../../server/fanout/lists/watched-lists.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { observer, plain } from '../../support/presence-stage.ts';

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

function asked(stage: FanoutStage): string[][] {
  const queries: string[][] = [];
  stage.core.onRecallMany = (users) => queries.push([...users]);
  return queries;
}

/** How often a set is searched meanwhile. */
function searches(work: () => void): number {
  const has = vi.spyOn(Set.prototype, 'has');
  const includes = vi.spyOn(Array.prototype, 'includes');
  work();
  const count = has.mock.calls.length + includes.mock.calls.length;
  has.mockRestore();
  includes.mockRestore();
  return count;
}

function charged({ outbox }: Peer): number[] {
  const units: number[] = [];
  outbox.owner = { overflowed: () => undefined, charge: (more) => units.push(more) };
  return units;
}

describe('an unwatch', () => {
  it('of a long list searches none of the other lists that the connection watches', () => {
    const stage = new FanoutStage();
    stage.befriend('star', ...names('f', 2000));
    const peer = stage.open();
    for (const owner of names('nobody', 500)) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    stage.fanout.watchFriends(peer.outbox, 'star', undefined, undefined);
    expect(searches(() => stage.fanout.unwatchFriends(peer.outbox, 'star', undefined))).toBeLessThan(20);
  });

  it('of a slow peer still drops what waits of users that no other watch covers', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a', 'b');
    stage.befriend('43', 'b');
    const peer = stage.open();
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
    peer.socket.take();
    peer.socket.isSlow = true;
    for (const user of ['b', 'a', 'b']) {
      stage.core.begin(user, { text: `${stage.core.changes.length}` });
      stage.fanout.flush();
    }
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    peer.socket.isSlow = false;
    stage.drain(peer);
    const [first, ...later] = peer.socket.take();
    expect(first).toMatchObject({ entries: [{ user: 'b' }] });
    expect(JSON.stringify(later)).not.toContain('"user":"a"');
  });
});

describe('a friend list', () => {
  it('is not loaded again for one who unwatches and watches it in turn', () => {
    const stage = new FanoutStage();
    stage.befriend('42', ...names('f', 100));
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    const queries = asked(stage);
    const reads = vi.spyOn(stage.lists, 'friendsOf');
    for (let n = 0; n < 10; n++) {
      stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
      stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    }
    expect([queries, reads.mock.calls]).toEqual([[], []]);
  });

  it('follows edits while nobody watches it', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a', 'b');
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.fanout.unwatchFriends(peer.outbox, '42', undefined);
    stage.unfriend('42', 'a');
    stage.befriend('42', 'c');
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    expect(peer.socket.take().at(-1)).toMatchObject({ entries: [{ user: 'b' }, { user: 'c' }] });
  });

  it('leaves memory when nobody has watched it for a while, or when too many wait for that', async () => {
    const stage = new FanoutStage();
    const count = 10;
    for (const owner of names('o', count)) stage.befriend(owner, ...names(`${owner}-`, MAX_IDLE_FRIENDS / 4));
    const peer = stage.open();
    for (const owner of names('o', count)) {
      stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
      stage.fanout.unwatchFriends(peer.outbox, owner, undefined);
      await stage.nextTurn();
    }
    expect([...stage.core.users.held()].length).toBeLessThanOrEqual(MAX_IDLE_FRIENDS);
    for (const owner of names('none', 2 * MAX_IDLE_LISTS)) {
      stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
      stage.fanout.unwatchFriends(peer.outbox, owner, undefined);
      await stage.nextTurn();
    }
    expect([...stage.core.users.held()]).toEqual([]);
    stage.fanout.dropIdleLists();
  });

  it('that names an unknown user twice holds it once, and nothing once it is let go', () => {
    const { users } = new FanoutStage().core;
    const [first, second] = users.acquireAll(['x', 'x'], observer('42'));
    expect(second).toBe(first);
    expect([...users.held()]).toHaveLength(1);
    if (first !== undefined) users.release(first);
    expect([...users.held()]).toHaveLength(0);
  });

  it('that is long is loaded in parts, each with one query, over several turns of the loop', async () => {
    const stage = new FanoutStage({ countsTurns: true });
    stage.befriend('42', ...names('f', 5000));
    await stage.nextTurn();
    const queries = asked(stage);
    const ready = stage.fanout.prepare('42', observer('42'));
    let turns = 0;
    let isReady = false as boolean;
    void ready?.then(() => (isReady = true));
    for (; !isReady && turns < 100; turns++) await stage.nextTurn();
    expect(turns).toBeGreaterThanOrEqual(5);
    expect(queries.map(({ length }) => length)).toEqual(Array.from({ length: 20 }, () => 250));
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    expect(queries).toHaveLength(20);
    expect(peer.socket.take()[0]).toMatchObject({ type: 'snapshot', friendsOf: '42' });
  });

  it('that is edited while it is loaded is loaded as it is then', async () => {
    const stage = new FanoutStage({ countsTurns: true });
    void stage.edit(names('f', 3000).map((friend) => ({ user: '42', friend })));
    for (let n = 0; n < 50; n++) await stage.nextTurn();
    let isReady = false as boolean;
    void stage.fanout.prepare('42', observer('42'))?.then(() => (isReady = true));
    await stage.nextTurn();
    void stage.edit([{ user: '42', friend: 'new' }], [{ user: '42', friend: 'f0' }]);
    for (let n = 0; n < 50 && !isReady; n++) await stage.nextTurn();
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    const snapshot = JSON.stringify(peer.socket.take());
    expect([snapshot.includes('"new"'), snapshot.includes('"f0"')]).toEqual([true, false]);
  });
});

it('a watch and an unwatch are charged one unit for every fifty users (W19)', () => {
  const stage = new FanoutStage();
  stage.befriend('42', ...names('f', 1000));
  const peer = stage.open();
  const units = charged(peer);
  stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
  stage.fanout.watchFriends(peer.outbox, '42', 1, undefined);
  stage.fanout.watchUsers(peer.outbox, names('u', 100), undefined, undefined);
  stage.fanout.unwatchUsers(peer.outbox, names('u', 50), undefined);
  expect(units).toEqual([20, 20, 2, 1]);
});

it('a peer that does not read is remembered at most a thousand changed users, and then sent new snapshots', () => {
  const stage = new FanoutStage();
  const ids = names('u', MAX_CHANGED_KEPT + 10);
  const peer = stage.open();
  stage.fanout.watchUsers(peer.outbox, ids, undefined, undefined);
  peer.socket.take();
  peer.socket.isSlow = true;
  stage.core.begin('u0', { text: 'slow' });
  stage.fanout.flush();
  for (const user of ids) stage.core.begin(user, { text: 'changed' });
  stage.fanout.flush();
  peer.socket.isSlow = false;
  stage.drain(peer);
  const reported = peer.socket.take();
  expect(reported.map(({ type }) => type)).toEqual(['presence', 'snapshot', 'snapshot']);
  expect(reported.flatMap((message) => (message.type === 'snapshot' ? message.entries : []))).toHaveLength(ids.length);
});

describe('an edit that is not sent yet, perhaps because storage fails', () => {
  const at = (peer: Peer): number => (peer.socket.take().at(-1) as { at: number }).at;

  it('lowers `at` for those who watch a list that it may change, and for nobody else', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a');
    stage.befriend('43', 'a');
    const [concerned, other] = ['42', '43'].map((owner) => {
      const peer = stage.open();
      stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
      peer.socket.take();
      return peer;
    });
    const editedAt = stage.core.hubClock.now(stage.core.clock.wallMs);
    const editing = stage.fanout.beginListEdit(editedAt, ['42']);
    stage.core.clock.pass(60_000);
    const usual = stage.core.clock.wallMs - 1;
    stage.core.begin('a');
    stage.fanout.flush();
    expect(concerned!.socket.take()).toEqual([expect.not.objectContaining({ at: expect.anything() as number })]);
    expect(at(other!)).toBe(usual);
    for (const { outbox } of [concerned!, other!]) stage.fanout.watchUsers(outbox, ['b'], undefined, undefined);
    expect([at(concerned!), at(other!)]).toEqual([editedAt - 1, usual]);
    editing.failed();
    stage.fanout.watchUsers(concerned!.outbox, ['b'], undefined, undefined);
    expect(at(concerned!)).toBe(usual);
  });

  it('has a list that it may change answered whole, and every other one by what is new', () => {
    const stage = new FanoutStage();
    stage.befriend('42', 'a');
    stage.befriend('43', 'a');
    const since = stage.core.clock.wallMs + 10;
    stage.core.clock.pass(20);
    stage.fanout.beginListEdit(stage.core.clock.wallMs, ['42']);
    const peer = stage.open();
    for (const owner of ['42', '43']) stage.fanout.watchFriends(peer.outbox, owner, since, undefined);
    expect(peer.socket.take().map((message) => 'since' in message)).toEqual([false, true]);
  });
});

describe('an edit of ten thousand friends', () => {
  it('searches no connection that watches them for other reasons than that friendship', () => {
    const stage = new FanoutStage();
    const friends = names('f', 1000);
    stage.befriend('anna', ...friends);
    const others = names('other', 300).map((user) => {
      const peer = stage.open(plain(user));
      stage.fanout.watchUsers(peer.outbox, friends.slice(0, 100), undefined, undefined);
      return peer;
    });
    const own = stage.open(plain('anna'));
    stage.fanout.watchUsers(own.outbox, friends.slice(0, 10), undefined, undefined);
    expect(searches(() => stage.unfriend('anna', ...friends))).toBeLessThan(5 * friends.length);
    expect(own.outbox.watchCount).toBe(0);
    expect(others.every(({ outbox }) => outbox.watchCount === 100)).toBe(true);
  });

  it('is sent over several turns; what changes meanwhile comes in order, and no `at` covers the edit before its end', async () => {
    const stage = new FanoutStage({ countsTurns: true });
    const peer = stage.open();
    stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.fanout.watchUsers(peer.outbox, ['other'], undefined, undefined);
    await stage.nextTurn();
    peer.socket.take();
    let isReported = false as boolean;
    const editedAt = stage.core.hubClock.now(stage.core.clock.wallMs);
    void stage.edit(names('f', 3000).map((friend) => ({ user: '42', friend }))).then(() => (isReported = true));
    let turns = 0;
    for (; !isReported && turns < 100; turns++) {
      stage.core.clock.pass(1);
      if (turns === 2) {
        stage.core.begin('f0');
        stage.core.begin('f2999');
        stage.core.begin('other');
        stage.fanout.flush();
      }
      await stage.nextTurn();
    }
    expect(turns).toBeGreaterThanOrEqual(5);
    const reported = peer.socket.take();
    const first = reported.findIndex((message) => message.type === 'presence');
    expect(reported[first]).toMatchObject({ entries: [{ user: 'f0' }, { user: 'other' }] });
    for (const message of reported)
      if (message.type === 'presence' && message.at !== undefined) expect(message.at).toBeLessThan(editedAt);
    const added = reported.flatMap((message) =>
      message.type === 'friend' && message.op === 'add' ? [message.entry.user] : [],
    );
    expect(added).toEqual(names('f', 3000));
    const last = reported.find(
      (message) => message.type === 'friend' && message.op === 'add' && message.entry.user === 'f2999',
    );
    expect(last).toMatchObject({ entry: { status: 'online' } });
  });
});
