/** A server in place of the hub that sends a command whatever could harm its terminal or its process. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { run as beat } from '../../client/cli/commands/beat.ts';
import { run as explain } from '../../client/cli/commands/explain.ts';
import { run as friends } from '../../client/cli/commands/friends.ts';
import { run as kick } from '../../client/cli/commands/kick.ts';
import { run as tail } from '../../client/cli/commands/tail.ts';
import { run as webhooks } from '../../client/cli/commands/webhooks.ts';
import { testIo } from '../support/cli-io.ts';

const EVIL = '\u001b]0;title\u0007\u009b31m\u202e\u2028';
// eslint-disable-next-line no-control-regex -- that is what must not come through
const HARMFUL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029]/;
const AT = 1_767_225_600_000;
const entry = {
  ...{ user: '42', status: 'online', code: 1, since: AT, lastSeen: AT, v: AT },
  ...{ text: EVIL, devices: [EVIL] },
};
const session = {
  ...{ id: EVIL, state: 'live', adapter: 'http', device: EVIL, address: EVIL, peerAddress: EVIL, status: 'online' },
  ...{ code: 1, text: EVIL, connectedAt: AT, lastHeartbeatAt: AT, leaseEndsAt: AT, decides: true },
};
const explained = {
  ...{ user: '42', at: AT, entry, sessions: [session], transitionsSince: AT },
  decision: { status: 'online', code: 1, session: EVIL, rule: EVIL },
  hidden: { isInvisible: false, from: ['7'], fromCount: 1 },
  transitions: [{ at: AT, cause: 'came', from: 'offline', to: 'online', adapter: 'http', session: EVIL }],
};
const rule = {
  ...{ name: EVIL, url: EVIL, on: ['online'], afterMs: 0, events: 'status', queued: 1, dead: 2 },
  lastFailure: EVIL,
};

let server: Server;
let sockets: WebSocketServer;
afterEach(async () => {
  for (const socket of sockets.clients) socket.terminate();
  server.closeAllConnections();
  await once(server.close(), 'close');
});

async function serve(answer: (response: ServerResponse, url: string) => void): Promise<string> {
  server = createServer((request, response) => {
    request.resume().on('end', () => answer(response, request.url ?? ''));
  });
  sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('connection', (socket) => {
    socket.on('message', (json: Buffer) => {
      const send = (message: object): void => socket.send(JSON.stringify(message));
      const { type, id: re } = JSON.parse(json.toString()) as { type: string; id?: string };
      if (type === 'hello')
        send({ type: 'welcome', re, session: EVIL, heartbeatMs: 1000, timeoutMs: 3000, node: EVIL, protocol: 1 });
      if (type !== 'tail') return;
      const change = { at: AT, cause: 'came', adapter: 'http', session: EVIL, from: 'offline', entry };
      send({ type: 'tail', changes: [change], skipped: 1 });
      socket.close(4403, EVIL);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type Command = typeof explain;

async function run(command: Command, url: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const io = testIo();
  const code = await command([...args, '--url', url], io);
  return { code, text: io.stdout.text + io.stderr.text };
}

const commands: readonly (readonly [string, Command, readonly string[]])[] = [
  ['explain', explain, ['42']],
  ['explain as JSON', explain, ['42', '--json']],
  ['webhooks', webhooks, []],
  ['a test of a webhook', webhooks, ['--test', 'x']],
  ['tail', tail, []],
  ['tail as JSON', tail, ['--json']],
];

describe('a server that is no honest hub', () => {
  it.each(commands)('cannot send a control character to the terminal of %s', async (_, command, args) => {
    const url = await serve((response, path) => {
      const body = path.includes('explain') ? explained : { rules: [rule], delivered: false, reason: EVIL };
      response.end(JSON.stringify(body));
    });
    const { text } = await run(command, url, ...args);
    expect(text).toContain('title');
    expect(text).not.toMatch(HARMFUL);
  });

  it.each(commands)('cannot do so with a refusal of %s', async (_, command, args) => {
    const url = await serve((response) => {
      response.writeHead(400).end(JSON.stringify({ type: EVIL, title: EVIL, status: 400, detail: EVIL }));
    });
    expect((await run(command, url, ...args)).text).not.toMatch(HARMFUL);
  });

  it.each<readonly [string, Command, readonly string[]]>([
    ['heartbeats over HTTP', beat, ['42', '--http', '--once']],
    ['a friendship', friends, ['add', '42', '7']],
    ['the end of a session', kick, ['42', 'x']],
  ])('whose answer is not JSON is not taken for a hub: %s', async (_, command, args) => {
    const url = await serve((response) => response.end('<html>welcome</html>'));
    const { code, text } = await run(command, url, ...args);
    expect([code, text]).toEqual([1, expect.stringContaining(`the server at ${url} is not a hub`)]);
  });

  it('cannot fill the memory of a command with an endless answer', async () => {
    const url = await serve((response) => {
      const flood = (): void => {
        if (!response.destroyed) response.write(' '.repeat(1024 * 1024), flood);
      };
      flood();
    });
    const { code, text } = await run(explain, url, '42');
    expect([code, text]).toEqual([1, expect.stringContaining('longer than')]);
  });
});
