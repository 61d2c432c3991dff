/** A user is in the store before anybody is shown it, whatever shows it. */
import { describe, expect, it, vi } from 'vitest';
import { TAIL_EVERY_MS } from '../../../shared/limits.ts';
import type { User } from '../../../server/presence/user.ts';
import { Tails } from '../../../server/fanout/tails.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';
import { admin, observer } from '../../support/presence-stage.ts';

/** Notes what a peer is sent of a user that is not stored at that moment. */
function shownTooEarly(stage: FanoutStage, { socket }: Peer): string[] {
  const early: string[] = [];
  const send = socket.send.bind(socket);
  socket.send = (message) => {
    const text = typeof message === 'string' ? message : new TextDecoder().decode(message);
    for (const [, id = '', v] of text.matchAll(/"user":"([^"]+)"[^{}]*?"v":(\d+)/g)) {
      if (Number(v) > 0 && !stage.core.stored.has(id)) early.push(id);
    }
    return send(message);
  };
  return early;
}

const viewer = observer('eve');
const reported: Record<string, (stage: FanoutStage, peer: Peer, begin: () => User) => void> = {
  'a change': ({ fanout }, { outbox }, begin) => {
    fanout.watchUsers(outbox, ['7'], undefined, undefined);
    begin();
    fanout.flush();
  },
  'a snapshot by ids': ({ fanout }, { outbox }, begin) => {
    begin();
    fanout.watchUsers(outbox, ['7'], undefined, undefined);
  },
  'a snapshot of friends': (stage, { outbox }, begin) => {
    stage.befriend('42', '7');
    begin();
    stage.fanout.watchFriends(outbox, '42', undefined, undefined);
  },
  'a new friend': (stage, { outbox }, begin) => {
    stage.fanout.watchFriends(outbox, '42', undefined, undefined);
    begin();
    stage.befriend('42', '7');
  },
  'what a slow peer missed': (stage, peer, begin) => {
    stage.fanout.watchUsers(peer.outbox, ['7', '8'], undefined, undefined);
    peer.socket.isSlow = true;
    stage.core.begin('8');
    stage.fanout.flush();
    begin();
    stage.fanout.flush();
    peer.socket.isSlow = false;
    stage.drain(peer);
  },
  'a block': (stage, { outbox }, begin) => {
    stage.fanout.watchUsers(outbox, ['7'], undefined, undefined);
    begin();
    void stage.blocks.block('7', 'eve');
  },
  'a tail': ({ core }, { outbox }, begin) => {
    vi.useFakeTimers();
    const tails = new Tails({ presence: core.users });
    tails.begin(outbox, '');
    begin();
    for (const change of core.changes) tails.changed(change);
    vi.advanceTimersByTime(TAIL_EVERY_MS);
    tails.stop();
    vi.useRealTimers();
  },
};

const read: Record<string, (stage: FanoutStage) => unknown> = {
  'one user': ({ core }) => core.users.peekAs('7', viewer),
  'a list of users': ({ core }) => core.users.answersFor(['7', '8'], viewer),
  'the entry for an admin': ({ core }) => core.users.entryOf(core.users.peek('7')),
  'an entry for a watcher': ({ core }) => core.users.entryJsonFor(core.users.peek('7'), admin),
};

describe('a user that was never stored is stored before it is sent', () => {
  it.each(Object.entries(reported))('with %s', (_, report) => {
    const stage = new FanoutStage();
    const peer = stage.open(viewer);
    const early = shownTooEarly(stage, peer);
    report(stage, peer, () => stage.core.begin('7').user);
    expect(JSON.stringify(peer.socket.take())).toMatch(/"user":"7"[^{}]*"v":[1-9]/);
    expect(early).toEqual([]);
  });
});

describe('a user that was never stored is stored before it is read', () => {
  it.each(Object.entries(read))('as %s', (_, readIt) => {
    const stage = new FanoutStage();
    stage.core.begin('7');
    expect(stage.core.stored.has('7')).toBe(false);
    readIt(stage);
    expect(stage.core.stored.has('7')).toBe(true);
  });

  it('only when a tail is sent, together with the other users in it', () => {
    vi.useFakeTimers();
    const stage = new FanoutStage();
    const { core } = stage;
    const tails = new Tails({ presence: core.users });
    tails.begin(stage.open(admin).outbox, '');
    core.begin('7');
    core.begin('8');
    for (const change of core.changes) tails.changed(change);
    expect(core.stored.has('7')).toBe(false);
    vi.advanceTimersByTime(TAIL_EVERY_MS);
    expect(core.stored.has('7') && core.stored.has('8')).toBe(true);
    tails.stop();
    vi.useRealTimers();
  });

  it('once: a stored user does not wait for storage again', () => {
    const { core } = new FanoutStage();
    const session = core.begin('7');
    core.users.peekAs('7', viewer);
    core.say(session, { status: 'busy' });
    core.users.peekAs('7', viewer);
    expect(core.storings).toBe(1);
  });

  it('unless nobody was ever shown it: an invisible user costs what an unknown one does', () => {
    const { core } = new FanoutStage();
    core.begin('7', { status: 'invisible' });
    core.users.peekAs('7', viewer);
    core.users.answersFor(['7', '8'], viewer);
    expect(core.storings).toBe(0);
  });
});
