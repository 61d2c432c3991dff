/** Who is sent what about a user that blocks somebody (PROTOCOL.md sections 1 and 5): the blocked sees it leave, the others nothing. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../shared/messages/entry.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import type { Viewer } from '../../../server/presence/viewer.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { admin, observer, plain } from '../../support/presence-stage.ts';

const eve = observer('eve');
const bob = observer('bob');

function brief(message: HubMessage): string {
  if (message.type === 'presence' || message.type === 'snapshot')
    return [message.type, ...message.entries.map(({ user, status }) => `${user}:${status}`)].join(' ');
  if (message.type === 'friend') return message.op === 'add' ? `add ${message.entry.user}:${message.entry.status}` : '';
  return message.type;
}

const reported = ({ socket }: Peer): string[] => socket.take().map(brief);

function watching(stage: FanoutStage, viewer: Viewer, ...users: string[]): Peer {
  const peer = stage.open(viewer);
  stage.fanout.watchUsers(peer.outbox, users, undefined, undefined);
  peer.socket.take();
  return peer;
}

/** The entry of `anna` in the first message that holds one. */
function annaIn({ socket }: Peer): Entry | undefined {
  for (const message of socket.take()) {
    if (message.type !== 'presence' && message.type !== 'snapshot') continue;
    const entry = message.entries.find(({ user }) => user === 'anna');
    if (entry !== undefined) return entry;
  }
  return undefined;
}

