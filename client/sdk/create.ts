/**
 * Creates a client from an app's options: validates them, detects the environment, and builds the link when it is first
 * needed.
 */
import { Client } from './client.ts';
import { HubLink } from './link/hub-link.ts';
import type { Link } from './link/link.ts';
import { bad, readMyStatus, readUser } from './link/read.ts';
import type { PresenceClient, PresenceClientOptions, WebSocketConstructor } from './types.ts';

interface Here {
  readonly process?: { readonly versions?: { readonly node?: string; readonly electron?: string } };
}

const AWAY_AFTER_MS = 5 * 60_000;

/**
 * Creates a client, which connects when the first user is watched or the first status is set. Throws if an option is
 * bad.
 */
export function createPresenceClient(options: PresenceClientOptions = {}): PresenceClient {
  const { user, getToken, status, text, tabs, idle, device = whereAmI() } = options;
  if (user !== undefined) readUser(user, 'user');
  if (options.url !== undefined) socketUrl(options.url);
  readMyStatus(options);
  const awayAfterMs = idle === false ? undefined : (idle?.awayAfterMs ?? AWAY_AFTER_MS);
  const client = new Client(user, awayAfterMs, (events) => {
    const { WebSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket } = options;
    if (WebSocket === undefined) throw bad('give the option WebSocket');
    const how = { url: socketUrl(options.url), user, device, mine: { status, text }, WebSocket, getToken };
    // An app's own WebSocket class cannot be passed to another thread.
    const isShared = 'document' in globalThis && tabs !== 'each' && options.WebSocket === undefined;
    const ownLink = (): Link => new HubLink(how, events);
    // If the module for sharing cannot be loaded, or fails, this tab has its own connection.
    const link = isShared
      ? import('./tabs/tabs.ts').then(({ openSharedLink }) => openSharedLink(how, events)).catch(ownLink)
      : Promise.resolve(ownLink());
    // Without this module, the client only reconnects later.
    if ('addEventListener' in globalThis)
      import('./link/page-lifecycle.ts').then(
        ({ heedSurroundings }) => heedSurroundings(link, client, how.url, awayAfterMs),
        () => undefined,
      );
    return link;
  });
  return client;
}

function socketUrl(given: string | URL | undefined): string {
  const text = String(given ?? (globalThis as { location?: { origin: string } }).location?.origin);
  const socket = text.replace(/^http/, 'ws');
  if (!/^wss?:\/\//.test(socket)) throw bad(`url must be http:// or ws://, not ${text}`);
  const url = new URL(socket);
  url.pathname = url.pathname.replace(/(\/ws)?\/?$/, '/ws');
  return url.href;
}

function whereAmI(): string {
  const { node, electron } = (globalThis as Here).process?.versions ?? {};
  return 'location' in globalThis ? 'web' : node && !electron ? 'node' : 'app';
}
