/**
 * One WebSocket connection to a hub that reconnects automatically: sends the hello with the token and heartbeats at the
 * hub's interval, notices a silent hub, and reconnects as the close code or a `reconnect` message says. Knows nothing
 * of what is watched or shown.
 */
import { WebSocket, type RawData } from 'ws';
import type { ClientMessage, Hello } from '../../../shared/messages/client-messages.ts';
import { closeCodes, type ErrorCode } from '../../../shared/reasons.ts';
import { hubMessage, type HubMessage, type Welcome } from '../../../shared/messages/hub-messages.ts';
import { parseJson } from '../../../shared/messages/json.ts';
import type { HubAccess } from './access.ts';
import { describeError, describeNoHub } from './address.ts';
import { comeBackAfter, fullJitterMs, slowJitterMs, type ComeBack } from './backoff.ts';
import { FreshTokenWait, TokenRenewal } from './token-renewal.ts';
import { describeRefusal } from './token.ts';

/** A connection that lasted this long was good, so the next retry starts with a short delay again. */
const GOOD_AFTER_MS = 5_000;
const WELCOME_WITHIN_MS = 10_000;
const BYE_WITHIN_MS = 1_000;
/** Less than the grace, so that a token that is already available causes no visible end. */
const FRESH_TOKEN_LOOK_MS = 500;
/** How to reconnect if the hub answers the hello with an error. */
const comeBackAfterError: ReadonlyMap<ErrorCode, ComeBack> = new Map([
  ['unauthenticated', 'renewed'],
  ['too_many', 'slowly'],
  ['rate_limited', 'slowly'],
  ['unavailable', 'slowly'],
  ['internal', 'slowly'],
]);

export interface HubClientOptions {
  readonly access: Pick<HubAccess, 'ws' | 'http' | 'token'>;
  /** Called at every connect, so that the hello has the current values. The token is added to it. */
  readonly hello: () => Hello;
  /** Default: the hub's interval. */
  readonly everyMs?: number;
  /** Keeps trying even if the very first connection finds no hub. */
  readonly isPatient?: boolean;
  readonly onWelcome?: (welcome: Welcome) => void;
  readonly onMessage?: (message: HubMessage) => void;
  /** For display: without the token. */
  readonly onSent?: (json: string) => void;
  /** The connection is lost; the client reconnects. */
  readonly onLost?: (reason: string) => void;
  /** The connection has ended and the client does not reconnect. */
  readonly onFailed: (problem: string) => void;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #renewal: TokenRenewal;
  readonly #freshTokenWait: FreshTokenWait;
  #socket: WebSocket | undefined;
  #isWelcome = false;
  /** A hub has answered at this address, so a lost connection is retried. */
  #hasMetHub = false;
  #isEnding = false;
  #heartbeats: NodeJS.Timeout | undefined;
  #nextTry: NodeJS.Timeout | undefined;
  #attempt = 0;
  #sentIds = 0;
  #welcomeAtMs = 0;
  #heardAtMs = 0;
  /** Why the current socket ends, if that was known before it closed. */
  #reason: string | undefined;
  #error: Error | undefined;
  /** The monotonic time before which this client must not reconnect, set by the hub or by `cut`. */
  #notBeforeMs: number | undefined;
  #comeBack: ComeBack | undefined;
  /** The token with which the current connection was opened or renewed. */
  #token: string | undefined;
  #refusedToken: string | undefined;

  constructor(options: HubClientOptions) {
    this.#options = options;
    this.#renewal = new TokenRenewal(options.access.token);
    this.#freshTokenWait = new FreshTokenWait(options.access.token);
  }