describe('a block', () => {
  it('sends the blocked one, whatever it watches, exactly what a goodbye would have sent', () => {
    const entries = (['block', 'leave'] as const).map((how) => {
      const stage = new FanoutStage();
      stage.befriend('eve', 'anna');
      const session = stage.core.begin('anna', { status: 'busy', text: 'hi' });
      // The last sign of life is some time ago: a goodbye is one by itself, and a block must not look otherwise.
      stage.core.clock.pass(700);
      const peers = [watching(stage, eve, 'anna'), stage.open(eve)];
      stage.fanout.watchFriends(peers[1]!.outbox, 'eve', undefined, undefined);
      peers[1]!.socket.take();
      if (how === 'block') void stage.blocks.block('anna', 'eve');
      else stage.core.leave(session);
      stage.fanout.flush();
      return peers.flatMap(({ socket }) => socket.take());
    });
    expect(entries[0]).toEqual(entries[1]);
    expect(entries[0]).toMatchObject([
      { type: 'presence', entries: [{ user: 'anna', status: 'offline', code: -1, devices: [] }] },
      { type: 'presence', entries: [{ user: 'anna', status: 'offline' }] },
    ]);
  });

  it('changes nothing for third parties, admins and the user itself, who are still notified', () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    const peers = [bob, admin, observer('anna'), { ...eve, user: null }].map((viewer) =>
      watching(stage, viewer, 'anna'),
    );
    const before = stage.core.entry('anna');
    void stage.blocks.block('anna', 'eve');
    expect(peers.flatMap(reported)).toEqual([]);
    expect(stage.core.entry('anna')).toEqual(before);
    stage.core.begin('anna', { status: 'busy' });
    stage.fanout.flush();
    for (const peer of peers) expect(reported(peer)).toEqual(['presence anna:busy']);
  });

  it('leaves the blocked one nothing to learn from: no change, no friend added, no snapshot, no `since` reveals the truth', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('anna');
    const peer = watching(stage, eve, 'anna');
    stage.fanout.watchFriends(peer.outbox, 'eve', undefined, undefined);
    void stage.blocks.block('anna', 'eve');
    const at = stage.core.hubClock.sentUpTo(stage.core.clock.wallMs + 10);
    stage.core.clock.pass(1000);
    peer.socket.take();
    stage.core.say(session, { status: 'busy' });
    stage.fanout.flush();
    stage.befriend('eve', 'anna');
    stage.fanout.watchUsers(peer.outbox, ['anna'], undefined, undefined);
    stage.fanout.watchUsers(peer.outbox, ['anna'], at, undefined);
    stage.core.leave(session);
    stage.fanout.flush();
    expect(reported(peer)).toEqual(['add anna:offline', 'snapshot anna:offline', 'snapshot']);
  });

  it('set on a user who is shown offline is seen by nobody: not by a message, not by a version (I22)', () => {
    for (const prepare of [
      () => undefined,
      (stage: FanoutStage) => void stage.core.leave(stage.core.begin('anna')),
      (stage: FanoutStage) => {
        const session = stage.core.begin('anna');
        stage.core.clock.pass(50);
        stage.core.say(session, { status: 'invisible' });
      },
    ]) {
      const stage = new FanoutStage();
      prepare(stage);
      stage.core.clock.pass(100);
      const peer = watching(stage, eve, 'anna');
      const before = stage.core.entryFor('anna', eve);
      void stage.blocks.block('anna', 'eve');
      stage.fanout.flush();
      expect(reported(peer)).toEqual([]);
      expect(stage.core.entryFor('anna', eve)).toEqual(before);
      stage.core.clock.pass(100);
      stage.core.begin('anna', { device: 'phone', status: 'busy' });
      expect(stage.core.entryFor('anna', eve)).toEqual(before);
    }
  });

  it('drops what was pending for the blocked one, and does not lose that the user went offline before it', () => {
    const stage = new FanoutStage();
    const [peer, other] = [watching(stage, eve, 'anna'), watching(stage, bob, 'anna')];
    const session = stage.core.begin('anna');
    stage.fanout.flush();
    stage.core.say(session, { status: 'busy', text: 'secret' });
    void stage.blocks.block('anna', 'eve');
    expect([reported(peer), reported(other)]).toEqual([
      ['presence anna:online', 'presence anna:offline'],
      ['presence anna:online', 'presence anna:busy'],
    ]);
    const two = new FanoutStage();
    const late = watching(two, eve, 'anna');
    const short = two.core.begin('anna');
    two.fanout.flush();
    two.core.leave(short);
    void two.blocks.block('anna', 'eve');
    two.fanout.flush();
    expect(reported(late)).toEqual(['presence anna:online', 'presence anna:offline']);
  });

  it('is kept from a slow peer no more than from others: it receives only the leaving', () => {
    const stage = new FanoutStage();
    const peer = watching(stage, eve, 'anna', 'carl');
    peer.socket.isSlow = true;
    stage.core.begin('carl');
    stage.core.begin('anna');
    stage.fanout.flush();
    stage.core.begin('anna', { status: 'busy' });
    stage.fanout.flush();
    void stage.blocks.block('anna', 'eve');
    stage.core.begin('anna', { status: 'busy', text: 'secret' });
    stage.fanout.flush();
    peer.socket.isSlow = false;
    stage.drain(peer);
    expect(reported(peer).at(-1)).toBe('snapshot anna:offline carl:online');
  });

  it('set twice is one: the moment of the first stays', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('anna');
    const peer = watching(stage, eve, 'anna');
    void stage.blocks.block('anna', 'eve');
    peer.socket.take();
    const frozen = stage.core.entryFor('anna', eve);
    stage.core.clock.pass(1000);
    stage.core.renew(session);
    void stage.blocks.block('anna', 'eve');
    expect(reported(peer)).toEqual([]);
    expect(stage.core.entryFor('anna', eve)).toEqual(frozen);
  });

  it('is as it was for a user who was let go of in between', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('anna');
    void stage.blocks.block('anna', 'eve');
    const frozen = stage.core.entryFor('anna', eve);
    stage.core.leave(session);
    stage.core.evict();
    expect(stage.core.users.find('anna')).toBeUndefined();
    expect(stage.core.entryFor('anna', eve)).toEqual(frozen);
    expect(stage.core.entryFor('anna', bob).v).toBeGreaterThanOrEqual(frozen.v);
  });

  it('that storage cannot take changes nothing', async () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    const peer = watching(stage, eve, 'anna');
    stage.storageFails = true;
    await expect(stage.blocks.block('anna', 'eve')).rejects.toThrow();
    expect(stage.core.entryFor('anna', eve)).toEqual(stage.core.entry('anna'));
    stage.storageFails = false;
    void stage.blocks.block('anna', 'eve');
    stage.storageFails = true;
    await expect(stage.blocks.unblock('anna', 'eve')).rejects.toThrow();
    expect(stage.core.entryFor('anna', eve).status).toBe('offline');
    expect(reported(peer)).toEqual(['presence anna:offline']);
  });
});

