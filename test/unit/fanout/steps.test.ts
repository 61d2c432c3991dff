/**
 * Changes that very many watchers are sent, in steps of one turn of the event loop each (PROTOCOL.md section 4 holds meanwhile):
 * nobody is left out or notified twice, versions only grow, no `at` covers what is still to come, and others are not kept waiting.
 */
import { describe, expect, it } from 'vitest';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { Entry } from '../../../shared/messages/entry.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { plain } from '../../support/presence-stage.ts';

/** With these, a turn sends to 20 connections, and a user with more than ten watchers is sent in steps. */
const SMALL = { largeAudience: 10, countsTurns: true } as const;
const A_TURN = 20;
const EVERY_MS = 50;

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

function watch(stage: FanoutStage, users: readonly string[], peer = stage.open()): Peer {
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

const watchers = (stage: FanoutStage, count: number, ...users: string[]): Peer[] =>
  Array.from({ length: count }, () => watch(stage, users));

const entriesIn = (messages: readonly HubMessage[]): Entry[] =>
  messages.flatMap((message) => ('entries' in message ? message.entries : []));
const reported = ({ socket }: Peer): string[] =>
  socket
    .take()
    .map((message) =>
      [message.type, ...entriesIn([message]).map(({ user, text = '' }) => `${user}:${text}`)].join(' '),
    );
const all = (peers: readonly Peer[]): string[] => peers.flatMap(reported);
const lastAt = (messages: readonly HubMessage[]): number | undefined =>
  messages.reduce<number | undefined>(
    (at, message) => ('at' in message && message.at !== undefined ? message.at : at),
    undefined,
  );

/** A user who has just changed: the first step of sending it is done. */
async function begun(stage: FanoutStage, user = 'star') {
  await stage.nextTurn();
  const session = stage.core.begin(user, { text: '1' });
  stage.fanout.flush();
  return session;
}

/** One more step. */
async function step(stage: FanoutStage): Promise<void> {
  await stage.nextTurn();
  stage.fanout.flush();
}

/** Everything is sent, without time passing but for what was sent just before. */
async function finish(stage: FanoutStage): Promise<void> {
  for (let turns = 0; !stage.fanout.reports.pending.isEmpty; turns++) {
    if (turns > 1000) throw new Error('it does not end');
    if (!stage.fanout.reports.pending.hasDue) stage.core.clock.pass(EVERY_MS);
    await step(stage);
  }
}

describe('a user with very many watchers', () => {
  it('is sent to as many in a turn as one has room for, however often it is asked to flush, and to each once (W42)', async () => {
    const stage = new FanoutStage(SMALL);
    const peers = watchers(stage, 100, 'star');
    await begun(stage);
    for (let i = 0; i < 10; i++) stage.fanout.flush();
    expect(all(peers)).toHaveLength(A_TURN);
    await step(stage);
    expect(all(peers)).toHaveLength(A_TURN);
    await finish(stage);
    expect(all(peers)).toHaveLength(60);
    expect(stage.deliveries.reduce((sum, count) => sum + count)).toBe(100);
  });

  it('goes on by itself, turn after turn, until all are notified (W42)', async () => {
    const stage = new FanoutStage({ largeAudience: 10 });
    const peers = watchers(stage, 1000, 'star');
    stage.core.begin('star', { text: '1' });
    await expect.poll(() => stage.deliveries.reduce((sum, count) => sum + count, 0)).toBe(1000);
    expect(all(peers)).toEqual(Array(1000).fill('presence star:1'));
  });

  it('is sent through lists as by id, in one message with what else changed, and once if watches overlap', async () => {
    const stage = new FanoutStage(SMALL);
    for (let n = 0; n < 40; n++) stage.befriend(`owner${n % 20}`, 'star');
    const peers = Array.from({ length: 60 }, (_, n) => {
      const peer = n % 3 === 0 ? stage.open() : watch(stage, ['star']);
      for (const owner of n % 2 === 0 ? [`owner${n % 20}`, 'owner0'] : ['owner1'])
        stage.fanout.watchFriends(peer.outbox, owner, undefined, undefined);
      peer.socket.take();
      return peer;
    });
    await begun(stage);
    await finish(stage);
    expect(peers.map(reported)).toEqual(Array(60).fill(['presence star:1']));
  });

  it('that changes meanwhile is sent in its latest state, in order, with nothing left out and nothing twice', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    const peers = watchers(stage, 100, 'star');
    const session = await begun(stage);
    stage.core.clock.pass(5);
    stage.core.say(session, { text: '2' });
    await step(stage);
    stage.core.clock.pass(5);
    stage.core.say(session, { text: '3' });
    await finish(stage);
    expect(peers.map(reported)).toEqual([
      ...Array<string[]>(20).fill(['presence star:1', 'presence star:3']),
      ...Array<string[]>(20).fill(['presence star:2', 'presence star:3']),
      ...Array<string[]>(60).fill(['presence star:3']),
    ]);
  });

  it('that changes all the time is sent to nobody more often than every 50 ms', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    const peers = watchers(stage, 100, 'star');
    const session = await begun(stage);
    for (let ms = 0; ms < 1000; ms += 5) {
      stage.core.clock.pass(5);
      stage.core.say(session, { text: String(ms) });
      await step(stage);
    }
    await finish(stage);
    for (const { socket } of peers) {
      const seen = entriesIn(socket.take());
      expect(seen.length).toBeLessThanOrEqual(22);
      expect(seen.length).toBeGreaterThan(15);
      expect(seen.at(-1)).toEqual(stage.core.entry('star'));
      expect(seen.every(({ v }, i) => i === 0 || v > seen[i - 1]!.v)).toBe(true);
    }
  });

  it('that never stops changing still has a block of it sent and completed, and remembers nobody who has left', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    watchers(stage, 100, 'star');
    const session = await begun(stage);
    const eve = watch(stage, ['star'], stage.open(plain('eve')));
    let isDone = false as boolean;
    const remembered: number[] = [];
    for (let n = 0; n < 600; n++) {
      stage.core.clock.pass(5);
      stage.core.say(session, { text: String(n) });
      if (n === 100) void stage.blocks.block('star', 'eve').then(() => (isDone = true));
      const guest = watch(stage, ['star']);
      await step(stage);
      stage.fanout.close(guest.outbox);
      if (n === 150) expect([isDone, reported(eve).at(-1)]).toEqual([true, 'presence star:']);
      remembered.push(stage.fanout.reports.pending.get(stage.core.users.peek('star'))?.rememberedCount ?? 0);
    }
    expect(reported(eve)).toEqual([]);
    // Those who watch, and the guests of two walks.
    expect(Math.max(...remembered)).toBeLessThan(250);
  });

  it('keeps nobody else waiting: a user with few watchers is sent in the next turn', async () => {
    const stage = new FanoutStage(SMALL);
    watchers(stage, 1000, 'star');
    const peer = watch(stage, ['other']);
    await begun(stage);
    for (let n = 0; n < 5; n++) {
      stage.core.begin('other', { text: String(n) });
      await step(stage);
      expect(reported(peer)).toEqual([`presence other:${n}`]);
    }
  });

  it('is in the snapshot of a watch that begins meanwhile, and is sent again only if it changes again', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    watchers(stage, 50, 'star');
    const session = await begun(stage);
    const [one, other] = [stage.open(), stage.open()];
    stage.fanout.watchUsers(one.outbox, ['star'], undefined, undefined);
    stage.core.say(session, { text: '2' });
    stage.fanout.watchUsers(other.outbox, ['star'], undefined, undefined);
    await finish(stage);
    expect([reported(one), reported(other)]).toEqual([['snapshot star:1', 'presence star:2'], ['snapshot star:2']]);
  });

  it('goes out before any answer to a connection that waits for it: versions and messages stay in order', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    stage.befriend('42', 'star');
    watchers(stage, 100, 'star');
    const [asks, unwatches] = watchers(stage, 2, 'star', 'other');
    const lists = watch(stage, ['star']);
    stage.fanout.watchFriends(lists.outbox, '42', undefined, undefined);
    lists.socket.take();
    await begun(stage);
    stage.fanout.watchUsers(asks!.outbox, ['nobody'], undefined, undefined);
    stage.fanout.unwatchUsers(unwatches!.outbox, ['other'], undefined);
    stage.befriend('42', 'new');
    expect([asks!, unwatches!, lists].map(reported)).toEqual([
      ['presence star:1', 'snapshot nobody:'],
      ['presence star:1', 'unwatched'],
      ['presence star:1', 'friend'],
    ]);
    await finish(stage);
    expect([asks!, unwatches!, lists].flatMap(reported)).toEqual([]);
  });

  it('is not sent to those who have left it meanwhile: by an unwatch, an unfriending, a close or a block', async () => {
    const stage = new FanoutStage(SMALL);
    stage.befriend('42', 'star');
    watchers(stage, 30, 'star');
    const [unwatched, closed] = watchers(stage, 2, 'star');
    const unfriended = stage.open();
    stage.fanout.watchFriends(unfriended.outbox, '42', undefined, undefined);
    const blocked = watch(stage, ['star'], stage.open(plain('eve')));
    unfriended.socket.take();
    await begun(stage);
    stage.fanout.unwatchUsers(unwatched!.outbox, ['star'], undefined);
    stage.unfriend('42', 'star');
    stage.fanout.close(closed!.outbox);
    const isBlocked = stage.blocks.block('star', 'eve');
    await finish(stage);
    await isBlocked;
    expect([unwatched!, closed!, unfriended, blocked].map(reported)).toEqual([
      ['unwatched'],
      [],
      ['friend'],
      ['presence star:'],
    ]);
  });

  it('is sent to a slow reader once it reads again, and once', async () => {
    const stage = new FanoutStage(SMALL);
    watchers(stage, 30, 'star');
    const slow = watch(stage, ['star', 'other']);
    slow.socket.isSlow = true;
    stage.core.begin('other');
    stage.fanout.flush();
    const session = await begun(stage);
    await finish(stage);
    slow.socket.isSlow = false;
    stage.drain(slow);
    expect(reported(slow)).toEqual(['presence other:', 'presence star:1']);
    stage.core.leave(session);
    await finish(stage);
  });

  it('is sent to all at once when everything must be sent', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    const peers = watchers(stage, 100, 'star');
    const session = await begun(stage);
    stage.core.say(session, { text: '2' });
    stage.fanout.reports.flushAll();
    expect(all(peers).filter((message) => message === 'presence star:2')).toHaveLength(100);
    await finish(stage);
    expect(all(peers)).toEqual([]);
  });

  it('toggling a block costs a look at its watchers, in steps, and a message to the blocked one alone', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    const session = stage.core.begin('star');
    const peers = watchers(stage, 500, 'star');
    const eve = watch(stage, ['star'], stage.open(plain('eve')));
    await stage.nextTurn();
    const done = stage.blocks.block('star', 'eve');
    expect(reported(eve)).toEqual([]);
    await finish(stage);
    await done;
    expect([reported(eve), all(peers)]).toEqual([['presence star:'], []]);
    stage.core.leave(session);
  });
});

