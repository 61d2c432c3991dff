import { beforeEach, describe, expect, it } from 'vitest';
import { ReadPauses } from '../../../../server/adapters/tcp-xml/pacing/read-pauses.ts';

const LOOK_MS = 25;
const COMES_ROUND_MS = 2700;

let pauses: ReadPauses;
let now: number;
const look = (): number => Math.floor(now / LOOK_MS);
const madeUp = (): number => pauses.madeUpMs(now, look());

function pause(ms: number): void {
  pauses.begin(now, look());
  now += ms;
  pauses.end(now, look());
}

beforeEach(() => {
  pauses = new ReadPauses(COMES_ROUND_MS);
  now = 1000;
});

describe('pauses', () => {
  it('add up, the one in hand included', () => {
    pause(30);
    now += 500;
    pause(40);
    pauses.begin(now, look());
    expect(pauses.totalMs(now + 5)).toBe(75);
    expect(pauses.isPaused).toBe(true);
  });

  it('are made up for after as long again, and two looks', () => {
    pause(200);
    now += 199;
    expect(madeUp()).toBe(0);
    now += 1;
    expect(madeUp()).toBe(200);
    pause(1);
    now += 2 * LOOK_MS - 1 - (now % LOOK_MS);
    expect(madeUp()).toBe(200);
    now += 1;
    expect(madeUp()).toBe(201);
  });

  it('are made up for once every user of the client has had its turn, however long they were', () => {
    pause(60_000);
    now += COMES_ROUND_MS - 1;
    expect(madeUp()).toBe(0);
    now += 1;
    expect(madeUp()).toBe(60_000);
  });

  it('are made up for, though nobody asks before the next one begins', () => {
    for (let i = 0; i < 30; i++) {
      pause(600);
      now += 700;
    }
    pauses.begin(now, look());
    expect(madeUp()).toBe(30 * 600);
  });

  it('make a row if too little is read between them, and the row is made up for as a whole', () => {
    for (let i = 0; i < 10; i++) {
      pause(100);
      now += LOOK_MS;
      expect(madeUp()).toBe(0);
    }
    now += 900 - LOOK_MS;
    expect(madeUp()).toBe(0);
    now += 100;
    expect(madeUp()).toBe(1000);
  });

  it('are not made up for while so much comes at once that more may wait', () => {
    pause(100);
    for (let i = 0; i < 20; i++) {
      now += LOOK_MS;
      pauses.stillBehind(now, look());
    }
    expect(madeUp()).toBe(0);
    now += 100;
    expect(madeUp()).toBe(100);
  });

  it('make two rows if all was read freely between them, though the second begins with much at once', () => {
    pause(1000);
    now += 1000;
    pauses.stillBehind(now, look());
    pause(1000);
    now += 999;
    expect(madeUp()).toBe(1000);
    now += 1;
    expect(madeUp()).toBe(2000);
  });

  it('that are short and come again and again do not keep a long one from being made up for', () => {
    pause(800);
    for (let i = 0; i < 10; i++) {
      now += 3 * LOOK_MS;
      expect(madeUp()).toBe(0);
      pause(1);
    }
    now += 3 * LOOK_MS;
    expect(madeUp()).toBeGreaterThanOrEqual(800);
  });
});

describe('a connection that is paused for hours, since it sends too much', () => {
  const MIB = 1024 * 1024;

  it('makes up for a pause once more was read than both ends can hold back (T26)', () => {
    pause(1000);
    pauses.received(16 * MIB);
    pauses.begin(now, look());
    expect(madeUp()).toBe(0);
    now += 5000;
    pauses.received(15 * MIB);
    expect(madeUp()).toBe(0);
    pauses.received(MIB);
    expect(madeUp()).toBe(1000);
  });
});
