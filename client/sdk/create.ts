/**
 * From an app's options to a client: reads them, finds out where it runs, and builds the link when it is first needed.
 * Called by apps, through the entry.
 */
import { Client } from './client.ts';
import { PresenceError } from './error.ts';
import { HubLink, type HubLinkOptions } from './hub-link.ts';
import { bad, readMyStatus, readUser } from './read.ts';
import { heedSurroundings } from './surroundings.ts';
import type { PresenceClient, PresenceClientOptions, WebSocketConstructor } from './types.ts';

const AWAY_AFTER_MS = 5 * 60_000;

/** Connects when the first thing is watched or set. Throws where an option is bad. */
export function createPresenceClient(options: PresenceClientOptions = {}): PresenceClient {
  const { idle, device = isPage() || 'importScripts' in globalThis ? 'web' : 'node' } = options;
  const user = options.user === undefined ? undefined : readUser(options.user, 'user');
  const mine = readMyStatus(options);
  if (device.length < 1 || device.length > 64) throw bad('device must be 1 to 64 characters');
  if (options.url !== undefined) socketUrl(options.url);
  const awayAfterMs = idle === false ? undefined : (idle?.awayAfterMs ?? (isPage() ? AWAY_AFTER_MS : undefined));
  return new Client(user, (events) => {
    const { getToken } = options;
    const how: HubLinkOptions = {
      url: socketUrl(options.url),
      user,
      device,
      mine,
      awayAfterMs,
      WebSocket: webSocket(options.WebSocket),
      getToken,
    };
    let stop = (): void => undefined;
    const link = new HubLink(how, {
      ...events,
      onStatus: (status) => {
        if (status.status === 'closed') stop();
        events.onStatus(status);
      },
    });
    stop = heedSurroundings(link);
    return link;
  });
}

function isPage(): boolean {
  return 'document' in globalThis;
}

function socketUrl(given: string | URL | undefined): string {
  const base = (globalThis as { location?: { origin: string } }).location?.origin;
  const text = given === undefined ? base : String(given);
  if (text === undefined) throw bad('url is needed outside of a browser, such as http://localhost:8080');
  const url = URL.canParse(text, base) ? new URL(text, base) : undefined;
  if (url === undefined || !/^(http|ws)s?:$/.test(url.protocol))
    throw bad(`url must be an address of http, https, ws or wss, not ${text}`);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!url.pathname.endsWith('/ws')) url.pathname = `${url.pathname.replace(/\/$/, '')}/ws`;
  return url.href;
}

function webSocket(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const found = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (found !== undefined) return found;
  throw new PresenceError(
    'refused',
    'there is no WebSocket here: give the option WebSocket, such as that of the package ws',
    true,
  );
}
