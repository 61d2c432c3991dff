/**
 * From an app's options to a client: reads them, finds out where it runs, and builds the link when it is first needed.
 * Called by apps, through the entry.
 */
import { Client } from './client.ts';
import { PresenceError } from './error.ts';
import { HubLink } from './hub-link.ts';
import type { Link } from './link.ts';
import { bad, readMyStatus, readUser } from './read.ts';
import type { PresenceClient, PresenceClientOptions, WebSocketConstructor } from './types.ts';

/** Connects when the first thing is watched or set. Throws where an option is bad. */
export function createPresenceClient(options: PresenceClientOptions = {}): PresenceClient {
  const { user, getToken, status, text, tabs, idle, device = 'location' in globalThis ? 'web' : 'node' } = options;
  if (user !== undefined) readUser(user, 'user');
  if (options.url !== undefined) socketUrl(options.url);
  readMyStatus(options);
  const client = new Client(user, (events) => {
    const { WebSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket } = options;
    if (WebSocket === undefined) throw new PresenceError('refused', 'give the option WebSocket', true);
    const how = { url: socketUrl(options.url), user, device, mine: { status, text }, WebSocket, getToken };
    // Another thread can't be handed a WebSocket of the app's own.
    const isShared = 'document' in globalThis && tabs !== 'each' && options.WebSocket === undefined;
    const ownLink = (): Link => new HubLink(how, events);
    // If the part that shares can't be loaded, or fails, this tab has a connection of its own.
    const link = isShared
      ? import('./tabs.ts').then(({ openSharedLink }) => openSharedLink(how, events)).catch(ownLink)
      : Promise.resolve(ownLink());
    if ('addEventListener' in globalThis)
      import('./surroundings.ts').then(({ heedSurroundings }) => heedSurroundings(link, client, how.url, idle), ignore);
    return link;
  });
  return client;
}

function socketUrl(given: string | URL | undefined): string {
  const text = String(given ?? (globalThis as { location?: { origin: string } }).location?.origin);
  const socket = text.replace(/^http/i, 'ws');
  if (!/^wss?:\/\//i.test(socket) || !URL.canParse(socket)) throw bad(`url must be http:// or ws://, not ${text}`);
  const url = new URL(socket);
  url.pathname = url.pathname.replace(/(\/ws)?\/?$/, '/ws');
  return url.href;
}

function ignore(): void {
  // Without it the client just wakes up later.
}
