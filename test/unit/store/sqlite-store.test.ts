import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../../server/store/database.ts';
import { SqliteStore } from '../../../server/store/sqlite-store.ts';

describe('the sweep of visible entries when a run begins', () => {
  test('shows them with the offline code it was given', () => {
    const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
    new SqliteStore(database).keep([
      { user: 'a', status: 'busy', code: 3, since: 1, lastSeen: 2, devices: ['web'], text: 'x', v: 1001 },
    ]);
    const next = new SqliteStore(database, { offlineCode: 0 });
    expect(next.recall('a')).toMatchObject({ status: 'offline', code: 0, text: null, devices: [] });
    database.close();
  });

  test('looks at them alone, not at every entry', () => {
    const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
    const plan = database.db
      .prepare<{ detail: string }>(`EXPLAIN QUERY PLAN UPDATE entry SET status = 'offline' WHERE status <> 'offline'`)
      .all()
      .map(({ detail }) => detail);
    expect(plan).toEqual([expect.stringContaining('visible_entry')]);
    database.close();
  });
});
