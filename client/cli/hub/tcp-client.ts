/**
 * One user's heartbeats as XML over TCP or TLS, as the legacy client sends them, on a connection that reconnects
 * automatically. The first frame of a connection carries the token, as does the first one after a token is renewed: the
 * SDK says when that is due. Reads the answers of a hub with HUB_TCP_ACK; other hubs send none. The state -1 is the clean goodbye.
 */
import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Tokens } from '../../sdk/internal.ts';
import type { HubAccess } from './access.ts';
import { describeError, describeNoTcp, type TcpAddress } from './address.ts';
import { retryMs } from './hub-http.ts';
import { describeRefusal, expiryOf, getTokenFrom, type Refusal } from './token.ts';

const GOOD_AFTER_MS = 5_000;
const CONNECT_WITHIN_MS = 10_000;
const BYE_WITHIN_MS = 1_000;
const LEAVING = -1;
/** Characters of the stream that are kept to find answers in. Many answers fit. */
const MAX_RECEIVED_CHARS = 4_096;
const ANSWER = /<(ack|error)\b(?:[^>]* code="(\w+)")?[^>]*>([^<]*)(?=<)/g;

interface TcpClientOptions {
  readonly access: TcpAddress & Pick<HubAccess, 'token'>;
  readonly user: string;
  readonly device?: string;
  readonly everyMs: number;
  /** Returns the legacy integer. Called at every heartbeat. */
  readonly state: () => number;
  readonly isPatient?: boolean;
  /** For display: without the token. */
  readonly onSent?: (frame: string) => void;
  /** The hub's answer, if HUB_TCP_ACK is set. */
  readonly onGot?: (text: string) => void;
  readonly onLost?: (reason: string) => void;
  /** The very first connection found no hub, or the hub refuses the token. */
  readonly onFailed: (problem: string) => void;
}

/** `ready` is called when a frame may be sent. If the connection fails before, only `close` follows. */
export function openTcp({ tcpHost, tcpPort, isTcpTls }: TcpAddress, withinMs: number, ready: () => void): Socket {
  const common = { host: tcpHost, port: tcpPort, timeout: withinMs };
  // An IP address is not a valid server name.
  const socket = isTcpTls
    ? connectTls({ ...common, ...(isIP(tcpHost) === 0 ? { servername: tcpHost } : {}) }, ready)
    : createConnection(common, ready);
  return socket.setNoDelay(true);
}

export class TcpClient {
  readonly #options: TcpClientOptions;
  /** Undefined if there is no token. */
  readonly #tokens: Tokens | undefined;
  #socket: Socket | undefined;
  #wasEverConnected = false;
  #isEnding = false;
  #heartbeats: NodeJS.Timeout | undefined;
  #nextTry: NodeJS.Timeout | undefined;
  #attempt = 0;
  /** When the current connection was established; undefined until then. */
  #connectedAtMs: number | undefined;
  #token: string | undefined;
  #isRenewing = false;
  /** Why the current connection ends, if that is known. */
  #fault: Error | undefined;
  /** The next frame carries the token. */
  #isTokenDue = false;
  #received = '';

  constructor(options: TcpClientOptions) {
    this.#options = options;
    const getToken = getTokenFrom(options.access.token);
    if (getToken === undefined) return;
    const onFresh = (token: string) => this.#useToken(token);
    this.#tokens = new Tokens(getToken, onFresh, ({ message }) => (this.#fault = new Error(message)));
  }

