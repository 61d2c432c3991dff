/** Watches that take several turns of the loop: what waits for them, and what is still true when their turn comes. */
import { noPeers } from '../../../../server/peers.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionControl } from '../../../../server/adapters/ws-json/connection-control.ts';
import { changeRights, watch } from '../../../../server/adapters/ws-json/messages/handle-watch.ts';
import type { ConnectionContext } from '../../../../server/adapters/ws-json/context.ts';
import { viewerOf, type Identity } from '../../../../server/auth/identity.ts';
import { UNITS_PER_TURN } from '../../../../server/lib/time/turn-budget.ts';
import { MAX_IDS_PER_MESSAGE } from '../../../../shared/limits.ts';
import { FanoutStage, type Peer } from '../../../support/fanout-stage.ts';

const names = (count: number, prefix = 'u'): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
const bearer = (...scopes: 'observe'[]): Identity => ({
  user: '42',
  scopes: new Set(scopes),
  expiresAtMs: null,
  isOpen: false,
});
const observer = bearer('observe');
const user42 = bearer();

let stage: FanoutStage;
let hub: ConnectionContext;
let peer: Peer;
let connection: ConnectionControl & { isOpen: boolean };
let friends: string[];
/** What the connection was answered beside messages of fan-out, and what it was charged. */
let errors: string[];
let charged: number;
/** How often storage was asked about a friend. */
let questions: number;

beforeEach(async () => {
  stage = new FanoutStage({ countsTurns: true });
  errors = [];
  charged = 0;
  questions = 0;
  friends = [];
  hub = {
    fanout: stage.fanout,
    workTurns: stage.turns,
    limits: { maxWatches: 10_000, maxSessions: 50, slowMs: 60_000 },
    onRefused: () => undefined,
    loadFriends: () => undefined,
    peers: noPeers,
    friendLookUp: () => (_user: string, other: string) => {
      questions++;
      return friends.includes(other);
    },
  } as unknown as ConnectionContext;
  peer = stage.open(viewerOf(observer));
  connection = {
    outbox: peer.outbox,
    isOpen: true,
    charge: (units: number) => (charged += units),
    error: (code: string) => errors.push(code),
  } as unknown as ConnectionControl & { isOpen: boolean };
  await stage.nextTurn();
});

/** Others have used up the turn. */
const useUpTurn = (): void => stage.turns.spend(UNITS_PER_TURN);

async function turnsUntil(done: Promise<void> | undefined): Promise<number> {
  let isDone = done === undefined;
  void done?.then(() => (isDone = true));
  let turns = 0;
  for (; !isDone && turns < 100; turns++) await stage.nextTurn();
  return turns;
}

const types = (): string[] => peer.socket.take().map(({ type }) => type);

describe('a watch of ids', () => {
  const watchIds = (ids: readonly string[], identity = observer) =>
    watch(hub, connection, () => identity, { type: 'watch', users: [...ids] });

  it('is answered at once if it is small, or the turn has room', () => {
    expect(watchIds(names(MAX_IDS_PER_MESSAGE))).toBeUndefined();
    useUpTurn();
    expect(watchIds(names(100, 'few'))).toBeUndefined();
    expect(types()).toEqual(['snapshot', 'snapshot']);
  });

  it('waits for a turn with room otherwise, behind those who wait already', async () => {
    useUpTurn();
    const first = stage.turns.take(UNITS_PER_TURN);
    const second = watchIds(names(1000));
    expect(second).toBeInstanceOf(Promise);
    expect(await turnsUntil(first)).toBe(1);
    expect(types()).toEqual([]);
    expect(await turnsUntil(second)).toBe(1);
    expect(types()).toEqual(['snapshot']);
  });

  it('of one who may watch friends only asks storage in its turn, not before', async () => {
    friends = names(500);
    peer.outbox.viewer = viewerOf(user42);
    useUpTurn();
    const waiting = watchIds(friends, user42);
    expect(questions).toBe(0);
    await turnsUntil(waiting);
    expect([questions, types()]).toEqual([500, ['snapshot']]);
  });

  it('does nothing if the connection has ended meanwhile', async () => {
    useUpTurn();
    const waiting = watchIds(names(1000));
    connection.isOpen = false;
    await turnsUntil(waiting);
    expect([peer.outbox.watchCount, types(), errors]).toEqual([0, [], []]);
  });

  it('is refused, and charged, if a fresh token allows less meanwhile', async () => {
    useUpTurn();
    let identity = observer;
    const waiting = watch(hub, connection, () => identity, { type: 'watch', users: names(1000) });
    identity = user42;
    await turnsUntil(waiting);
    expect([peer.outbox.watchCount, errors, charged]).toEqual([0, ['forbidden'], 20]);
  });

  it('is refused if there is no room for it any more', async () => {
    hub = { ...hub, limits: { ...hub.limits, maxWatches: 1500 } };
    useUpTurn();
    const [one, other] = [watchIds(names(1000, 'a')), watchIds(names(1000, 'b'))];
    await turnsUntil(one);
    await turnsUntil(other);
    expect([peer.outbox.watchCount, errors]).toEqual([1000, ['too_many']]);
  });
});