describe('very many users who change at once', () => {
  it('are sent in turns, the first ones first, in messages of several if they have the same watchers', async () => {
    const stage = new FanoutStage(SMALL);
    const users = names('u', 50);
    const peers = watchers(stage, 10, ...users);
    await stage.nextTurn();
    for (const user of users) stage.core.begin(user);
    stage.fanout.flush();
    const [first, ...others] = peers.map(({ socket }) => entriesIn(socket.take()).map(({ user }) => user));
    // Each of ten connections is sent one message, with as many users as a turn has looks for.
    expect(first).toEqual(users.slice(0, 20));
    expect(others).toEqual(Array(9).fill(first));
    await step(stage);
    await step(stage);
    expect(peers.map(({ socket }) => entriesIn(socket.take()).map(({ user }) => user))).toEqual(
      Array(10).fill(users.slice(20)),
    );
  });

  it('while they are sent, those who change again go behind those who wait', async () => {
    const stage = new FanoutStage(SMALL);
    const users = names('u', 10);
    const peers = users.map((user) => watchers(stage, 10, user));
    await stage.nextTurn();
    const sessions = users.map((user) => stage.core.begin(user, { text: '1' }));
    stage.fanout.flush();
    stage.core.say(sessions[0]!, { text: '2' });
    stage.core.say(sessions[9]!, { text: '2' });
    const order: string[] = [];
    for (let n = 0; n < 7; n++) {
      for (const some of peers) order.push(...new Set(all(some)));
      await step(stage);
    }
    expect(order).toEqual([...users.slice(0, 9).map((user) => `presence ${user}:1`), 'presence u9:2', 'presence u0:2']);
  });

  it('do not keep a user with very many watchers from being sent, nor the other way round', async () => {
    const stage = new FanoutStage(SMALL);
    const stars = watchers(stage, 100, 'star');
    const users = names('u', 40);
    const others = users.map((user) => watchers(stage, 10, user));
    await stage.nextTurn();
    for (const user of ['star', ...users]) stage.core.begin(user, { text: '1' });
    stage.fanout.flush();
    for (let turn = 0; turn < 5; turn++) {
      all(stars);
      for (const some of others) all(some);
      await step(stage);
      expect([all(stars).length, others.flatMap(all).length]).toEqual([10, 10]);
    }
  });
});

