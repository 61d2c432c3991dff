/**
 * A process that holds HUB_DATA and writes until it is killed. Its one argument is the folder. Prints each step on its
 * own line, after the step is done.
 */
import { writeSync } from 'node:fs';
import { SqliteRoster } from '../../server/storage/sqlite/sqlite-roster.ts';
import { openDatabase } from '../../server/storage/sqlite/database.ts';
import { CEILING_AHEAD_MS } from '../../server/presence/version-clock.ts';
import { SqliteStore } from '../../server/storage/sqlite/sqlite-store.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);

try {
  const database = openDatabase(process.argv[2] ?? '', { sync: 'normal', wallMs: 1000 });
  const store = new SqliteStore(database, CEILING_AHEAD_MS);
  const roster = new SqliteRoster(database);
  say(`clockFloor ${store.state.clockFloor}`);
  for (let n = 1; ; n++) {
    const at = store.state.clockFloor + n;
    store.raiseCeiling(at + 500);
    say(`ceiling ${at + 500}`);
    store.keep([
      {
        user: `u${n}`,
        status: 'online',
        code: 1,
        since: at,
        lastSeen: at,
        devices: ['web'],
        text: null,
        v: at,
        sessions: [],
      },
    ]);
    say(`entry u${n}`);
    roster.edit({ kind: 'add', edges: [{ user: 'u', friend: `f${n}` }] }, at);
    say(`edge f${n}`);
  }
} catch (error) {
  say(`refused ${String(error)}`);
}