describe('a watch of a friend list', () => {
  const watchList = (owner = '42') => watch(hub, connection, () => observer, { type: 'watch', friendsOf: owner });
  const befriend = async (count: number): Promise<void> => {
    void stage.edit(names(count).map((friend) => ({ user: '42', friend })));
    for (let n = 0; n < 50; n++) await stage.nextTurn();
  };

  it('that is long is loaded over several turns, and then answered whole', async () => {
    await befriend(5000);
    const waiting = watchList();
    expect(await turnsUntil(waiting)).toBeGreaterThanOrEqual(5);
    expect(peer.socket.take()).toMatchObject([{ type: 'snapshot', friendsOf: '42', entries: { length: 5000 } }]);
  });

  it('is answered within the turns that all lists cost together, if hundreds are asked for at once', async () => {
    const owners = names(300, 'owner');
    for (const owner of owners) {
      void stage.edit(names(50, `${owner}-`).map((friend) => ({ user: owner, friend })));
      await stage.nextTurn();
    }
    useUpTurn();
    const waiting = Promise.all(owners.map(async (owner) => watchList(owner))).then(() => undefined);
    expect(await turnsUntil(waiting)).toBeLessThan(40);
    expect(peer.socket.take().map(({ type }) => type)).toEqual(owners.map(() => 'snapshot'));
  });

  it('is answered as the list is when its turn comes, and follows it from then on', async () => {
    await befriend(3000);
    const waiting = watchList();
    await stage.nextTurn();
    void stage.edit([{ user: '42', friend: 'new' }], [{ user: '42', friend: 'u0' }]);
    await turnsUntil(waiting);
    for (let n = 0; n < 10; n++) await stage.nextTurn();
    const reported = peer.socket.take();
    const list = new Set(
      reported.flatMap((message) => (message.type === 'snapshot' ? message.entries : [])).map((e) => e.user),
    );
    for (const message of reported) {
      if (message.type !== 'friend') continue;
      if (message.op === 'add') list.add(message.entry.user);
      else list.delete(message.user);
    }
    expect([list.size, list.has('new'), list.has('u0')]).toEqual([3000, true, false]);
  });

  it('watches nothing if the connection has ended meanwhile, or a fresh token does not allow it', async () => {
    await befriend(3000);
    const ended = watchList();
    connection.isOpen = false;
    await turnsUntil(ended);
    expect([peer.outbox.watchCount, types()]).toEqual([0, []]);
    connection.isOpen = true;
    stage.fanout.dropIdleLists();
    let identity = observer;
    const waiting = watch(hub, connection, () => identity, { type: 'watch', friendsOf: '42' });
    identity = { ...user42, user: '7' };
    await turnsUntil(waiting);
    expect([peer.outbox.watchCount, errors]).toEqual([0, ['forbidden']]);
  });

  it('is refused at once if it may not be watched: nothing is loaded', () => {
    const refused = watch(hub, connection, () => user42, { type: 'watch', friendsOf: '7' });
    expect([refused, errors, peer.outbox.watchCount]).toEqual([undefined, ['forbidden'], 0]);
  });
});

describe('a token that allows less', () => {
  const watchAll = async (ids: readonly string[]): Promise<void> => {
    for (let from = 0; from < ids.length; from += 1000) {
      await turnsUntil(watch(hub, connection, () => observer, { type: 'watch', users: ids.slice(from, from + 1000) }));
    }
    peer.socket.take();
    charged = 0;
  };
  const become = (): { readonly done: Promise<void>; readonly became: boolean[] } => {
    const became: boolean[] = [];
    const viewer = viewerOf(user42);
    const done = changeRights(hub, connection, { identity: user42, viewer }, () => {
      became.push(peer.outbox.viewer === viewer);
    });
    return { done, became };
  };

  it('ends a thousand watches in a turn, and looks from then on', async () => {
    await watchAll(names(2500));
    friends = ['u7'];
    const { done, became } = become();
    expect([peer.outbox.watchCount, became]).toEqual([1500, []]);
    useUpTurn();
    expect(await turnsUntil(done)).toBeGreaterThanOrEqual(1);
    expect(became).toEqual([true]);
    expect([...peer.outbox.users].map(({ id }) => id)).toEqual(['u7']);
    const ended = peer.socket.take().flatMap((message) => ('users' in message ? message.users : []));
    expect(ended).toHaveLength(2499);
    expect(charged).toBe(50);
  });

  it('ends what has become forbidden while it ended the rest', async () => {
    await watchAll(names(1500));
    friends = ['u7', 'u8'];
    const { done } = become();
    useUpTurn();
    friends = ['u8'];
    await turnsUntil(done);
    expect([...peer.outbox.users].map(({ id }) => id)).toEqual(['u8']);
  });

  it('changes nothing more if the connection ends meanwhile', async () => {
    await watchAll(names(2500));
    const { done, became } = become();
    useUpTurn();
    connection.isOpen = false;
    await turnsUntil(done);
    expect([peer.outbox.watchCount, became]).toEqual([1500, []]);
  });

  it('that allows as much asks storage nothing, and changes the rights at once', async () => {
    await watchAll(names(2500));
    let hasBecome = false;
    await changeRights(hub, connection, { identity: observer, viewer: viewerOf(observer) }, () => (hasBecome = true));
    expect([hasBecome, questions, charged]).toEqual([true, 0, 0]);
  });
});
