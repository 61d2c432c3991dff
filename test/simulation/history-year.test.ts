/**
 * A year of history at 20 changes a day of every user: a month of one user is answered in less than 20 ms. With
 * HISTORY_USERS=10000 it is the whole claim (73 million rows, some 3 GB in the folder of temporary files, and minutes to
 * fill); without it, a smaller one that has the same form.
 */
import { TurnBudget } from '../../server/lib/time/turn-budget.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { History } from '../../server/history/history.ts';
import { Recorder } from '../../server/history/recorder.ts';
import { openDatabase } from '../../server/storage/sqlite/database.ts';
import { SqliteHistory } from '../../server/storage/sqlite/sqlite-history.ts';
import { PresenceStage, observer } from '../support/presence-stage.ts';

const USERS = Number(process.env['HISTORY_USERS'] ?? 300);
const DAY = 86_400_000;
const DAYS = 365;
const PER_DAY = 20;

it('answers a month of one user in less than 20 ms', { timeout: 3_600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'presence-hub-year-'));
  const stage = new PresenceStage();
  const { users, clock } = stage;
  const began = clock.now().wallMs;
  const database = openDatabase(folder, { sync: 'normal', wallMs: began });
  try {
    const store = new SqliteHistory(database, 2000);
    const recorder = new Recorder({ store, clock, onHealth: () => undefined });
    // Rows of a year, in the order of the table: in real life they come over a year.
    database.db.exec(`
      WITH RECURSIVE u (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM u WHERE n < ${USERS - 1}),
        t (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < ${DAYS * PER_DAY - 1})
      INSERT INTO history
      SELECT printf('user-%06d', u.n), ${began} + t.n * ${DAY / PER_DAY}, t.n % 2, 1 - t.n % 2, 1, NULL FROM u CROSS JOIN t`);
    clock.pass(DAYS * DAY);
    const onHealth = (): void => undefined;
    const history = new History({ store, recorder, users, turns: new TurnBudget(), clock, days: DAYS + 1, onHealth });
    const reader = { viewer: observer('7'), chargeFor: () => undefined };
    const lengths: number[] = [];
    for (let i = 0; i < 100; i++) {
      const user = `user-${String((i * 7919) % USERS).padStart(6, '0')}`;
      const from = began + ((i * 3) % 330) * DAY;
      const startedAt = performance.now();
      const page = await history.transitions(user, { from, to: from + 30 * DAY - 1 }, 1000, reader);
      const sums = await history.uptime(user, { from, to: from + 30 * DAY }, reader);
      lengths.push(performance.now() - startedAt);
      expect(page.transitions).toHaveLength(30 * PER_DAY);
      expect(sums).toEqual({ online: 15 * DAY, offline: 15 * DAY, away: 0, busy: 0, unknown: 0 });
    }
    history.stop();
    recorder.stop();
    lengths.sort((a, b) => a - b);
    expect(lengths[50], 'median of a page of transitions and the uptime').toBeLessThan(20);
  } finally {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
