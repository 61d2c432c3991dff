/**
 * What the reference servers in Node share: their HTTP routes and start line, and the users' entries, each kept as the
 * JSON text it is sent as. A reference has no leases, no fold and no versions: every requested user is online.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export const BACKLOG = 4096;

export interface Entry {
  readonly user: string;
  readonly status: string;
  readonly code: number;
  readonly since: number;
  readonly lastSeen: number;
  readonly devices: readonly string[];
  readonly text: string;
  readonly v: number;
}

export interface ClientMessage {
  readonly type: string;
  readonly user?: string;
  readonly users?: readonly string[];
  readonly status?: string;
  readonly text?: string;
}

export function entryOf(user: string, status = 'online', text = ''): Entry {
  const now = Date.now();
  return { user, status, code: codeOf(status), since: now, lastSeen: now, devices: ['ref'], text, v: now };
}

/** A user as the references keep it: its entry as text, and its watchers, if the library keeps no such list. */
export interface Watched<Watchers> {
  entry: string;
  watchers: Watchers | null;
}

export class Users<Watchers> {
  readonly #users = new Map<string, Watched<Watchers>>();

  of(id: string): Watched<Watchers> {
    let user = this.#users.get(id);
    if (user === undefined) this.#users.set(id, (user = { entry: entryText(id), watchers: null }));
    return user;
  }

  change(id: string, { status, text }: ClientMessage): Watched<Watchers> {
    const user = this.of(id);
    user.entry = entryText(id, status, text);
    return user;
  }

  snapshot(ids: readonly string[]): string {
    let entries = '';
    for (const id of ids) entries += (entries === '' ? '' : ',') + this.of(id).entry;
    return `{"type":"snapshot","users":${JSON.stringify(ids)},"at":${Date.now()},"entries":[${entries}]}`;
  }
}

/** JSON by hand: it is done for every change, and user and status need no escapes. */
function entryText(user: string, status = 'online', text = ''): string {
  const now = Date.now();
  return (
    `{"user":"${user}","status":"${status}","code":${codeOf(status)},"since":${now},"lastSeen":${now},` +
    `"devices":["ref"],"text":${JSON.stringify(text)},"v":${now}}`
  );
}

function codeOf(status: string): number {
  return status === 'away' ? 2 : 1;
}

export function welcomeFields(user: string, session: string): Readonly<Record<string, unknown>> {
  return { session, user, heartbeatMs: 10_000, timeoutMs: 25_000, node: 'ref', protocol: 1 };
}

export function welcome(user: string): string {
  return JSON.stringify({ type: 'welcome', ...welcomeFields(user, 's') });
}

export function presence(entries: string): string {
  return `{"type":"presence","entries":[${entries}]}`;
}

/** GET /readyz and GET /heartbeats. */
export function httpServer(heartbeats: () => number): Server {
  return createServer((request, response) => {
    const answer =
      request.url === '/heartbeats' ? String(heartbeats()) : request.url === '/readyz' ? 'ready' : undefined;
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(answer ?? 'not found');
  });
}

export function listen(server: Server): void {
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => say((server.address() as AddressInfo).port));
}

/** The start line. */
export function say(port: number, tcpPort = 0): void {
  process.stdout.write(`${JSON.stringify({ port, tcpPort })}\n`);
}
