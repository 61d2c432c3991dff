import { beforeEach, describe, expect, it } from 'vitest';
import { FairQueue, type Queued } from '../../../server/lib/collections/fair-queue.ts';
import { TestClock } from '../../support/clock.ts';

const UNWATCHED = 128;
const TURN_MS = 10;
const SLICE = 64;
const LEAST = 16;

let clock: TestClock;
let turns: FairQueue;
/** What waits for the end of the turn. */
let afterTurn: (() => void)[];
/** Who went on, in order. */
let log: string[];

beforeEach(() => {
  clock = new TestClock();
  afterTurn = [];
  log = [];
  turns = new FairQueue({ clock, afterTurn: (run) => afterTurn.push(run) });
});

/** The loop comes round. */
function nextTurn(): void {
  for (const run of afterTurn.splice(0)) run();
}

/** Frames of one chunk. @returns how many until it had to get in line. */
function take(frames: number): number {
  for (let inARow = 1; inARow <= frames; inARow++) if (turns.take(inARow, 1)) return inARow;
  return frames;
}

/** Joins the queue this many more times. */
function connection(name: string, again = 0): Queued {
  const self: Queued = {
    onTurn: () => {
      log.push(name);
      if (again-- > 0) turns.enqueue(self);
    },
  };
  return self;
}

/** So much came that the turn is watched. */
const beBusy = (): number => take(UNWATCHED);

describe('turns with little to do', () => {
  it('ask nothing of the loop, and stop nobody, however long they take', () => {
    for (let frames = 1; frames < UNWATCHED; frames++) {
      clock.pass(1_000);
      expect(turns.take(frames, 1)).toBe(false);
    }
    expect(afterTurn).toHaveLength(0);
  });

  it('ask one end of a turn of it for 128 frames', () => {
    for (let frames = 0; frames < 10 * UNWATCHED; frames++) {
      expect(turns.take(1, 1)).toBe(false);
      expect(afterTurn).toHaveLength(frames % UNWATCHED === UNWATCHED - 1 ? 1 : 0);
      if (afterTurn.length > 0) nextTurn();
    }
  });

  it('let a single connection say all it has while there is time', () => {
    expect(take(10_000)).toBe(10_000);
  });
});

describe('a turn whose time is used up', () => {
  it('reads a few frames of each chunk, and has the rest wait', () => {
    beBusy();
    clock.pass(TURN_MS - 1);
    expect(take(1_000)).toBe(1_000);
    clock.pass(1);
    expect(take(1_000)).toBe(LEAST);
    expect(take(LEAST - 1)).toBe(LEAST - 1);
  });

  it('is over when the loop has seen its other work', () => {
    beBusy();
    clock.pass(TURN_MS);
    nextTurn();
    expect(take(100)).toBe(100);
    expect(afterTurn).toHaveLength(0);
  });
});

describe('a line', () => {
  it('is served in its order, one a turn; who gets in line again comes behind all others', () => {
    turns.enqueue(connection('a', 2));
    turns.enqueue(connection('b', 1));
    turns.enqueue(connection('c'));
    beBusy();
    const served: string[] = [];
    while (afterTurn.length > 0) {
      nextTurn();
      served.push(log.splice(0).join(''));
    }
    expect(served).toEqual(['a', 'b', 'c', 'a', 'b', 'a', '']);
  });

  it('lets no connection say more than a slice while others wait, though there is time', () => {
    turns.enqueue(connection('a', 1));
    beBusy();
    nextTurn();
    expect(take(1_000)).toBe(SLICE);
    nextTurn();
    expect(log).toEqual(['a', 'a']);
    expect(take(1_000)).toBe(1_000);
  });

  it('forgets who leaves it', () => {
    const gone = connection('gone');
    turns.enqueue(gone);
    turns.enqueue(connection('a'));
    turns.leave(gone);
    beBusy();
    nextTurn();
    expect(log).toEqual(['a']);
  });
});
