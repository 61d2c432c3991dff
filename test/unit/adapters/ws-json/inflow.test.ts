/** How fast the messages of one connection are handled, without sockets: what a turn handles, what waits, what ends it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Inflow, type InflowOwner } from '../../../../server/adapters/ws-json/inflow.ts';
import type { Incoming } from '../../../../server/adapters/ws-json/lane.ts';
import type { ConnectionContext } from '../../../../server/adapters/ws-json/context.ts';
import { FairQueue } from '../../../../server/lib/collections/fair-queue.ts';
import { InputWait } from '../../../../server/lib/time/input-wait.ts';
import type { Socket } from '../../../../server/sockets/port.ts';
import { TestClock } from '../../../support/clock.ts';

const RATE = { perS: 200, burst: 2_000 };
const STRICT_MS = 10_000;

/** One turn of the loop for all: a clock that each reading moves on, as handling would. */
class Stage {
  readonly clock = new TestClock();
  readonly afterTurn: (() => void)[] = [];
  readonly refused: string[] = [];
  readonly hub: ConnectionContext & { lastTickAt: number };

  constructor(costMs: number, messages = RATE) {
    const now = (): ReturnType<TestClock['now']> => {
      this.clock.pass(costMs);
      return this.clock.now();
    };
    const turns = new FairQueue({ clock: { now }, afterTurn: (run) => this.afterTurn.push(run) });
    this.hub = {
      messages,
      turns,
      lastTickAt: this.clock.monoMs,
      inputWait: new InputWait(),
      onRefused: (reason: string) => this.refused.push(reason),
    } as unknown as ConnectionContext & { lastTickAt: number };
  }

  /** The loop comes round once. */
  nextTurn(): void {
    for (const run of this.afterTurn.splice(0)) run();
  }

  /** Time passes, and with it many turns. */
  pass(ms: number): void {
    this.nextTurn();
    this.nextTurn();
    this.clock.pass(ms);
    this.hub.lastTickAt = this.clock.monoMs;
  }
}

class Peer implements InflowOwner {
  readonly handled: Incoming[] = [];
  readonly log: string[] = [];
  readonly inflow: Inflow;
  isOpen = true;
  isWelcomed = true;
  tickAt = Infinity;
  onHandle: () => void = () => undefined;

