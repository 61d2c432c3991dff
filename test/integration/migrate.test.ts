/** `presence-hub migrate`: friend lists from a data folder to PostgreSQL, as a process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../server/storage/sqlite/database.ts';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { SqliteRoster } from '../../server/storage/sqlite/sqlite-roster.ts';
import { startTestHub } from '../support/hub.ts';
import { endHubProcesses, startHubProcess } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { PostgresServer } from '../support/postgres-server.ts';

const USERS = 700;
const FRIENDS = 10;

describe('migrate', needing('postgres'), () => {
  let server: PostgresServer;
  let database: string;
  let folder: string;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    database = await server.newDatabase();
    folder = mkdtempSync(join(tmpdir(), 'hub-migrate-'));
  });
  afterEach(async () => {
    await endHubProcesses();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A folder with more edges than fit into one batch. */
  function fill(data: string): void {
    const opened = openDatabase(data, { sync: 'normal', wallMs: 1000 });
    const roster = new SqliteRoster(opened);
    for (let user = 0; user < USERS; user++) {
      const friends = Array.from({ length: FRIENDS }, (_, n) => `f${n}`);
      roster.edit({ kind: 'replace', user: `u${user}`, friends, mutual: false }, 1000);
    }
    opened.close();
  }

  const migrate = (...args: string[]) => startHubProcess({}, ['migrate', ...args]).exited;
  const rows = () => server.query(database, 'SELECT count(*)::int AS n FROM presence_hub.edge');

  it('copies all lists, is continued where it was interrupted, and changes nothing when it is repeated', async () => {
    fill(folder);
    const args = ['--data', folder, '--roster', server.urlOf(database)];
    expect(await migrate(...args)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('7000 edges of friend lists are in PostgreSQL, 7000 of them new') as string,
    });
    await server.query(database, `DELETE FROM presence_hub.edge WHERE owner > 'u3'`);
    await server.query(database, `INSERT INTO presence_hub.edge VALUES ('made-meanwhile', 'f1')`);
    const again = await migrate(...args);
    expect(again.stdout).toMatch(/7000 edges of friend lists are in PostgreSQL, \d{4} of them new/);
    expect((await migrate(...args)).stdout).toContain('7000 edges of friend lists are in PostgreSQL, 0 of them new');
    expect(await rows()).toEqual([{ n: 7001 }]);

    const hub = await startTestHub({ roster: server.urlOf(database) });
    const { body } = await hub.request('GET', '/v1/users/u699/friends');
    expect(body).toMatchObject({ friends: ['f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'f9'] });
    await hub.stop();
  });

  const problemOf = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await migrate(...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^presence-hub: [^\n]*\n$/)]);
    return stderr;
  };

  it.each([
    ['a quote', `'o''x'`, `o'x`],
    ['an emoji', `'😀'`, '😀'],
    ['a NUL, after which a reader would stop', `'7' || char(0) || 'x'`, '7'],
    ['a line break', `'a' || char(10)`, 'a\\n'],
    ['129 characters', `'${'x'.repeat(129)}'`, 'x'.repeat(80)],
    ['no character', `''`, '""'],
    ['two dots', `'..'`, '".."'],
  ])('copies nothing if somebody has put an id with %s into the file, and names it', async (_what, sql, named) => {
    fill(folder);
    const db = openSqlite(join(folder, 'hub.sqlite'));
    db.exec(`INSERT INTO edge VALUES ('zoe', ${sql}, 1)`);
    db.close();
    const problem = await problemOf('--data', folder, '--roster', server.urlOf(database));
    for (const part of ['HUB_DATA', '"zoe"', named, 'table edge']) expect(problem).toContain(part);
    await expect(rows()).rejects.toThrow('does not exist');
  });

  it('names the right that its role lacks, and edges that somebody removes meanwhile', async () => {
    fill(folder);
    const args = ['--data', folder, '--roster', server.urlOf(database)];
    await migrate(...args);
    await server.query(database, `DELETE FROM presence_hub.edge WHERE owner = 'u5'`);
    await server.query(database, 'CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA presence_hub TO reader');
    const tables = ['version', 'edge', 'change', 'forgotten'].map((name) => `presence_hub.${name}`);
    await server.query(database, `GRANT SELECT ON ${tables.join()} TO reader`);
    const refused = await problemOf('--data', folder, '--roster', server.urlOf(database, 'reader'));
    expect(refused).toContain('permission denied for table edge');
    await server.query(
      database,
      `CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER gone BEFORE INSERT ON presence_hub.edge FOR EACH ROW EXECUTE FUNCTION gone()`,
    );
    expect(await problemOf(...args)).toContain('10 of 5000 edges were removed meanwhile: start migrate again');
  });

  it('says in one line what is missing, and leaves a folder alone that a hub uses', async () => {
    const url = server.urlOf(database);
    expect(await problemOf('--data', folder)).toContain('HUB_ROSTER is "sqlite"');
    expect(await problemOf('--data', join(folder, 'nothing'), '--roster', url)).toContain(
      'there is no hub.sqlite in it',
    );
    fill(folder);
    expect(await problemOf('--data', folder, '--roster', 'postgres://postgres@127.0.0.1:1/x')).toContain(
      'cannot be reached',
    );
    const opened = openDatabase(folder, { sync: 'normal', wallMs: 2000 });
    expect(await problemOf('--data', folder, '--roster', url)).toContain('is in use by another hub');
    opened.close();
  });
});
