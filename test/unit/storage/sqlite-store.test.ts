import { expect, test } from 'vitest';
import { openDatabase } from '../../../server/storage/sqlite/database.ts';

test('looking for live sessions to restore looks at them alone, not at every entry', () => {
  const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
  const plan = database.db
    .prepare<{ detail: string }>('EXPLAIN QUERY PLAN SELECT user FROM entry WHERE sessions IS NOT NULL')
    .all()
    .map(({ detail }) => detail);
  expect(plan).toEqual([expect.stringContaining('entry_with_sessions')]);
  database.close();
});
