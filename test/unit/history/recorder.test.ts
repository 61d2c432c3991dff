/** What is recorded, and which times are unknown: across unclean ends, doubts and storage that fails. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { History } from '../../../server/history/history.ts';
import { TurnBudget } from '../../../server/lib/time/turn-budget.ts';
import type { HistoryStore } from '../../../server/history/port.ts';
import { Recorder } from '../../../server/history/recorder.ts';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteHistory } from '../../../server/storage/sqlite/sqlite-history.ts';
import { admin, PresenceStage } from '../../support/presence-stage.ts';

const MINUTE = 60_000;

let database: OpenedDatabase;
let store: HistoryStore;
let stage: PresenceStage;
let recorder: Recorder;
let failures: unknown[];
let runs: (() => void)[];

/** Begins a run; the one before has ended without a word. */
function begin(): Recorder {
  const { clock } = stage;
  const onHealth = (error: unknown): void => {
    if (error !== undefined) failures.push(error);
  };
  recorder = new Recorder({ store, clock, onHealth });
  const mine = recorder;
  runs.push(() => mine.stop());
  return recorder;
}

function uptime(user: string, from: number) {
  const { users, clock } = stage;
  const history = new History({
    store,
    recorder,
    users,
    turns: new TurnBudget(),
    clock,
    days: 365,
    onHealth: () => undefined,
  });
  history.stop();
  return history.uptime(user, { from, to: clock.now().wallMs }, { viewer: admin, chargeFor: () => undefined });
}

/** Lets the recorder write what it has. */
const written = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1500);

beforeEach(() => {
  vi.useFakeTimers();
  failures = [];
  runs = [];
  stage = new PresenceStage({ onChange: (change) => recorder.changed(change) });
  database = openDatabase(':memory:', { sync: 'normal', wallMs: stage.clock.now().wallMs });
  store = new SqliteHistory(database, 2000);
});
afterEach(() => {
  for (const stop of runs) stop();
  database.close();
  vi.useRealTimers();
});

it('does not know the time between the last stored time and the end of the doubt of the next run', async () => {
  begin();
  const began = stage.clock.wallMs;
  stage.begin('42');
  stage.clock.pass(MINUTE);
  await written();
  // The transition is lost with the run, which ends before it is written.
  const session = stage.begin('7');
  expect(recorder.unstoredOf('7')).toHaveLength(1);
  stage.leave(session);
  stage.clock.pass(MINUTE);
  begin();
  stage.clock.pass(MINUTE);
  recorder.doubt(null);
  stage.clock.pass(MINUTE);
  const sums = await uptime('42', began);
  expect(sums.unknown).toBeGreaterThanOrEqual(2 * MINUTE);
  expect(sums.unknown).toBeLessThanOrEqual(2 * MINUTE + 50);
  expect(sums.online).toBe(4 * MINUTE - sums.unknown);
});

it('leaves the time of a doubt unknown, even if another one began earlier', async () => {
  begin();
  const began = stage.clock.wallMs;
  stage.begin('42');
  stage.clock.pass(10 * MINUTE);
  recorder.doubt(began + 9 * MINUTE);
  recorder.doubt(began + 8 * MINUTE);
  stage.clock.pass(MINUTE);
  expect((await uptime('42', began)).unknown).toBe(3 * MINUTE);
  recorder.doubt(null);
  stage.clock.pass(MINUTE);
  expect(await uptime('42', began)).toEqual({ online: 9 * MINUTE, away: 0, busy: 0, offline: 0, unknown: 3 * MINUTE });
});

it('leaves the time of a doubt about a user unknown while the user is shown as present', async () => {
  begin();
  const began = stage.clock.wallMs;
  const sessions = ['42', '7'].map((user) => stage.begin(user));
  stage.clock.pass(MINUTE);
  recorder.doubtUsers(['42', '7'], began, null);
  stage.clock.pass(MINUTE);
  stage.say(sessions[1]!, { status: 'invisible' });
  stage.clock.pass(MINUTE);
  recorder.doubtUsers(['42', '7'], began, stage.clock.wallMs);
  stage.clock.pass(MINUTE);
  expect(await uptime('42', began)).toEqual({ online: MINUTE, away: 0, busy: 0, offline: 0, unknown: 3 * MINUTE });
  expect(await uptime('7', began)).toEqual({ online: 0, away: 0, busy: 0, offline: 2 * MINUTE, unknown: 2 * MINUTE });
  expect((await uptime('9', began)).unknown).toBe(0);
});

it('keeps transitions that could not be written until storage works', async () => {
  begin();
  const began = stage.clock.wallMs;
  const write = vi.spyOn(store, 'write').mockImplementation(() => {
    throw new Error('the disk is full');
  });
  stage.begin('42');
  stage.clock.pass(MINUTE);
  await written();
  expect(failures.length).toBeGreaterThan(0);
  expect(store.read('42', 0, 10)).toEqual([]);
  expect((await uptime('42', began)).online).toBe(MINUTE);
  write.mockRestore();
  await written();
  expect(store.read('42', 0, 10)).toMatchObject([{ at: began, from: 'offline', to: 'online', cause: 'began' }]);
  expect(recorder.unstoredOf('42')).toEqual([]);
});

it('stores a doubt once storage works, even if it is over by then', async () => {
  begin();
  const began = stage.clock.wallMs;
  stage.begin('42');
  stage.clock.pass(MINUTE);
  await written();
  const setGap = vi.spyOn(store, 'setGap').mockImplementation(() => {
    throw new Error('the disk is full');
  });
  recorder.doubt(began + MINUTE);
  stage.clock.pass(MINUTE);
  recorder.doubt(null);
  recorder.doubt(stage.clock.wallMs);
  setGap.mockRestore();
  await written();
  stage.clock.pass(MINUTE);
  recorder.doubt(null);
  stage.clock.pass(MINUTE);
  expect(await uptime('42', began)).toEqual({ online: 2 * MINUTE, away: 0, busy: 0, offline: 0, unknown: 2 * MINUTE });
});

it('does not know the time of a stall of a second or more, even if storage failed at its end (H33)', async () => {
  begin();
  recorder.doubt(null);
  const began = stage.clock.wallMs;
  stage.begin('42');
  stage.clock.pass(MINUTE);
  await written();
  recorder.stalled({ from: began + 10_000, to: began + 10_999 });
  expect((await uptime('42', began)).unknown).toBe(0);
  recorder.stalled({ from: began + 20_000, to: began + 21_000 });
  expect((await uptime('42', began)).unknown).toBe(1000);

  const failing = vi.spyOn(store, 'setGap').mockImplementation(() => {
    throw new Error('disk full');
  });
  recorder.stalled({ from: stage.clock.wallMs - 5000, to: stage.clock.wallMs });
  failing.mockRestore();
  await written();
  expect(failures).toHaveLength(1);
  expect((await uptime('42', began)).unknown).toBe(6000);
});