  connect(): void {
    clearTimeout(this.#nextTry);
    this.#notBeforeMs = undefined;
    this.#reason = undefined;
    this.#error = undefined;
    this.#comeBack = undefined;
    const { access } = this.#options;
    const token = access.token.read();
    if (!token.ok) return this.#lost(token.problem);
    if (token.value !== undefined && token.value === this.#refusedToken) return this.#refused();
    this.#token = token.value;
    const socket = new WebSocket(access.ws, { handshakeTimeout: WELCOME_WITHIN_MS, perMessageDeflate: false });
    this.#socket = socket;
    const heard = () => (this.#heardAtMs = performance.now());
    socket.on('open', () => {
      heard();
      this.#write({ ...this.#options.hello(), ...(token.value === undefined ? {} : { token: token.value }) });
      this.#heartbeats = setTimeout(() => this.#drop('the hub did not answer the hello'), WELCOME_WITHIN_MS);
    });
    socket.on('ping', heard);
    socket.on('message', (data: RawData, isBinary) => {
      heard();
      if (!isBinary && this.#socket === socket) this.#receive((data as Buffer).toString('utf8'));
    });
    socket.on('error', (error) => (this.#error = error));
    socket.on('close', (code) => {
      if (this.#socket === socket) this.#closed(code);
    });
  }

  /** Sends a message, or drops it if not connected. State that must survive a reconnect belongs in the hello. */
  send(message: ClientMessage): void {
    if (this.#isWelcome) this.#write(message);
  }

  /** Ends uncleanly, like a reload or a lost network, and reconnects after that time. */
  cut(backAfterMs: number): void {
    if (this.#isEnding || !this.#isWelcome) return;
    this.#notBeforeMs = performance.now() + backAfterMs;
    this.#socket?.terminate();
  }

  /** Ends with a clean goodbye. Resolves when the connection has ended. */
  leave(): Promise<void> {
    return this.#end(() => this.#write({ type: 'bye' }));
  }

  /** Ends without a goodbye and does not reconnect. Messages already sent still arrive. */
  end(): Promise<void> {
    return this.#end((socket) => socket.close());
  }

  async #end(sayLast: (socket: WebSocket) => void): Promise<void> {
    const { isWelcome, socket } = this.#retire();
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (isWelcome && socket.readyState === WebSocket.OPEN) sayLast(socket);
    else socket.terminate();
    const cutOff = setTimeout(() => socket.terminate(), BYE_WITHIN_MS);
    await closed;
    clearTimeout(cutOff);
  }

  #retire(): { readonly isWelcome: boolean; readonly socket: WebSocket | undefined } {
    this.#isEnding = true;
    clearTimeout(this.#nextTry);
    clearTimeout(this.#heartbeats);
    this.#renewal.stop();
    return { isWelcome: this.#isWelcome, socket: this.#socket };
  }

  #receive(json: string): void {
    const read = hubMessage.safeParse(parseJson(json));
    // The contract may grow: this client ignores messages that it does not know.
    if (!read.success || this.#isEnding) return;
    this.#hasMetHub = true;
    const message = read.data;
    if (message.type === 'welcome') this.#welcomed(message);
    else if (message.type === 'reconnect') this.#comeBackAfter(message.afterMs);
    else if (message.type === 'error') this.#complained(message);
    this.#options.onMessage?.(message);
  }

  #welcomed(welcome: Welcome): void {
    this.#isWelcome = true;
    this.#welcomeAtMs = performance.now();
    this.#refusedToken = undefined;
    this.#freshTokenWait.taken();
    this.#renewal.start(this.#token, (token) => {
      this.#token = token;
      this.send({ type: 'token', token });
    });
    clearTimeout(this.#heartbeats);
    const beat = () => {
      if (performance.now() - this.#heardAtMs > welcome.timeoutMs) return this.#drop('the hub went silent');
      this.#sentIds += 1;
      // The id asks for an answer, so that a hub that is gone without a close is noticed.
      this.send({ type: 'heartbeat', id: this.#sentIds });
    };
    this.#heartbeats = setInterval(beat, this.#options.everyMs ?? welcome.heartbeatMs);
    this.#options.onWelcome?.(welcome);
  }

  #complained({ code, message }: Extract<HubMessage, { type: 'error' }>): void {
    this.#reason = message;
    if (this.#isWelcome) return;
    if (code === 'forbidden') return this.#fail(describeRefusal(code, this.#options.access.token, message));
    if (code === 'bad_message') return this.#fail(`the hub refused: ${message}`);
    this.#comeBack = comeBackAfterError.get(code);
    this.#socket?.terminate();
  }

  /** Reconnects at that time. Until then, the current connection stays in use unless the hub closes it. */
  #comeBackAfter(afterMs: number): void {
    this.#reason = 'the hub asked to come back later';
    this.#notBeforeMs = performance.now() + afterMs;
    clearTimeout(this.#nextTry);
    this.#nextTry = setTimeout(() => this.#socket?.terminate(), afterMs);
  }

  #closed(code: number): void {
    clearTimeout(this.#heartbeats);
    clearTimeout(this.#nextTry);
    this.#renewal.stop();
    const wasWelcome = this.#isWelcome;
    this.#isWelcome = false;
    if (this.#isEnding) return;
    const { access, isPatient } = this.#options;
    const error = this.#error;
    const reason = this.#reason ?? (error === undefined ? `the connection closed (${code})` : describeError(error));
    this.#comeBack ??= comeBackAfter(code);
    if (this.#comeBack === 'renewed') {
      this.#refusedToken = this.#token;
      return this.#refused(reason, this.#options.onLost);
    }
    if (this.#comeBack === 'never') {
      const isRefused = code === closeCodes.forbidden.code && !wasWelcome;
      const ended = `the hub ended the connection (${code}): ${reason}`;
      return this.#fail(isRefused ? describeRefusal('forbidden', access.token, reason) : ended);
    }
    if (!this.#hasMetHub && isPatient !== true) return this.#fail(describeNobody(error, access.http));
    if (wasWelcome && performance.now() - this.#welcomeAtMs > GOOD_AFTER_MS) this.#attempt = 0;
    this.#lost(reason);
  }

  #lost(reason: string): void {
    if (!this.#hasMetHub && this.#options.isPatient !== true) return this.#fail(reason);
    const jitterMs = this.#comeBack === 'slowly' ? slowJitterMs : fullJitterMs;
    const waitMs =
      this.#notBeforeMs === undefined ? jitterMs(this.#attempt) : Math.max(0, this.#notBeforeMs - performance.now());
    this.#attempt += 1;
    this.#options.onLost?.(reason);
    this.#nextTry = setTimeout(() => this.connect(), waitMs);
  }

  /** The hub refuses the token. The file may contain another one, or may soon. */
  #refused(reason = 'it has run out', onLost?: (reason: string) => void): void {
    const { token } = this.#options.access;
    if (!this.#freshTokenWait.refused()) return this.#fail(describeRefusal('unauthenticated', token, reason));
    onLost?.(reason);
    this.#nextTry = setTimeout(() => this.connect(), FRESH_TOKEN_LOOK_MS);
  }

  #drop(reason: string): void {
    this.#reason = reason;
    this.#socket?.terminate();
  }

  #fail(problem: string): void {
    this.#retire().socket?.terminate();
    this.#options.onFailed(problem);
  }

  #write(message: ClientMessage): void {
    const shown = 'token' in message ? { ...message, token: '…' } : message;
    this.#options.onSent?.(JSON.stringify(shown));
    this.#socket?.send(JSON.stringify(message));
  }
}

function describeNobody(error: Error | undefined, http: string): string {
  const answered = /^Unexpected server response: (\d+)$/.exec(error?.message ?? '');
  if (answered !== null) return `what answers at ${http} is no hub (${answered[1] ?? ''} for /ws)`;
  return describeNoHub(http, error);
}