  constructor(stage: Stage, strictUntil = 0) {
    const socket = { pause: () => this.log.push('pause'), resume: () => this.log.push('resume') };
    this.inflow = new Inflow(stage.hub, socket as unknown as Socket, this, strictUntil);
  }
  handle(message: Incoming): void {
    this.handled.push(message);
    this.onHandle();
  }
  mayPass(message: Incoming): boolean {
    return message === 'heartbeat';
  }
  wakeBy(monoMs: number): void {
    this.tickAt = monoMs;
  }
  flooded(mustCut: boolean): void {
    this.log.push(mustCut ? 'cut' : 'closed');
    this.isOpen = false;
    this.inflow.stop();
  }
  /** Messages of one unit, numbered, until the connection ends. @returns how many came. */
  send(count: number): number {
    for (let i = 0; i < count; i++) {
      if (!this.isOpen) return i;
      this.inflow.arrive(`${i}`);
    }
    return count;
  }
  ping(count: number): void {
    for (let i = 0; i < count && this.isOpen; i++) this.inflow.count();
  }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

let stage: Stage;
let peer: Peer;
beforeEach(() => {
  stage = new Stage(0);
  peer = new Peer(stage);
});

describe('the inflow of a connection', () => {
  it('hands on what is within the rate at once, and asks nothing of the socket', () => {
    peer.send(2_000);
    expect(peer.handled).toEqual(numbers(2_000));
    expect(peer.log).toEqual([]);
    expect(peer.inflow.isWaiting).toBe(false);
  });

  it('pauses over the rate, keeps what comes all the same, and hands it on at the rate, in its order', () => {
    peer.send(3_000);
    expect(peer.handled).toHaveLength(2_001);
    expect(peer.log).toEqual(['pause']);
    expect(stage.refused).toEqual(['messages']);
    for (let s = 0; s < 4; s++) {
      stage.pass(1_000);
      peer.inflow.tick(stage.clock.monoMs);
    }
    expect(peer.handled.length).toBeGreaterThanOrEqual(2_800);
    expect(peer.handled.length).toBeLessThanOrEqual(2_802);
    stage.pass(2_000);
    peer.inflow.tick(stage.clock.monoMs);
    expect(peer.handled).toEqual(numbers(3_000));
    expect(peer.log).toEqual(['pause', 'resume']);
  });

  it('counts what has no message, and what a message costs beyond its size', () => {
    peer.onHandle = () => peer.inflow.charge(999);
    peer.send(3);
    expect(peer.handled).toHaveLength(3);
    expect(peer.inflow.isWaiting).toBe(true);
    const pinging = new Peer(stage);
    for (let i = 0; i < 2_001; i++) pinging.inflow.count();
    expect(pinging.log).toEqual(['pause']);
    stage.pass(5);
    pinging.inflow.tick(stage.clock.monoMs);
    expect(pinging.log).toEqual(['pause']);
    stage.pass(5);
    pinging.inflow.tick(stage.clock.monoMs);
    expect(pinging.log).toEqual(['pause', 'resume']);
  });

  it('waits no longer than ten seconds for whatever it has cost (W20)', () => {
    peer.onHandle = () => peer.inflow.charge(1_000_000);
    peer.send(1);
    expect(peer.tickAt - stage.clock.monoMs).toBeLessThanOrEqual(10_010);
  });

  it('holds what comes until all who hold it have released it', () => {
    peer.inflow.hold();
    peer.inflow.hold();
    peer.send(1);
    peer.inflow.release();
    expect(peer.handled).toEqual([]);
    peer.inflow.release();
    expect(peer.handled).toEqual(['0']);
  });

  it('holds what comes until it is released', () => {
    peer.onHandle = () => peer.inflow.hold();
    peer.send(3);
    expect(peer.handled).toEqual(['0']);
    peer.onHandle = () => undefined;
    peer.inflow.release();
    expect(peer.handled).toEqual(numbers(3));
    expect(peer.log).toEqual([]);
  });

  describe('while a slow handler is not done', () => {
    const arrive = (...messages: string[]): void => {
      for (const message of messages) peer.inflow.arrive(message);
    };

    it('handles heartbeats at once, and the rest afterwards in its order', () => {
      peer.inflow.hold();
      arrive('watch', 'heartbeat', 'unwatch', 'heartbeat');
      expect(peer.handled).toEqual(['heartbeat', 'heartbeat']);
      peer.inflow.release();
      expect(peer.handled).toEqual(['heartbeat', 'heartbeat', 'watch', 'unwatch']);
    });

    it('charges the heartbeats that pass, and lets none pass over the rate', () => {
      peer.inflow.hold();
      arrive(...Array.from({ length: 2_500 }, () => 'heartbeat'));
      const passed = peer.handled.length;
      expect(passed).toBeLessThanOrEqual(2_001);
      expect(peer.log).toEqual(['pause']);
      peer.inflow.release();
      expect(peer.handled).toHaveLength(passed);
    });

    it('lets no heartbeat pass an earlier one', () => {
      peer.isWelcomed = false;
      peer.inflow.hold();
      arrive('first');
      peer.isWelcomed = true;
      arrive('heartbeat');
      expect(peer.handled).toEqual([]);
      peer.inflow.release();
      expect(peer.handled).toEqual(['first', 'heartbeat']);
    });

    it('reads on until 64 KiB wait', () => {
      peer.inflow.hold();
      const large = 'x'.repeat(16_000);
      arrive(large, large, large, large);
      expect(peer.log).toEqual([]);
      arrive(large);
      expect(peer.log).toEqual(['pause']);
      arrive('heartbeat');
      expect(peer.handled).toEqual([]);
      peer.inflow.release();
      expect(peer.log).toEqual(['pause', 'resume']);
    });
  });

  it('keeps 2 MiB, and before the hello 256 KiB; more ends the connection (W21)', () => {
    peer.inflow.hold();
    const large = 'x'.repeat(16_000);
    for (let i = 0; i < 131; i++) peer.inflow.arrive(large);
    expect(peer.isOpen).toBe(true);
    peer.inflow.arrive(large);
    expect(peer.log).toEqual(['pause', 'closed']);
    const stranger = new Peer(stage);
    stranger.isWelcomed = false;
    stranger.inflow.hold();
    for (let i = 0; i < 17; i++) stranger.inflow.arrive(large);
    expect(stranger.log).toEqual(['pause', 'closed']);
  });

  it('ends if ten times the rate has come for ten seconds, and not before (W21)', () => {
    const slower = new Peer(stage);
    slower.send(2_000);
    const perTenth = { faster: 400, slower: 190 };
    let tenths = 0;
    peer.send(2_001);
    for (; peer.isOpen && tenths < 200; tenths++) {
      stage.pass(100);
      peer.ping(perTenth.faster);
      slower.ping(perTenth.slower);
      stage.nextTurn();
    }
    expect(peer.log.at(-1)).toBe('closed');
    expect(tenths).toBeGreaterThanOrEqual(95);
    expect(tenths).toBeLessThanOrEqual(105);
    expect(slower.isOpen).toBe(true);
  });

  it('gives an address in the penalty box no burst: what a second allows, and a debt as small', () => {
    const penalized = new Peer(stage, stage.clock.monoMs + STRICT_MS);
    penalized.send(300);
    expect(penalized.handled).toHaveLength(RATE.perS + 1);
    expect(penalized.tickAt - stage.clock.monoMs).toBeLessThanOrEqual(1_010);
    stage.pass(STRICT_MS + 10_000);
    penalized.inflow.tick(stage.clock.monoMs);
    penalized.send(2_000);
    expect(penalized.handled).toHaveLength(300 + 2_000 - 98);
  });
});

describe('a turn of the event loop', () => {
  // Each message costs 0.1 ms, and the clock is read once for eight: a turn is full after about 230 of them.
  beforeEach(() => {
    stage = new Stage(0.8);
  });

  it('handles no more of one connection than it has room for, and the rest in the next ones', () => {
    peer = new Peer(stage);
    peer.send(2_000);
    expect(peer.handled.length).toBeLessThan(300);
    let turns = 0;
    for (; peer.handled.length < 2_000 && turns < 100; turns++) {
      const before = peer.handled.length;
      stage.nextTurn();
      expect(peer.handled.length - before).toBeLessThan(150);
    }
    expect(peer.handled).toEqual(numbers(2_000));
    expect(turns).toBeGreaterThan(10);
  });

  it('is shared by a hundred floods: how much of each is handled, and what each may leave behind, is bounded', () => {
    const floods = Array.from({ length: 100 }, () => new Peer(stage));
    const came = floods.map((flood) => flood.send(30_000));
    const handled = floods.reduce((sum, flood) => sum + flood.handled.length, 0);
    expect(handled).toBeLessThan(300 + 16 * 100);
    expect(came.reduce((sum, count) => sum + count, 0)).toBeLessThan(20_000 + 300 * 100);
    for (const flood of floods) expect(flood.log).toEqual(['pause', 'cut']);
    const good = new Peer(stage);
    good.send(10);
    expect(good.handled).toEqual(numbers(10));
    expect(good.log).toEqual([]);
  });

  it('goes on for the others when one in line has gone', () => {
    const peers = Array.from({ length: 3 }, () => new Peer(stage));
    for (const one of peers) one.send(400);
    peers[0]!.inflow.stop();
    for (let turns = 0; turns < 200; turns++) stage.nextTurn();
    for (const one of peers.slice(1)) expect(one.handled).toEqual(numbers(400));
    expect(peers[0]!.handled.length).toBeLessThan(400);
  });
});
