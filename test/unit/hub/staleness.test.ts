/** To whom a reason for stale data is sent, and how much is looked at for it. */
import { describe, expect, it } from 'vitest';
import { createPollOutage } from '../../../server/hub/poll-outage.ts';
import { Staleness } from '../../../server/staleness.ts';
import { noStalls } from '../../../server/lib/time/stall-clock.ts';
import { FanoutStage, type Peer } from '../../support/fanout-stage.ts';

class Stage extends FanoutStage {
  readonly peers: Peer[] = [];
  /** How often it was asked whether a user is shown as polled. */
  questions = 0;
  sureness: (number | null)[] = [];
  readonly staleness = new Staleness({
    users: this.core.users,
    onSureness: (since) => this.sureness.push(since),
  });
  readonly outage = createPollOutage({
    users: {
      isShownOn: (...asked) => {
        this.questions++;
        return this.core.users.isShownOn(...asked);
      },
    },
    staleness: this.staleness,
    clock: this.core.clock,
    stalls: noStalls,
    record: () => undefined,
  });

  watch(...users: string[]): Peer {
    const peer = this.open();
    this.peers.push(peer);
    this.fanout.watchUsers(peer.outbox, users, undefined, undefined);
    peer.socket.take();
    return peer;
  }
}

describe('the end of a doubt', () => {
  it('is sent once nothing else waits, and to a peer that does not read when it does', () => {
    const stage = new Stage({ reportEveryMs: 50 });
    const peer = stage.watch('42');
    const slow = stage.watch('42');
    let isOver = false;
    stage.staleness.begin({ since: 1, isAbout: null, isOver: () => isOver }, [peer.outbox, slow.outbox]);
    stage.core.begin('42', { text: '1' });
    stage.fanout.flush();
    slow.socket.isSlow = true;
    const session = stage.core.begin('42', { text: '2' });
    stage.core.clock.pass(50);
    stage.fanout.flush();
    stage.core.say(session, { text: '3' });
    for (const { socket } of [peer, slow]) socket.take();
    isOver = true;
    stage.staleness.tick(stage.core.clock.monoMs, stage.fanout);
    expect(peer.socket.take()).toMatchObject([
      { type: 'presence', entries: [{ text: '3' }] },
      { type: 'fresh', at: stage.core.clock.wallMs - 1 },
    ]);
    stage.staleness.tick(stage.core.clock.monoMs, stage.fanout);
    slow.socket.isSlow = false;
    stage.drain(slow);
    stage.staleness.tick(stage.core.clock.monoMs, stage.fanout);
    const reported = slow.socket.take();
    expect(reported.at(-1)).toMatchObject({ type: 'fresh' });
    expect(JSON.stringify(reported.slice(0, -1))).toContain('"text":"3"');
    expect(JSON.stringify(reported)).toContain('"type":"fresh"');
  });
});

describe('a user that the hub cannot ask', () => {
  it('is looked at for those alone who watch it, however many others there are', () => {
    const stage = new Stage();
    const session = stage.core.begin('polled', { adapter: 'poll' });
    const other = stage.core.begin('other', { adapter: 'poll' });
    const concerned = stage.watch('polled');
    const unconcerned = Array.from({ length: 1000 }, () => stage.watch('a', 'b', 'c'));
    stage.outage.began(other);
    stage.outage.began(session);
    expect(concerned.socket.take()).toMatchObject([{ type: 'stale' }]);
    stage.outage.ended(session);
    stage.staleness.tick(stage.core.clock.now().monoMs, stage.fanout);
    expect(concerned.socket.take()).toMatchObject([{ type: 'fresh' }]);
    expect(unconcerned.flatMap(({ socket }) => socket.take())).toEqual([]);
    expect(stage.questions).toBeLessThan(10);
  });
});
