/** Every source obeys the import table, and the table's judge sees what breaks it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { violationsIn } from './import-rules.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const sources = ['shared', 'server', 'client'].flatMap((top) =>
  readdirSync(join(repository, top), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => `${top}/${path}`),
);

test.each(sources)('%s', (path) => {
  expect(violationsIn(path, readFileSync(join(repository, path), 'utf8'))).toEqual([]);
});

describe('the judge refuses', () => {
  test.each([
    ['server/presence/x.ts', "import { x } from '../intake.ts';", 'presence may import shared'],
    ['server/presence/x.ts', "import { isIP } from 'node:net';", "presence may not use Node's modules"],
    ['server/presence/x.ts', 'const at = Date.now();', 'uses Date'],
    ['server/presence/x.ts', 'setTimeout(tell, 5);', 'uses setTimeout'],
    ['server/presence/x.ts', "const net = import('node:net');", "presence may not use Node's modules"],
    ['server/adapters/poll/x.ts', "import type { X } from '../tcp-xml/x.ts';", 'adapters/poll may import intake'],
    [
      'server/adapters/http/x.ts',
      "import { Intake } from '../../intake.ts';",
      'adapters/http may import intake (types)',
    ],
    ['server/adapters/http/x.ts', "import { type A, b } from '../../intake.ts';", 'adapters/http may import'],
    ['server/adapters/http/x.ts', "export { b } from '../../intake.ts';", 'adapters/http may import'],
    ['server/fanout/x.ts', "import { entryOf } from '../presence/user.ts';", 'fanout may import presence (types)'],
    ['server/presence/x.ts', 'async function find() {}', 'is asynchronous'],
    ['server/presence/x.ts', 'let found: Promise<number>;', 'is asynchronous'],
    [
      'server/fanout/x.ts',
      "import { openSqlite } from '../storage/sqlite/sqlite.ts';",
      'fanout may import presence (types)',
    ],
    ['server/config/config.ts', "import { CodeTable } from '../presence/legacy-codes.ts';", 'config may import shared'],
    ['server/hub.ts', "import { WebSocketServer } from 'ws';", 'hub may not use this package'],
    ['server/hub.ts', "const uws = load('uWebSockets.js');", 'names uWebSockets.js'],
    ['server/hub.ts', 'const uws = load(`@uwsjs/${platform}`);', 'names uWebSockets.js'],
    ['server/hub.ts', "process.on('SIGINT', stop);", 'reads process'],
    ['server/hub.ts', "import process from 'node:process';", 'reads process'],
    ['server/hub.ts', 'export default function start() {}', 'has a default export'],
    ['server/hub.ts', 'export default 1;', 'has a default export'],
    ['server/hub.ts', "import { intake } from './intake';", 'a relative import ends in .ts or .tsx'],
    ['server/hub.ts', "import { sdk } from '../test/sdk.ts';", 'it stands in no room'],
    ['server/helpers.ts', 'export const x = 1;', 'stands in no room'],
    ['shared/x.ts', "import type { X } from '../server/intake.ts';", 'shared may import no room'],
    ['shared/x.ts', "import ws from 'ws';", 'shared may not use this package'],
    ['client/sdk/x.ts', "import { isUserId } from '../../shared/ids.ts';", 'client/sdk may import shared (types)'],
    ['client/cli/x.ts', "import { startHub } from '../../server/hub.ts';", 'client/cli may import client/sdk entry'],
    ['client/page/x.tsx', "import { Row } from '../dashboard/row.tsx';", 'client/page may import client/sdk entry'],
    ['client/page/x.tsx', "import { useState } from 'react';", 'client/page may not use this package'],
    ['client/page/x.ts', "import { backoff } from '../sdk/backoff.ts';", 'client/page may import client/sdk entry'],
  ])('%s: %s', (path, text, problem) => {
    expect(violationsIn(path, text)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('the judge lets pass', () => {
  test.each([
    ['server/presence/x.ts', "import { isUserId } from '../../shared/ids.ts'; import { DONE } from '../lib/wheel.ts';"],
    ['server/presence/x.ts', 'const at = now.Date; const entry = { performance: 1 };'],
    ['server/adapters/http/x.ts', "import type { Intake } from '../../intake.ts';"],
    ['server/adapters/http/x.ts', "import { type Intake, type Claim } from '../../intake.ts';"],
    ['server/hub.ts', "import { Intake } from './intake.ts'; import { Fanout } from './fanout/fanout.ts';"],
    ['server/main.ts', "process.on('SIGINT', stop); const load = () => import('../client/cli/commands/watch.ts');"],
    ['server/sockets/load-engine.ts', "require('uWebSockets.js'); const { env } = process;"],
    ['client/page/x.ts', "import { connect } from '../sdk/index.ts';"],
    ['client/page/x.tsx', "import { useState } from 'preact/hooks'; import { Row } from './row.tsx';"],
  ])('%s: %s', (path, text) => {
    expect(violationsIn(path, text)).toEqual([]);
  });
});
