/**
 * `presence-hub conformance` against our hub on both engines, which passes, and against hubs that are wrong on purpose:
 * ours behind a proxy that spoils one thing.
 */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { allChecks, run } from '../../client/cli/commands/conformance.ts';
import type { Outcome } from '../../client/cli/conformance/check.ts';
import { testIo } from '../support/cli-io.ts';
import { onBothEngines } from '../support/hub.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../support/hub-process.ts';

vi.setConfig({ testTimeout: 60_000 });

interface Addresses {
  readonly ws: string;
  readonly tcp: string;
}

async function startHub(transport: string): Promise<Addresses> {
  const tcpPort = await freePort();
  // Short, so that the checks of leases and graces wait less.
  const times = {
    HUB_TCP_TIMEOUT_MS: '1500',
    HUB_GRACE_MS: '1000',
    HUB_HEARTBEAT_MS: '3000',
    HUB_TIMEOUT_MS: '8000', // the grace after a stall of the hub
  };
  const hub = startHubProcess({ HUB_TRANSPORT: transport, HUB_TCP_PORT: String(tcpPort), ...times });
  return { ws: startLine(await hub.started, 'websocket'), tcp: `127.0.0.1:${tcpPort}` };
}

async function examine(...args: string[]) {
  const io = testIo();
  const code = await run([...args, '--json'], io);
  const outcomes = io.stdout.lines.map((line) => JSON.parse(line) as Outcome);
  return { code, outcomes, failed: outcomes.filter(({ result }) => result === 'fail') };
}

onBothEngines('our own hub', (transport) => {
  afterEach(endHubProcesses);

  test('passes every check', async () => {
    const { ws, tcp } = await startHub(transport);
    const { code, outcomes } = await examine('--ws', ws, '--tcp', tcp);
    expect(outcomes.filter(({ result }) => result !== 'pass')).toEqual([]);
    expect(outcomes.map(({ title }) => title)).toEqual(allChecks.map(({ title }) => title));
    expect(code).toBe(0);
  });
});

test('every rule that a check names is in PROTOCOL.md', () => {
  const reference = readFileSync(new URL('../../shared/PROTOCOL.md', import.meta.url), 'utf8');
  const unknown = allChecks.flatMap(({ rules }) => rules).filter((rule) => !reference.includes(`- **${rule}** `));
  expect(unknown).toEqual([]);
});

