/**
 * Floods of good frames, and what they leave to others: how the TCP port shares the turns of the event loop. Real sockets,
 * and a clock on which each reading takes time, so that a turn is full after so many frames on any machine.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { TcpXmlOptions } from '../../server/adapters/tcp-xml/options.ts';
import { TestClock } from '../support/clock.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { LEASE_MS } from '../support/presence-stage.ts';
import { TcpStage } from '../support/tcp-stage.ts';

const POLL = { interval: 5, timeout: 10_000 };
const NO_RATE = { perS: 1e9, burst: 1e9 };
/** What the port may read in one turn of the loop, with the 16 frames that each of eight connections is granted. */
const MOST_A_TURN = 350;

let stage: TcpStage | undefined;
/** The states of the frames read, and the turn of the loop that read each. */
let received: { readonly state: number; readonly turn: number }[];
let turn: number;
let onTurn: () => void;
let ticker: NodeJS.Immediate;

async function start(frameCostMs: number, options: Partial<TcpXmlOptions> = {}): Promise<TcpStage> {
  received = [];
  turn = 0;
  onTurn = () => undefined;
  const count = (): void => {
    turn++;
    onTurn();
    ticker = setImmediate(count);
  };
  ticker = setImmediate(count);
  const begun = new TestClock();
  const now = (): ReturnType<TestClock['now']> => {
    stage?.core.clock.pass(frameCostMs);
    return (stage?.core.clock ?? begun).now();
  };
  const statusOf: TcpXmlOptions['statusOf'] = (state) => {
    received.push({ state, turn });
    return 'online';
  };
  stage = await TcpStage.open({ clock: { now }, messages: NO_RATE, frameMs: 1e9, ack: false, statusOf, ...options });
  return stage;
}

afterEach(async () => {
  clearImmediate(ticker);
  await stage?.close();
  stage = undefined;
});

const connect = (on: TcpStage, count: number): Promise<LegacyClient[]> =>
  Promise.all(Array.from({ length: count }, () => on.connect()));
const statesFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, no) => first + no);
const framesOf = (user: string, states: readonly number[]): string =>
  states.map((state) => frame(user, state)).join('');
const hasReceived = (frames: number): Promise<void> => expect.poll(() => received.length, POLL).toBe(frames);

function busiestTurn(): number {
  const counts = new Map<number, number>();
  for (const { turn: no } of received) counts.set(no, (counts.get(no) ?? 0) + 1);
  return Math.max(...counts.values());
}

describe('a flood of good frames', () => {
  it('takes no more of a turn than its share, from however many connections it comes', async () => {
    const floods = await connect(await start(1), 8);
    for (const [no, flood] of floods.entries()) flood.write(framesOf(`u${no}`, statesFrom(1, 1_000)));
    await hasReceived(8_000);
    expect(busiestTurn()).toBeLessThanOrEqual(MOST_A_TURN);
  });

  it('is read in one go while there is time for it', async () => {
    const [flood] = await connect(await start(0), 1);
    flood?.write(framesOf('42', statesFrom(1, 500)));
    await hasReceived(500);
    expect(busiestTurn()).toBeGreaterThan(MOST_A_TURN);
  });

  it('lets a client that says one thing be read amid it', async () => {
    const [calm, ...floods] = await connect(await start(1), 9);
    for (const [no, flood] of floods.entries()) flood.write(framesOf(`u${no}`, statesFrom(1, 1_000)));
    await expect.poll(() => received.length, { ...POLL, interval: 0 }).toBeGreaterThan(0);
    const writtenIn = turn;
    calm?.beat('calm', 7_777);
    await hasReceived(8_001);
    const calmIn = received.find(({ state }) => state === 7_777)?.turn ?? Infinity;
    // Those that stand in line take some hundred turns.
    expect(calmIn - writtenIn).toBeLessThan(20);
    expect(turn - writtenIn).toBeGreaterThan(100);
  });

  it('is read by turns: none of equals is done long before the others', async () => {
    const floods = await connect(await start(1), 4);
    for (const [no, flood] of floods.entries()) flood.write(framesOf(`u${no}`, statesFrom(10_000 * (no + 1), 600)));
    await hasReceived(2_400);
    for (const no of floods.keys()) {
      const last = received.findIndex(({ state }) => state === 10_000 * (no + 1) + 599);
      expect(last).toBeGreaterThan(2_400 - 2 * MOST_A_TURN);
    }
  });

  it('loses nothing and keeps its order, however it is cut into packets, up to the end of each stream', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 6 });
    const flood = fc.record({ frames: fc.integer({ min: 0, max: 700 }), sizes });
    await fc.assert(
      fc.asyncProperty(fc.array(flood, { minLength: 1, maxLength: 5 }), fc.constantFrom(0, 1, 5), async (all, cost) => {
        const on = await start(cost);
        const clients = await connect(on, all.length);
        const sent = all.map(({ frames }, no) => statesFrom(10_000 * (no + 1), frames));
        for (const [no, client] of clients.entries()) {
          let rest = framesOf(`u${no}`, sent[no] ?? []);
          for (let part = 0; rest.length > 0; part++) {
            const { sizes: cuts = [1] } = all[no] ?? {};
            const size = cuts[part % cuts.length] ?? 1;
            // What is a few bytes each goes out with what follows, or it would be thousands of packets.
            client.write(rest.slice(0, Math.max(size, 500)));
            rest = rest.slice(Math.max(size, 500));
          }
          client.end();
        }
        await expect.poll(() => on.tcp.connectionCount, POLL).toBe(0);
        for (const [no, states] of sent.entries()) {
          expect(received.map(({ state }) => state).filter((state) => Math.floor(state / 10_000) === no + 1)).toEqual(
            states,
          );
        }
        expect(on.bad).toEqual([]);
        clearImmediate(ticker);
        await on.close();
        stage = undefined;
      }),
      { numRuns: 30 },
    );
  });
});

describe('users whose frames wait for other connections', () => {
  it('are not taken for silent, however long that is', async () => {
    const on = await start(1, { timeoutMs: LEASE_MS });
    const [gateway, ...floods] = await connect(on, 6);
    gateway?.write(frame('good', 1));
    await hasReceived(1);
    const good = on.session('good');
    // Time passes with each turn from here on: many leases, until the last frame of the gateway comes.
    const phases = new Set<string | undefined>();
    const isReceived = (): boolean => received.some(({ state }) => state === 7_777);
    onTurn = () => {
      if (isReceived()) return;
      on.pass(LEASE_MS / 4);
      phases.add(good?.phase);
    };
    for (const [no, flood] of floods.entries()) flood.write(framesOf(`u${no}`, statesFrom(1, 800)));
    gateway?.write(framesOf('other', statesFrom(1, 800)) + frame('good', 7_777));
    await expect.poll(isReceived, POLL).toBe(true);
    expect(turn).toBeGreaterThan(20);
    expect([...phases]).toEqual(['live']);
  });
});
