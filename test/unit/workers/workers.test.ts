/** What the parent of workers does when they start, fail, end and ask, with processes that a test decides about. */
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../../server/config/config.ts';
import type { ToWorker } from '../../../server/workers/messages.ts';
import { Workers, type WorkerEvents } from '../../../server/workers/workers.ts';

class FakeWorker {
  readonly events: WorkerEvents;
  readonly pid: number;
  readonly sent: ToWorker[] = [];
  isKilled = false;
  isHung = false;

  constructor(events: WorkerEvents, pid: number) {
    this.events = events;
    this.pid = pid;
  }

  send(message: ToWorker): void {
    if (message.type !== 'ping') this.sent.push(message);
    else if (!this.isHung) this.events.message({ type: 'pong' });
  }

  kill(): void {
    this.isKilled = true;
    this.events.ended(null, 'SIGKILL');
  }

  serve(port = 8080): void {
    this.events.message({ type: 'ready' });
    this.events.message({ type: 'serving', port, lines: `lines of ${this.pid}` });
  }

  get types(): string[] {
    return this.sent.map(({ type }) => type);
  }

  get last(): ToWorker {
    return this.sent.at(-1)!;
  }
}

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

const settings = { workers: 3, maxWatches: 1, host: 'a' } as Config;

let forked: FakeWorker[];
let timers: Timer[];
let nowMs: number;
let lines: { msg: string; [fact: string]: unknown }[];
let lost: string[];
let workers: Workers;

beforeEach(() => {
  [forked, timers, nowMs, lines, lost] = [[], [], 0, [], []];
  workers = new Workers({
    config: settings,
    warnings: ['careful'],
    log: pino({ base: {} }, { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[0]) }),
    fork: (events) => {
      const worker = new FakeWorker(events, forked.length + 1);
      forked.push(worker);
      return worker;
    },
    after: (ms, run) => {
      const timer = { atMs: nowMs + ms, run };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
    nowMs: () => nowMs,
    onLost: (problem) => lost.push(problem),
  });
});

function pass(ms: number): void {
  nowMs += ms;
  const due = timers.filter(({ atMs }) => atMs <= nowMs);
  timers = timers.filter(({ atMs }) => atMs > nowMs);
  for (const { run } of due) run();
}

async function allServe(): Promise<string> {
  const starting = workers.start();
  forked[0]!.serve();
  await Promise.resolve();
  for (const worker of forked.slice(1)) worker.serve();
  return starting;
}

describe('the start', () => {
  it('waits for the first worker, and tells the others its port', async () => {
    const starting = workers.start();
    expect(forked).toHaveLength(1);
    forked[0]!.events.message({ type: 'ready' });
    expect(forked[0]!.sent).toEqual([
      { type: 'start', number: 1, count: 3, takenPort: null, config: settings, warnings: ['careful'] },
    ]);
    forked[0]!.serve(4711);
    await Promise.resolve();
    expect(forked).toHaveLength(3);
    for (const worker of forked.slice(1)) worker.serve(4711);
    expect(forked.slice(1).map(({ sent }) => sent[0])).toMatchObject([
      { number: 2, takenPort: 4711 },
      { number: 3, takenPort: 4711 },
    ]);
    expect(await starting).toBe('lines of 1');
  });

  it('fails once with what the first worker says, and leaves none behind', async () => {
    const starting = workers.start();
    forked[0]!.events.message({ type: 'failed', problem: 'HUB_CODES is wrong' });
    forked[0]!.events.ended(1, null);
    await expect(starting).rejects.toThrow('HUB_CODES is wrong');
    expect(forked).toHaveLength(1);
  });

  it('fails if a later worker does, and ends the others', async () => {
    const starting = workers.start();
    forked[0]!.serve();
    await Promise.resolve();
    forked[1]!.serve();
    forked[2]!.events.ended(null, 'SIGSEGV');
    await Promise.resolve();
    await Promise.resolve();
    expect(forked.slice(0, 2).map(({ last }) => last)).toEqual([{ type: 'stop' }, { type: 'stop' }]);
    for (const worker of forked.slice(0, 2)) worker.events.ended(0, null);
    await expect(starting).rejects.toThrow('worker 3 ended at its start (SIGSEGV)');
  });

  it('is interrupted by an end, without another fork', async () => {
    const starting = workers.start();
    const ended = workers.end('stop', 2000);
    forked[0]!.events.message({ type: 'serving', port: 8080, lines: '' });
    forked[0]!.events.ended(0, null);
    await expect(starting).rejects.toThrow('interrupted');
    expect(await ended).toBe(0);
    expect(forked).toHaveLength(1);
  });

  it('is interrupted before the first worker has begun, which is no cut', async () => {
    const starting = workers.start();
    const ended = workers.end('stop', 2000);
    forked[0]!.events.message({ type: 'ready' });
    expect(forked[0]!.isKilled).toBe(true);
    await expect(starting).rejects.toThrow('ended at its start');
    expect(await ended).toBe(0);
  });
});

