/** What the layers of the SDK do without a browser: they load, they render, and they open nothing. */
import { createServer } from 'node:net';
import { createElement, StrictMode, type ReactElement } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PresenceFriends } from '../../../client/element/index.ts';
import {
  PresenceProvider,
  useConnectionStatus,
  useFriend,
  useFriends,
  useMyPresence,
} from '../../../client/react/index.ts';
import { createPresenceClient } from '../../../client/sdk/index.ts';

function Everything(): ReactElement {
  const all = [useFriends(), useFriends('7'), useFriend('7'), useMyPresence(), useConnectionStatus()];
  return createElement('pre', null, JSON.stringify(all));
}

/** A port that counts who comes. */
async function counted(): Promise<{ url: string; count: () => number; stop: () => Promise<void> }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    count: () => count,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const nothing = { entries: {}, isSynced: false, staleSince: null, status: 'idle', error: null };

it.each(['options', 'client'])('hooks render nothing known, by %s, and no socket is opened', async (by) => {
  const opened = vi.fn();
  class Socket {
    constructor() {
      opened();
    }
  }
  const port = await counted();
  const options = { url: port.url, user: '42', WebSocket: Socket as never };
  const provided = by === 'options' ? { options } : { client: createPresenceClient(options) };
  const html = renderToString(
    createElement(StrictMode, null, createElement(PresenceProvider, provided, createElement(Everything))),
  );
  const { entries: _, ...friendState } = nothing;
  const shown = /<pre>(.*)<\/pre>/.exec(html)?.[1]?.replaceAll('&quot;', '"') ?? '';
  expect(JSON.parse(shown)).toEqual([
    { ...nothing, friends: [] },
    { ...nothing, friends: [] },
    friendState,
    { self: null },
    { status: 'idle', staleSince: null },
  ]);
  await new Promise((resolve) => setImmediate(resolve));
  expect([port.count(), opened.mock.calls.length]).toEqual([0, 0]);
  await port.stop();
});

it('a hook without a provider says so', () => {
  expect(() => renderToString(createElement(Everything))).toThrow('no <PresenceProvider> around this component');
});

it('the element loads without custom elements, and defines nothing', () => {
  expect(typeof PresenceFriends).toBe('function');
  expect(PresenceFriends.observedAttributes).toContain('user');
});

it.each(['127.0.0.1:8080', 'localhost:8080', '//hub', '/presence', 'hub', 'http:', 'ftp://hub'])(
  'a url without a scheme and a host throws in a browser as in Node: %s',
  (url) => {
    vi.stubGlobal('location', { origin: 'https://app.example' });
    try {
      expect(() => createPresenceClient({ url })).toThrow(`not ${url}`);
    } finally {
      vi.unstubAllGlobals();
    }
  },
);

describe('where an app runs', () => {
  afterEach(() => vi.unstubAllGlobals());

  class Socket {
    static hello: { device?: string } = {};
    readonly readyState = 1;
    onopen: (() => void) | null = null;
    onmessage = null;
    onclose = null;
    onerror = null;
    constructor() {
      setTimeout(() => this.onopen?.());
    }
    send(text: string): void {
      Socket.hello = JSON.parse(text) as { device?: string };
    }
    close(): void {}
  }

  it.each([
    ['Node.js', 'node', {}],
    ['a page', 'web', { location: { origin: 'https://app.example' } }],
    ['React Native', 'app', { process: { env: {} } }],
    ['a process that is made up by a bundler', 'app', { process: { env: {}, versions: {} } }],
    ['Electron, beside its pages', 'app', { process: { versions: { node: '24.0.0', electron: '40.0.0' } } }],
  ])('in %s its device is %s', async (_, device, globals) => {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    const client = createPresenceClient({ url: 'ws://hub', user: '42', WebSocket: Socket });
    client.connect();
    await vi.waitFor(() => expect(Socket.hello.device).toBe(device));
    client.close();
    Socket.hello = {};
  });
});

it('a provider without options and client says what it needs', () => {
  const provider = createElement(PresenceProvider, {} as never);
  expect(() => renderToString(provider)).toThrow('<PresenceProvider> needs options, or a client');
});
