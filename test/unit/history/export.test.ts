/** The export of a user is read in parts, no faster than they are taken. */
import { expect, it } from 'vitest';
import { exportUser, type ExportOptions } from '../../../server/actions/export-user.ts';
import { LongRequests } from '../../../server/adapters/http/long-requests.ts';
import { streamedJson } from '../../../server/adapters/http/reply.ts';

const ROWS = 2500;
const history = Array.from({ length: ROWS }, (_, at) => ({ at, from: 'online', to: 'away', cause: 'set' }));

/** Reads that are counted; `failsFrom`: the number of the history page that cannot be read. */
function stage(failsFrom = Infinity) {
  const counted = { pages: 0 };
  const options = {
    roster: {
      load: () => undefined,
      friendsOf: () => ['7'],
      followersAfter: (_: string, after: string) => (after === '' ? ['6', '7'] : []),
    },
    store: { blockersAfter: (_: string, after: string) => (after === '' ? ['4'] : []) },
    historyStore: {
      read: (_: string, from: number, limit: number) => {
        counted.pages += 1;
        if (counted.pages >= failsFrom) throw new Error('the disk failed');
        return Promise.resolve(history.slice(from, from + limit));
      },
      gaps: () => Promise.resolve([]),
    },
    webhookQueue: { eventsOf: () => ['{"id":"e"}'] },
    users: { peek: () => ({ hiddenFrom: null }) },
    turns: { take: () => undefined },
    explain: () => Promise.resolve({ at: 1, entry: { user: '42' }, sessions: [], transitions: [] }),
  };
  return { options: options as unknown as ExportOptions, counted };
}

it('reads a page of the history only when the one before was taken, and is one JSON object (H35)', async () => {
  const { options, counted } = stage();
  let text = '';
  let pagesTaken = 0;
  for await (const part of exportUser(options, '42', 'all')) {
    if (part.includes('"cause"')) pagesTaken += 1;
    expect(counted.pages).toBe(pagesTaken);
    text += part;
    if (pagesTaken === Math.ceil(ROWS / 1000)) break;
  }
  text += ']}';
  expect(JSON.parse(text)).toMatchObject({
    friends: ['7'],
    followers: ['6', '7'],
    blocks: [],
    blockedBy: ['4'],
    webhookEvents: [{ id: 'e' }],
    unknown: [],
    history,
  });
});

it('has empty lists if there is nothing, and only friends among the followers for the user itself (H36)', async () => {
  const { options } = stage();
  const nothing = { ...options, historyStore: { ...options.historyStore, read: () => Promise.resolve([]) } };
  let text = '';
  for await (const part of exportUser(nothing, '42', 'self')) text += part;
  const exported = JSON.parse(text) as Record<string, unknown>;
  expect(exported).toMatchObject({ followers: ['7'], history: [] });
  expect(exported).not.toHaveProperty('blockedBy');
});

it('fails where a page cannot be read, and holds its place among the long requests of the caller until then', async () => {
  const { options } = stage(2);
  const long = new LongRequests();
  const run = () =>
    long.run(
      '42',
      () => streamedJson(exportUser(options, '42', 'all')),
      () => undefined,
    );
  const replies = await Promise.all(Array.from({ length: 32 }, async () => run()));
  let hasBegun = false;
  const next = Promise.resolve(
    long.run(
      '42',
      () => ({ status: 204, headers: {}, body: '' }),
      () => undefined,
    ),
  );
  void next.then(() => (hasBegun = true));
  const rest = replies[0]?.rest;
  await expect(
    (async () => {
      while ((await rest?.next()) !== undefined);
    })(),
  ).rejects.toThrow('the disk failed');
  expect(hasBegun).toBe(false);
  rest?.close();
  expect((await next).status).toBe(204);
});
