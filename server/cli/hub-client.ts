/**
 * One WebSocket connection to a hub that comes back by itself: hello with the token, heartbeats at the hub's interval, a
 * look at whether the hub is still there, reconnecting as the close code means it, and at the hub's own word where it says
 * `reconnect`. Knows nothing of what is watched or shown. Called by watch, beat and demo.
 */
import { WebSocket, type RawData } from 'ws';
import type { ClientMessage, Hello } from '../../shared/client-messages.ts';
import { closeCodes, type ErrorCode } from '../../shared/reasons.ts';
import { hubMessage, type HubMessage, type Welcome } from '../../shared/hub-messages.ts';
import { parseJson } from '../../shared/json.ts';
import type { HubAccess } from './access.ts';
import { describeError, describeNoHub } from './address.ts';
import { comeBackAfter, fullJitterMs, slowJitterMs, type ComeBack } from './backoff.ts';
import { FreshTokenWait, TokenRenewal } from './token-renewal.ts';
import { describeRefusal } from './token.ts';

/** A connection that lived this long was a good one: the next try starts with a short wait again. */
const GOOD_AFTER_MS = 5_000;
const WELCOME_WITHIN_MS = 10_000;
const BYE_WITHIN_MS = 1_000;
/** Less than the grace: a token that is there already costs nobody a visible end. */
const FRESH_TOKEN_LOOK_MS = 500;
/** What a hub that answers a hello with an error wants of whoever comes back. */
const comeBackAfterError: ReadonlyMap<ErrorCode, ComeBack> = new Map([
  ['unauthenticated', 'renewed'],
  ['too_many', 'slowly'],
  ['rate_limited', 'slowly'],
  ['unavailable', 'slowly'],
  ['internal', 'slowly'],
]);

export interface HubClientOptions {
  readonly access: Pick<HubAccess, 'ws' | 'http' | 'token'>;
  /** Asked at every connect: the hello says what holds then. The token is added to it. */
  readonly hello: () => Hello;
  /** Default: the hub's interval. */
  readonly everyMs?: number;
  /** Keeps trying where the very first connection finds no hub. */
  readonly isPatient?: boolean;
  readonly onWelcome?: (welcome: Welcome) => void;
  readonly onMessage?: (message: HubMessage) => void;
  /** For a person to read: without the token. */
  readonly onSent?: (json: string) => void;
  /** The connection is gone; it comes back by itself. */
  readonly onLost?: (reason: string) => void;
  /** The connection is gone for good. */
  readonly onFailed: (problem: string) => void;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #renewal: TokenRenewal;
  readonly #freshTokenWait: FreshTokenWait;
  #socket: WebSocket | undefined;
  #isWelcome = false;
  /** A hub has spoken at this address: from then on a lost connection is one to come back from. */
  #hasMetHub = false;
  #isEnding = false;
  #heartbeats: NodeJS.Timeout | undefined;
  #nextTry: NodeJS.Timeout | undefined;
  #attempt = 0;
  #sentIds = 0;
  #welcomeAtMs = 0;
  #heardAtMs = 0;
  /** Why the socket in hand ends, where somebody has said so before it closed. */
  #reason: string | undefined;
  #error: Error | undefined;
  /** The monotonic time before which the hub, or `cut`, does not want this client back. */
  #notBeforeMs: number | undefined;
  #comeBack: ComeBack | undefined;
  /** What the connection in hand was opened or renewed with. */
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

  /** Sent now or never: what must outlast a connection belongs in the hello. */
  send(message: ClientMessage): void {
    if (this.#isWelcome) this.#write(message);
  }

  /** An unclean end, as a reload or a lost network is one; comes back after that long. */
  cut(backAfterMs: number): void {
    if (this.#isEnding || !this.#isWelcome) return;
    this.#notBeforeMs = performance.now() + backAfterMs;
    this.#socket?.terminate();
  }

  /** A clean goodbye; resolves when the connection has ended. */
  leave(): Promise<void> {
    return this.#end(() => this.#write({ type: 'bye' }));
  }

  /** Ends without a goodbye, for good; what has been sent still arrives. */
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
    // The contract may grow: what this client does not know is not for it.
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
      // With an id it is answered, so that a hub that is gone without a word is noticed.
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

  /** Until then the connection in hand is as good as any: it is kept, unless the hub closes it. */
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

  /** The hub does not take the token: another one may be in the file, or come into it. */
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