describe('a hub that is wrong on purpose fails, and the rule is named:', () => {
  let hub: Addresses;
  const ends: (() => void)[] = [];
  beforeAll(async () => {
    hub = await startHub('ws');
  });
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });
  afterAll(endHubProcesses);

  type Json = Record<string, unknown>;
  /** A proxy to the hub's WebSocket that passes each message of the hub through `spoil`; undefined drops it. */
  const spoiled = async (spoil: (message: Json) => Json | undefined): Promise<string> => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    ends.push(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    server.on('connection', (client) => {
      const behind = new WebSocket(hub.ws);
      const waiting: (() => void)[] = [];
      client.on('message', (data: Buffer, isBinary) => {
        const pass = (): void => behind.send(data, { binary: isBinary });
        if (behind.readyState === WebSocket.OPEN) pass();
        else waiting.push(pass);
      });
      behind.on('open', () => {
        for (const pass of waiting) pass();
      });
      behind.on('message', (data: Buffer) => {
        const message = spoil(JSON.parse(data.toString('utf8')) as Json);
        if (message !== undefined) client.send(JSON.stringify(message));
      });
      behind.on('close', (code) => (code === 1006 ? client.terminate() : client.close(code)));
      client.on('close', () => behind.terminate());
      for (const socket of [client, behind]) socket.on('error', () => undefined);
    });
    if (server.address() === null) await new Promise((resolve) => server.once('listening', resolve));
    return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
  };
  const entriesOf = (message: Json): Json[] => (message['entries'] ?? []) as Json[];

  test('the proxy itself spoils nothing', async () => {
    const { code, failed } = await examine('--ws', await spoiled((message) => message), '--http', httpOf(hub.ws));
    expect(failed).toEqual([]);
    expect(code).toBe(0);
  });

  const httpOf = (ws: string): string => new URL(ws.replace('ws', 'http')).origin;
  const spoilings: [string, string, (message: Json) => Json | undefined][] = [
    [
      'L2',
      'a welcome whose timeout is less than two heartbeats',
      (m) => ({ ...m, ...(m['type'] === 'welcome' && { timeoutMs: 1 }) }),
    ],
    ['W2', 'answers without re', ({ re: _, ...rest }) => rest],
    [
      'W3',
      'another code for an unknown type',
      (m) => ({ ...m, ...(m['code'] === 'unknown_type' && { code: 'internal' }) }),
    ],
    [
      'W26',
      'a snapshot without offline users',
      (m) =>
        m['type'] === 'snapshot' ? { ...m, entries: entriesOf(m).filter(({ status }) => status !== 'offline') } : m,
    ],
    ['W29', 'changes that are not reported', (m) => (m['type'] === 'presence' ? undefined : m)],
    [
      'W41',
      'versions that do not grow',
      (m) => (m['type'] === 'presence' ? { ...m, entries: entriesOf(m).map((entry) => ({ ...entry, v: 5 })) } : m),
    ],
    [
      'W33',
      'a self that hides that one is invisible',
      (m) => ({ ...m, ...(m['type'] === 'self' && { status: 'offline' }) }),
    ],
    [
      'I14',
      'invisible users that are shown so',
      (m) =>
        m['type'] === 'presence'
          ? {
              ...m,
              entries: entriesOf(m).map((entry) => ({
                ...entry,
                ...(entry['status'] === 'offline' && { status: 'invisible' }),
              })),
            }
          : m,
    ],
    [
      'I12',
      'devices in the wrong order',
      (m) =>
        m['type'] === 'presence'
          ? {
              ...m,
              entries: entriesOf(m).map((entry) => ({
                ...entry,
                devices: [...(entry['devices'] as string[])].reverse(),
              })),
            }
          : m,
    ],
    ['W31', 'an unwatch without an answer', (m) => (m['type'] === 'unwatched' ? undefined : m)],
  ];
  test.each(spoilings)('%s, by %s', async (rule, _, spoil) => {
    const { code, failed } = await examine('--ws', await spoiled(spoil), '--http', httpOf(hub.ws), '--rule', rule);
    expect(code).toBe(1);
    expect(failed.flatMap(({ rules }) => rules)).toContain(rule);
    for (const { reason } of failed) expect(reason).toMatch(/\w/);
  });

  /** A proxy to the hub's TCP port that passes what clients send through `spoil`; undefined closes the connection. */
  const spoiledTcp = async (spoil: (bytes: string) => string | undefined): Promise<string> => {
    const [, port] = hub.tcp.split(':');
    const server = createServer((client) => {
      const behind = connect(Number(port), '127.0.0.1');
      client.on('data', (data) => {
        const bytes = spoil(data.toString('latin1'));
        if (bytes === undefined) client.destroy();
        else behind.write(bytes, 'latin1');
      });
      for (const [one, other] of [
        [client, behind],
        [behind, client],
      ] as const) {
        one.on('close', () => other.destroy()).on('error', () => undefined);
      }
      behind.resume();
    });
    ends.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  test.each([
    ['I1', 'ids that are read as numbers', (bytes: string) => bytes.replaceAll(/(<user_id>\s*)0/g, '$1')],
    [
      'T2',
      'frames in one packet of which only the first is read',
      (bytes: string) => bytes.replace(/(<\/protocol>)[^]*$/, '$1'),
    ],
    [
      'T3',
      'goodbyes that are not understood',
      (bytes: string) => bytes.replace(/<user_state>(0|-1)</, '<user_state>1<'),
    ],
    [
      'T14',
      'a connection that one bad frame closes',
      (bytes: string) => (bytes.includes('DOCTYPE') ? undefined : bytes),
    ],
  ])('%s, by %s', async (rule, _, spoil) => {
    const { code, failed } = await examine('--ws', hub.ws, '--tcp', await spoiledTcp(spoil), '--rule', rule);
    expect(code).toBe(1);
    expect(failed.flatMap(({ rules }) => rules)).toContain(rule);
  });

  test('all of HTTP, by a server that answers 200 to everything', async () => {
    const server = createHttpServer((_, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { failed } = await examine('--ws', hub.ws, '--http', http);
    const wanted = allChecks.filter(({ needs }) => needs === 'http').map(({ title }) => title);
    expect(failed.map(({ title }) => title)).toEqual(wanted);
    server.closeAllConnections();
    server.close();
  });
});

test('without a hub every check fails with the address, TCP is skipped, and the exit code is 1', async () => {
  const io = testIo();
  const port = await freePort();
  expect(await run(['--ws', `ws://127.0.0.1:${port}/ws`], io)).toBe(1);
  expect(io.stdout.lines.at(-1)).toMatch(/^0 checks passed, \d+ failed, \d+ were skipped$/);
  expect(io.stdout.text).toContain(`no WebSocket opens at ws://127.0.0.1:${port}/ws (connect ECONNREFUSED`);
  expect(io.stdout.text).toMatch(/^skip T1 .*: no --tcp was given$/m);
});

test.each([
  [[], '--ws is missing'],
  [['--ws', 'http://127.0.0.1'], '--ws is "http://127.0.0.1"'],
  [['--ws', 'ws://127.0.0.1/ws', '--tcp', '60001'], '--tcp is "60001"'],
  [['--ws', 'ws://127.0.0.1/ws', '--http', 'x'], '--http is "x"'],
  [['--ws', 'ws://127.0.0.1/ws', '--rule', 'Z9'], '--rule is "Z9"'],
])('%j is a fault of the command line', async (args, problem) => {
  const io = testIo();
  expect(await run(args, io)).toBe(2);
  expect(io.stderr.text).toContain(problem);
});