  connect(): void {
    void this.#connect();
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#nextTry);
    this.#connectedAtMs = undefined;
    this.#received = '';
    this.#fault = undefined;
    const token = await this.#tokens?.give(false);
    if (this.#isEnding) return;
    if (token === null) return this.#closed();
    const socket = openTcp(this.#options.access, CONNECT_WITHIN_MS, () => this.#opened(socket, token));
    this.#socket = socket;
    socket.on('timeout', () => socket.destroy(new Error(`no answer within ${CONNECT_WITHIN_MS} ms`)));
    // Read even without a listener, because unread data would delay the end of the stream.
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.#options.onGot?.(text);
      this.#receive(text);
    });
    socket.on('error', (error) => (this.#fault = error));
    socket.on('close', () => {
      if (this.#socket === socket) this.#closed();
    });
  }

  /** Sends an extra heartbeat now. */
  beat(): void {
    if (!this.#isOpen) return;
    this.#write(this.#options.state());
    // A hub that sends no answers accepts silently.
    if (this.#isGood) this.#options.access.token.accepted();
  }

  /** Ends with a clean goodbye. Resolves when the connection has ended. */
  leave(): Promise<void> {
    return this.#end(() => this.#write(LEAVING));
  }

  /** Ends without a goodbye and does not reconnect. Frames already sent still arrive. */
  end(): Promise<void> {
    return this.#end(() => undefined);
  }

  async #end(sayLast: () => void): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#nextTry);
    clearInterval(this.#heartbeats);
    this.#tokens?.stop();
    const socket = this.#socket;
    if (socket === undefined || socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (this.#isOpen) sayLast();
    else socket.destroy();
    socket.end();
    const cutOff = setTimeout(() => socket.destroy(), BYE_WITHIN_MS);
    await closed;
    clearTimeout(cutOff);
  }

  /** A TLS connection is open only after its handshake. */
  get #isOpen(): boolean {
    return this.#connectedAtMs !== undefined && this.#socket?.readyState === 'open';
  }

  get #isGood(): boolean {
    return performance.now() - (this.#connectedAtMs ?? Infinity) > GOOD_AFTER_MS;
  }

  #opened(socket: Socket, token: string | undefined): void {
    socket.setTimeout(0);
    this.#wasEverConnected = true;
    this.#connectedAtMs = performance.now();
    this.#useToken(token);
    this.beat();
    this.#heartbeats = setInterval(() => this.beat(), this.#options.everyMs);
  }

  #useToken(token: string | undefined): void {
    this.#token = token;
    this.#isTokenDue = token !== undefined;
  }

  #closed(): void {
    clearInterval(this.#heartbeats);
    this.#tokens?.stop();
    if (this.#isEnding) return;
    const { access, isPatient, onFailed, onLost } = this.#options;
    const fault = this.#fault;
    if (!this.#wasEverConnected && isPatient !== true) return onFailed(describeNoTcp(access, fault));
    // A hub that sends no answers does not report an expired token either.
    if (access.token.kind === 'given' && hasRunOut(this.#token))
      return onFailed(describeRefusal('unauthenticated', access.token, 'it has expired'));
    if (this.#isGood) this.#attempt = 0;
    const waitMs = retryMs(this.#attempt);
    this.#attempt += 1;
    onLost?.(fault === undefined ? 'the connection closed' : describeError(fault));
    this.#nextTry = setTimeout(() => this.connect(), waitMs);
  }

  /** Finds the answers about the token, even if they arrive in several pieces. */
  #receive(text: string): void {
    this.#received = (this.#received + text).slice(-MAX_RECEIVED_CHARS);
    let end = 0;
    for (const { index, 0: answer, 1: kind, 2: code = '', 3: says = '' } of this.#received.matchAll(ANSWER)) {
      end = index + answer.length;
      if (kind === 'ack') this.#options.access.token.accepted();
      else if (code === 'unauthenticated' || code === 'forbidden') void this.#refused(code, says);
    }
    this.#received = this.#received.slice(end);
  }

  /** Goes on if the file contains another token, or soon will. */
  async #refused(refusal: Refusal, says: string): Promise<void> {
    if (this.#isRenewing) return;
    const { access, onFailed } = this.#options;
    this.#isRenewing = true;
    const fresh = refusal === 'unauthenticated' ? await this.#tokens?.give(true) : undefined;
    this.#isRenewing = false;
    if (this.#isEnding) return;
    if (typeof fresh === 'string' && fresh !== this.#token) return this.#useToken(fresh);
    void this.end();
    onFailed(describeRefusal(refusal, access.token, says));
  }

  #write(state: number): void {
    const token = this.#isTokenDue ? this.#token : undefined;
    this.#isTokenDue = false;
    const { user, device, onSent } = this.#options;
    onSent?.(encodeFrame({ user, state, device, token: token === undefined ? undefined : '…' }));
    // A line break follows the terminator, because the legacy server reads lines.
    this.#socket?.write(`${encodeFrame({ user, state, device, token })}\n`);
  }
}

interface Frame {
  readonly user: string;
  readonly state: number;
  readonly device: string | undefined;
  readonly token: string | undefined;
}

function encodeFrame({ user, state, device, token }: Frame): string {
  const element = (name: string, text: string | undefined) =>
    text === undefined ? '' : `<${name}>${escapeXml(text)}</${name}>`;
  return `<protocol><user_id>${user}</user_id><user_state>${state}</user_state>${element('device', device)}${element('token', token)}</protocol>`;
}

function hasRunOut(token: string | undefined): boolean {
  const expiresAt = token === undefined ? undefined : expiryOf(token);
  return expiresAt !== undefined && expiresAt <= Date.now();
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
