/** Posting pairs to an import, against a hub of which the test says what it answers. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { BadLine, NumberedEdge } from '../../../../client/cli/import/edge-lines.ts';
import { noToken, readToken } from '../../../../client/cli/hub/token.ts';
import { ImportPoster } from '../../../../client/cli/import/import-poster.ts';

type Edges = readonly (readonly [string, string])[];
interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly retryAfter?: string;
}
const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A poster, and the pieces that were taken. */
async function rig(answer: (edges: Edges, call: number) => Answer, isOneway = false, token = noToken) {
  const taken: Edges[] = [];
  const paths = new Set<string>();
  const authorizations = new Set<string | undefined>();
  let calls = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { edges } = JSON.parse(body) as { edges: Edges };
      paths.add(request.url ?? '');
      authorizations.add(request.headers.authorization);
      const { status, body: says, retryAfter } = answer(edges, (calls += 1));
      if (status === 200) taken.push(edges);
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
      response.writeHead(status).end(JSON.stringify(says ?? { added: edges.length }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  const bad: BadLine[] = [];
  const controller = new AbortController();
  const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const poster = new ImportPoster({
    access: { http, token },
    isOneway,
    interrupted: controller.signal,
    onBad: (line) => bad.push(line),
  });
  return { poster, taken, bad, paths, authorizations, interrupt: () => controller.abort(), calls: () => calls };
}

const pairs = (count: number): NumberedEdge[] =>
  Array.from({ length: count }, (_, i) => ({ line: i + 1, edge: [`u${i}`, 'hub'] as const }));

describe('an import', () => {
  it('sends both directions of each pair, sorted, in pieces of at most 500', async () => {
    const { poster, taken, paths } = await rig(() => ({ status: 200 }));
    await poster.add(pairs(1_200));
    await poster.finish();
    expect(Math.max(...taken.map((edges) => edges.length))).toBe(500);
    expect(taken.flat()).toHaveLength(2_400);
    expect(taken.flat().filter(([user]) => user === 'hub')).toHaveLength(1_200);
    for (const edges of taken) expect(edges.map(([user]) => user)).toEqual(edges.map(([user]) => user).sort());
    expect(paths).toEqual(new Set(['/v1/friends/import?oneway=true']));
    expect([poster.takenPairs, poster.added, poster.problem]).toEqual([1_200, 2_400, undefined]);
  });

  it('sends one direction if asked to', async () => {
    const { poster, taken } = await rig(() => ({ status: 200 }), true);
    await poster.add(pairs(3));
    await poster.finish();
    expect(taken.flat()).toEqual([
      ['u0', 'hub'],
      ['u1', 'hub'],
      ['u2', 'hub'],
    ]);
    expect(poster.takenPairs).toBe(3);
  });

  it('tries again if the hub asks it to wait', async () => {
    const { poster, taken } = await rig((_edges, call) => ({ status: call < 3 ? 503 : 200, retryAfter: '0' }));
    await poster.add(pairs(2));
    await poster.finish();
    expect(taken.flat()).toHaveLength(4);
    expect(poster.problem).toBeUndefined();
  });

  it('finds the edge that is at fault, names its line, and gets all others in', async () => {
    const { poster, taken, bad } = await rig((edges) =>
      edges.some(([user]) => user === 'u77') ? { status: 409, body: { detail: 'too many friends' } } : { status: 200 },
    );
    await poster.add(pairs(300));
    await poster.finish();
    expect(bad).toEqual([{ line: 78, problem: 'the hub refused to let u77 follow hub: too many friends' }]);
    expect(taken.flat()).toHaveLength(599);
    expect(poster.problem).toBeUndefined();
  });

  it('ends if the hub refuses the request itself', async () => {
    const { poster, bad, calls } = await rig(() => ({ status: 403, body: { detail: 'not yours' } }));
    await poster.add(pairs(4));
    await poster.finish();
    expect(poster.problem).toMatch(
      /^the hub does not allow that \(not yours\): if it requires a token, give one with /,
    );
    expect([bad.length, calls()]).toEqual([0, 1]);
  });

  it('goes on at the pace that the hub sets', async () => {
    const { poster, taken } = await rig((_edges, call) => ({ status: call === 2 ? 429 : 200, retryAfter: '1' }), true);
    const startedAtMs = performance.now();
    await poster.add(pairs(600));
    await poster.finish();
    expect(taken.flat()).toHaveLength(600);
    expect(performance.now() - startedAtMs).toBeGreaterThan(990);
    expect(poster.problem).toBeUndefined();
  });

  it('sends its token, and if refused prints one line without it', async () => {
    const read = readToken({ token: 'secret-word' }, {});
    const { poster, authorizations } = await rig(() => ({ status: 401 }), false, read.ok ? read.value : noToken);
    await poster.add(pairs(1));
    await poster.finish();
    expect(authorizations).toEqual(new Set(['Bearer secret-word']));
    expect(poster.problem).toBe('the hub rejects the token of --token (it answered 401): give a new one');
  });

  it('ends at once if there is no hub', async () => {
    const interrupted = new AbortController().signal;
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const poster = new ImportPoster({
      access: { http, token: noToken },
      isOneway: false,
      interrupted,
      onBad: () => undefined,
    });
    await poster.add(pairs(1));
    await poster.finish();
    expect(poster.problem).toBe(`no hub answers at ${http}: start one with \`npm start\`, or name it with --url`);
  });

  it('ends when it is interrupted while it waits to try again', async () => {
    const { poster, interrupt } = await rig(() => {
      setImmediate(interruptLater);
      return { status: 503, retryAfter: '3600' };
    });
    function interruptLater(): void {
      setTimeout(interrupt, 20);
    }
    await poster.add(pairs(1));
    await poster.finish();
    expect([poster.takenPairs, poster.problem]).toEqual([0, undefined]);
  });
});