describe('`at` while a change is sent in steps', () => {
  it('is below it for those who wait for it, and as always for those who have it and for strangers', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    const peers = watchers(stage, 100, 'star', 'other');
    const stranger = watch(stage, ['other']);
    const session = await begun(stage);
    const [knows, waits] = [peers[0]!, peers[99]!];
    expect([reported(knows), reported(waits)]).toEqual([['presence star:1'], []]);
    // Once more: those who know the first change wait for the second one as well, which is not due yet.
    stage.core.clock.pass(5);
    stage.core.say(session, { text: '2' });
    await finish(stage);
    stage.core.clock.pass(5);
    stage.core.say(session, { text: '3' });
    await step(stage);
    const { v } = stage.core.entry('star');
    const usual = stage.core.clock.wallMs - 1;
    const ats = [knows, stranger].map((peer) => {
      peer.socket.take();
      stage.fanout.watchUsers(peer.outbox, ['nobody'], undefined, undefined);
      return lastAt(peer.socket.take());
    });
    expect(ats).toEqual([v - 1, usual]);
    const again = stage.open();
    stage.fanout.watchUsers(again.outbox, ['star', 'other'], ats[0], undefined);
    expect(again.socket.take()).toMatchObject([{ since: v - 1, entries: [{ user: 'star', v }] }]);
  });

  it('is left out of messages to those who wait for it, and only of theirs (W42)', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    watchers(stage, 100, 'star');
    const waits = watch(stage, ['star', 'other']);
    const stranger = watch(stage, ['other']);
    await begun(stage);
    stage.core.begin('other');
    await step(stage);
    const [toWaiting, toStranger] = [waits, stranger].map(({ socket }) => socket.take());
    expect(toWaiting).toMatchObject([{ type: 'presence' }]);
    expect([lastAt(toWaiting!), lastAt(toStranger!)]).toEqual([undefined, stage.core.clock.wallMs - 1]);
  });

  it('settles for one connection at once, which is then sent no more than it lacks', async () => {
    const stage = new FanoutStage({ ...SMALL, reportEveryMs: EVERY_MS });
    watchers(stage, 100, 'star');
    const waits = watch(stage, ['star', 'other']);
    await begun(stage);
    expect(stage.fanout.settle(waits.outbox)).toBe(stage.core.clock.wallMs - 1);
    expect(reported(waits)).toEqual(['presence star:1']);
    await finish(stage);
    expect(reported(waits)).toEqual([]);
    waits.socket.isSlow = true;
    stage.core.begin('other');
    stage.fanout.flush();
    expect(stage.fanout.settle(waits.outbox)).toBeUndefined();
  });

  it.each([1, 2, 3, 4])('never lets a resume miss anything, whichever users change when (seed %i)', async (seed) => {
    const stage = new FanoutStage({ largeAudience: 3, countsTurns: true, reportEveryMs: EVERY_MS });
    let last = seed;
    const random = (below: number): number => (last = (last * 48_271) % 2_147_483_647) % below;
    const users = names('u', 8);
    for (const user of users) stage.befriend(`of-${user}`, user, users[random(8)]!);
    const sessions = users.map((user) => stage.core.begin(user));
    const peers = Array.from({ length: 12 }, (_, n) => {
      const peer =
        n % 4 === 0
          ? stage.open()
          : watch(
              stage,
              users.filter((_, i) => i === 0 || random(3) === 0),
            );
      stage.fanout.watchFriends(peer.outbox, `of-${users[random(8)]!}`, undefined, undefined);
      return { ...peer, known: new Map<string, number>(), at: 0 };
    });
    for (let i = 0; i < 600; i++) {
      stage.core.say(sessions[random(8)]!, { text: String(i) });
      if (random(3) === 0) stage.core.clock.pass(random(30));
      if (random(2) === 0) stage.fanout.flush();
      if (random(3) === 0) await stage.nextTurn();
      const { outbox } = peers[random(12)]!;
      if (random(20) === 0) stage.fanout.watchUsers(outbox, [users[random(8)]!], undefined, undefined);
      for (const [n, peer] of peers.entries()) {
        const messages = peer.socket.take();
        for (const { user, v } of entriesIn(messages)) {
          expect(v, `${user} to ${n} at ${i}`).toBeGreaterThanOrEqual(peer.known.get(user) ?? 0);
          peer.known.set(user, v);
        }
        peer.at = Math.max(peer.at, lastAt(messages) ?? 0);
        for (const [user, known] of peer.known) {
          const { v } = stage.core.entry(user);
          if (known !== v) expect(v, `${user} to ${n} at ${i}`).toBeGreaterThan(peer.at);
        }
      }
    }
    await finish(stage);
    for (const { socket, known } of peers) {
      for (const { user, v } of entriesIn(socket.take())) known.set(user, v);
      for (const [user, v] of known) expect(stage.core.entry(user).v).toBe(v);
    }
  });
});