describe('lifting a block', () => {
  it('sends the blocked one the truth as a change, in a version above both', () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    const [peer, other] = [watching(stage, eve, 'anna'), watching(stage, bob, 'anna')];
    void stage.blocks.block('anna', 'eve');
    const frozen = annaIn(peer)!;
    const before = stage.core.entry('anna');
    void stage.blocks.unblock('anna', 'eve');
    const entry = annaIn(peer)!;
    expect(entry).toEqual(stage.core.entry('anna'));
    expect(entry).toEqual({ ...before, v: entry.v });
    expect(entry.v).toBeGreaterThan(Math.max(frozen.v, before.v));
    expect(reported(other)).toEqual([]);
  });

  it('sends a change that waited for its flush once', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('anna');
    const [peer, other] = [watching(stage, eve, 'anna'), watching(stage, bob, 'anna')];
    void stage.blocks.block('anna', 'eve');
    peer.socket.take();
    stage.core.say(session, { status: 'busy' });
    void stage.blocks.unblock('anna', 'eve');
    stage.fanout.flush();
    expect([reported(peer), reported(other)]).toEqual([['presence anna:busy'], ['presence anna:busy']]);
  });

  it('reveals nothing about a user who is shown offline, but shows it as it is from then on', () => {
    const stage = new FanoutStage();
    const session = stage.core.begin('anna');
    const peer = watching(stage, eve, 'anna');
    void stage.blocks.block('anna', 'eve');
    peer.socket.take();
    stage.core.clock.pass(1000);
    stage.core.leave(session);
    void stage.blocks.unblock('anna', 'eve');
    stage.fanout.flush();
    expect(reported(peer)).toEqual([]);
    expect(stage.core.entryFor('anna', eve)).toEqual(stage.core.entry('anna'));
    expect(stage.core.entry('anna').since).toBe(stage.core.clock.wallMs);
  });

  it('of one that does not stand does nothing, and of a user never seen leaves it never seen', () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    const before = stage.core.entry('anna');
    void stage.blocks.unblock('anna', 'eve');
    expect(stage.core.entry('anna')).toEqual(before);
    void stage.blocks.block('nobody', 'eve');
    void stage.blocks.unblock('nobody', 'eve');
    expect(stage.core.entry('nobody')).toMatchObject({ v: 0, since: null });
    expect([...stage.core.users.held()].map(({ id }) => id)).toEqual(['anna']);
  });

  it('and setting it again and again gives each frozen entry a version of its own', () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    const seen: number[] = [];
    for (let n = 0; n < 5; n++) {
      void stage.blocks.block('anna', 'eve');
      seen.push(stage.core.entryFor('anna', eve).v);
      void stage.blocks.unblock('anna', 'eve');
      seen.push(stage.core.entryFor('anna', eve).v);
    }
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });

  it('of one viewer leaves the block of another', () => {
    const stage = new FanoutStage();
    stage.core.begin('anna');
    void stage.blocks.block('anna', 'eve');
    void stage.blocks.block('anna', 'bob');
    void stage.blocks.unblock('anna', 'eve');
    expect([eve, bob].map((viewer) => stage.core.entryFor('anna', viewer).status)).toEqual(['online', 'offline']);
  });
});

describe('if last seen is hidden', () => {
  it('it is null for all but admins, in changes, snapshots, added friends and frozen entries', () => {
    const stage = new FanoutStage({ hidesLastSeen: true });
    stage.befriend('42', 'anna');
    const peers = [admin, bob, eve, plain('42')].map((viewer) => stage.open(viewer));
    for (const peer of peers) stage.fanout.watchFriends(peer.outbox, '42', undefined, undefined);
    stage.core.begin('anna');
    stage.fanout.flush();
    stage.befriend('42', 'carl');
    stage.core.clock.pass(100);
    stage.core.leave(stage.core.begin('carl'));
    stage.fanout.flush();
    void stage.blocks.block('anna', 'eve');
    const lastSeen = peers.map(({ socket }) =>
      socket.take().flatMap((message): unknown[] => {
        if (message.type === 'friend') return message.op === 'add' ? [message.entry.lastSeen] : [];
        return 'entries' in message ? message.entries.map((entry) => entry.lastSeen) : [];
      }),
    );
    const { wallMs } = stage.core.clock;
    expect(lastSeen).toEqual([
      [null, wallMs - 100, null, wallMs],
      [null, null, null, null],
      [null, null, null, null, null],
      [null, null, null, null],
    ]);
  });

  it('each form of an entry is made once for all who see it', () => {
    const stage = new FanoutStage({ hidesLastSeen: true });
    stage.core.begin('anna');
    const user = stage.core.users.peek('anna');
    const { users } = stage.core;
    void stage.blocks.block('anna', 'eve');
    for (const viewer of [admin, bob, eve]) {
      const first = users.entryJsonFor(user, viewer);
      expect(Object.is(users.entryJsonFor(user, { ...viewer }), first)).toBe(true);
    }
    expect(new Set([admin, bob, eve].map((viewer) => users.entryJsonFor(user, viewer))).size).toBe(3);
  });
});
