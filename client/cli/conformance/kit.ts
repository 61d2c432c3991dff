/**
 * What a check gets: ways to reach the hub under test, and user ids that nobody else uses. Ends every connection of a
 * check when it is over. Judges nothing but that an answer comes.
 */
import { randomBytes } from 'node:crypto';
import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseFields } from '../../../shared/messages/json.ts';
import { ANSWER_WITHIN_MS, entriesIn, WsPeer, type Message, type RawEntry } from './ws-peer.ts';
import { Violation } from './violation.ts';

export interface Targets {
  readonly ws: string;
  /** Without a trailing slash; null if HTTP is not checked. */
  readonly http: string | null;
  readonly tcp: { readonly host: string; readonly port: number; readonly isTls: boolean } | null;
  /** The bearer token of an admin, if the hub asks for one. */
  readonly token: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  /** The JSON object of the answer; empty if it is none. */
  readonly body: Message;
}

export interface TcpPeer {
  write(bytes: string | Uint8Array): void;
  /** Resolves when the hub has closed the connection. */
  closed(): Promise<void>;
  readonly isOpen: boolean;
  end(): void;
}

/** How long the end of a grace or of a TCP lease may take: after a stall of the hub, a grace is one WebSocket timeout (L11). */
export const END_WITHIN_MS = 40_000;

export class Kit {
  readonly #targets: Targets;
  readonly #ends: (() => void)[] = [];
  readonly #prefix = `conf-${randomBytes(5).toString('hex')}`;
  #users = 0;

  constructor(targets: Targets) {
    this.#targets = targets;
  }

  /** A user that no other check and no earlier run has used. */
  user(): string {
    return `${this.#prefix}-${++this.#users}`;
  }

  async openWs(): Promise<WsPeer> {
    const peer = await WsPeer.open(this.#targets.ws);
    this.#ends.push(() => peer.cut());
    return peer;
  }

  /** Opens a session, or an observer with `observe`. */
  async hello(fields: object): Promise<WsPeer> {
    const peer = await this.openWs();
    peer.send({ type: 'hello', ...fields });
    await peer.next('welcome');
    return peer;
  }

  /** An observer that watches these users, and has its snapshot. */
  async watch(...users: string[]): Promise<WsPeer> {
    const peer = await this.hello({ observe: true });
    peer.send({ type: 'watch', users });
    await peer.next('snapshot');
    return peer;
  }

  async openTcp(): Promise<TcpPeer> {
    const { tcp } = this.#targets;
    if (tcp === null) throw new Error('a check of TCP ran without --tcp');
    const { host, port, isTls } = tcp;
    const socket: Socket = isTls
      ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) })
      : createConnection({ host, port });
    socket.setNoDelay(true);
    this.#ends.push(() => socket.destroy());
    const hasClosed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      socket.on(isTls ? 'secureConnect' : 'connect', resolve);
      socket.on('error', (error) => reject(new Violation(`no TCP connection to ${host}:${port} (${error.message})`)));
    });
    socket.resume();
    return {
      write: (bytes) => void socket.write(bytes),
      closed: () => within(hasClosed, 'the hub did not close the TCP connection'),
      get isOpen() {
        return !socket.destroyed && !socket.readableEnded;
      },
      end: () => socket.destroy(),
    };
  }

  async http(method: string, path: string, body?: unknown): Promise<HttpAnswer> {
    const { http, token } = this.#targets;
    if (http === null) throw new Error('a check of HTTP ran without an address');
    try {
      const response = await fetch(http + path, {
        method,
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const type = response.headers.get('content-type') ?? '';
      return { status: response.status, type, body: parseFields(text) ?? {} };
    } catch (error) {
      throw new Violation(
        `${method} ${path} has no answer (${error instanceof Error ? error.message : String(error)})`,
      );
    }
  }

  /** The current entry of a user, as an observer sees it in a snapshot. */
  async entryOf(user: string): Promise<RawEntry> {
    const peer = await this.hello({ observe: true });
    peer.send({ type: 'watch', users: [user] });
    const entry = entriesIn(await peer.next('snapshot')).find((one) => one.user === user);
    peer.cut();
    if (entry === undefined) throw new Violation(`a snapshot of ${user} has no entry of it`);
    return entry;
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

export function frame(user: string, state?: number | string): string {
  const stated = state === undefined ? '' : `<user_state>${state}</user_state>`;
  return `<protocol><user_id>${user}</user_id>${stated}</protocol>`;
}

function within<T>(work: Promise<T>, reason: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Violation(reason)), ANSWER_WITHIN_MS);
    void work.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