describe('a worker that ends', () => {
  it('is started again, later each time, with one warning each (C23)', async () => {
    await allServe();
    const waits: unknown[] = [];
    for (let i = 0; i < 9; i++) {
      forked.at(-1)!.events.ended(1, null);
      const warning = lines.at(-1)!;
      expect(warning).toMatchObject({ level: 40, worker: 3, msg: 'a worker ended: it is started again' });
      waits.push(warning['inMs']);
      pass(Number(warning['inMs']));
      expect(forked).toHaveLength(4 + i);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  it('is started again at once if it had lived for long', async () => {
    await allServe();
    for (let i = 0; i < 3; i++) {
      pass(30_000);
      forked.at(-1)!.events.ended(1, null);
      expect(lines.at(-1)).toMatchObject({ inMs: 100 });
      pass(100);
    }
  });

  it('says why it can’t start again', async () => {
    await allServe();
    forked[1]!.events.ended(null, 'SIGKILL');
    pass(100);
    forked[3]!.events.message({ type: 'failed', problem: 'HUB_REDIS_URL: it does not answer' });
    forked[3]!.events.ended(1, null);
    expect(lines.at(-1)).toMatchObject({ worker: 2, code: 1, problem: 'HUB_REDIS_URL: it does not answer' });
  });

  it('ends all if the port is another one when it is back', async () => {
    await allServe();
    forked[1]!.events.ended(null, 'SIGKILL');
    pass(100);
    forked[3]!.serve(8081);
    expect(lost).toEqual([expect.stringContaining('HUB_PORT=0 gave another port than 8080')]);
  });

  it('has the settings of the last reload when it is back', async () => {
    await allServe();
    const next = { ...settings, maxWatches: 2, host: 'b' };
    workers.reload(next, (before, { maxWatches }) => ({ ...before, maxWatches }));
    expect(forked.map(({ last }) => last)).toEqual(forked.map(() => ({ type: 'reload', config: next })));
    forked[1]!.events.ended(1, null);
    pass(100);
    forked[3]!.events.message({ type: 'ready' });
    expect(forked[3]!.last).toMatchObject({ config: { ...settings, maxWatches: 2 } });
  });
});

describe('a worker that hangs', () => {
  it('is killed after 30 s and started again, with a warning (C23)', async () => {
    await allServe();
    forked[1]!.isHung = true;
    for (let i = 0; i < 6; i++) pass(5_000);
    expect(forked.map(({ isKilled }) => isKilled)).toEqual([false, false, false]);
    pass(5_000);
    expect(forked.map(({ isKilled }) => isKilled)).toEqual([false, true, false]);
    expect(lines[0]).toMatchObject({ level: 40, worker: 2, msg: 'a worker does not answer: it is killed' });
    pass(100);
    forked[3]!.serve();
    for (let i = 0; i < 20; i++) pass(5_000);
    expect(forked).toHaveLength(4);
  });

  it('is killed also while it starts again (C23)', async () => {
    await allServe();
    forked[1]!.kill();
    pass(100);
    forked[3]!.isHung = true;
    for (let i = 0; i < 6; i++) pass(5_000);
    expect(forked[3]!.isKilled).toBe(false);
    pass(5_000);
    expect(forked[3]!.isKilled).toBe(true);
  });

  it('is not one that answers while it starts for a long time', async () => {
    await allServe();
    forked[1]!.kill();
    for (let i = 0; i < 20; i++) pass(5_000);
    expect(forked).toHaveLength(4);
    expect(forked[3]!.isKilled).toBe(false);
  });

  it('is not one that answers again, or whose answers the parent had no time to read', async () => {
    await allServe();
    for (let i = 0; i < 20; i++) {
      forked[1]!.isHung = i % 6 !== 0;
      pass(5_000);
    }
    forked[1]!.isHung = true;
    pass(3_600_000);
    expect(forked.map(({ isKilled }) => isKilled)).toEqual([false, false, false]);
  });

  it('is left to the end of all, while they end', async () => {
    await allServe();
    for (const worker of forked) worker.isHung = true;
    void workers.end('drain', 60_000);
    for (let i = 0; i < 11; i++) pass(5_000);
    expect(forked.map(({ isKilled }) => isKilled)).toEqual([false, false, false]);
  });
});

describe('the end', () => {
  it('waits for all, and tells whether one was cut off (C24)', async () => {
    await allServe();
    const ended = workers.end('drain', 5000);
    expect(forked.map(({ last }) => last)).toEqual(forked.map(() => ({ type: 'drain' })));
    forked[0]!.events.ended(0, null);
    forked[1]!.events.ended(0, null);
    pass(5499);
    expect(forked[2]!.isKilled).toBe(false);
    pass(1);
    expect(forked.map(({ isKilled }) => isKilled)).toEqual([false, false, true]);
    expect(await ended).toBe(1);
  });

  it('starts nobody again', async () => {
    await allServe();
    forked[0]!.events.ended(null, 'SIGKILL');
    const ended = workers.end('drain', 5000);
    pass(100);
    for (const worker of forked.slice(1)) worker.events.ended(0, null);
    expect(await ended).toBe(0);
    expect(forked).toHaveLength(3);
  });

  it('can be hurried', async () => {
    await allServe();
    void workers.end('drain', 5000);
    const ended = workers.end('stop', 2000);
    expect(forked[0]!.types.slice(-2)).toEqual(['drain', 'stop']);
    pass(2500);
    expect(await ended).toBe(1);
  });
});

describe('a question of a worker', () => {
  const answersTo = (worker: FakeWorker): unknown[] => worker.sent.filter(({ type }) => type === 'answers');
  const asked = (worker: FakeWorker) => worker.sent.find((one) => one.type === 'asked');

  it('is passed to the others that serve, and answered when all of them have', async () => {
    await allServe();
    forked[0]!.events.message({ type: 'ask', id: 7, question: 'redis' });
    expect(asked(forked[0]!)).toBeUndefined();
    for (const [i, worker] of forked.slice(1).entries()) {
      expect(answersTo(forked[0]!)).toEqual([]);
      worker.events.message({ type: 'answer', id: asked(worker)!.id, answer: i });
    }
    expect(answersTo(forked[0]!)).toEqual([{ type: 'answers', id: 7, answers: [0, 1] }]);
    expect(timers).toHaveLength(1); // the next ping
  });

  it('is answered without those that are too slow or end', async () => {
    await allServe();
    forked[0]!.events.message({ type: 'ask', id: 1, question: 'redis' });
    forked[1]!.events.message({ type: 'answer', id: asked(forked[1]!)!.id, answer: true });
    pass(1000);
    forked[2]!.events.message({ type: 'answer', id: asked(forked[2]!)!.id, answer: true });
    expect(answersTo(forked[0]!)).toEqual([{ type: 'answers', id: 1, answers: [true] }]);
    forked[0]!.events.message({ type: 'ask', id: 2, question: 'redis' });
    forked[1]!.events.ended(1, null);
    forked[2]!.events.ended(1, null);
    expect(answersTo(forked[0]!).at(-1)).toEqual({ type: 'answers', id: 2, answers: [] });
    forked[0]!.events.message({ type: 'ask', id: 3, question: 'redis' });
    expect(answersTo(forked[0]!).at(-1)).toEqual({ type: 'answers', id: 3, answers: [] });
  });
});
