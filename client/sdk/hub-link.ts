/**
 * The link that holds a WebSocket: says hello, sends heartbeats, finds out when the connection is dead, and comes back as
 * the hub's words and close codes tell. Reports away when nobody gives input. Knows nothing of watches but how to send them.
 */
import type { ClientMessage } from '../../shared/client-messages.ts';
import type { HubMessage } from '../../shared/hub-messages.ts';
import { comeBackAfter } from './come-back.ts';
import { PresenceError } from './error.ts';
import type { Link, LinkEvents, LinkStatus } from './link.ts';
import { Mine } from './mine.ts';
import { Timers } from './timers.ts';
import { refreshInMs } from './token.ts';
import type { GetToken, MyStatus, WebSocketConstructor, WebSocketLike } from './types.ts';

/** For the app's token, for the connection to open, for its welcome. */
const STEP_WITHIN_MS = 10_000;
/** After waking up: a connection that does not answer by then is dead. */
const ANSWER_WITHIN_MS = 5_000;
/** A connection that lasted this long was a success: the next attempt is the first again. */
const LASTING_MS = 10_000;
const TOKEN_AGAIN_MS = 10_000;
const BYE_WITHIN_MS = 5_000;

export interface HubLinkOptions {
  readonly url: string;
  readonly user: string | undefined;
  readonly device: string;
  readonly mine: MyStatus;
  /** Undefined: never. */
  readonly awayAfterMs: number | undefined;
  readonly WebSocket: WebSocketConstructor;
  readonly getToken: GetToken | undefined;
}

export class HubLink implements Link {
  readonly #options: HubLinkOptions;
  readonly #events: LinkEvents;
  readonly #timers = new Timers<'retry' | 'step' | 'answer' | 'beat' | 'idle' | 'token'>();
  readonly #mine: Mine;
  #status: LinkStatus['status'] = 'idle';
  #socket: WebSocketLike | undefined;
  /** Of the attempt under way: what comes of an earlier one counts no more. */
  #attemptNo = 0;
  #heardAt: number | null = null;
  /** Failures since the last connection that lasted. */
  #failures = 0;
  #welcomedAt: number | undefined;
  #heartbeatMs = 0;
  #timeoutMs = 0;
  /** Not to come back before, by the forward clock: the hub has said so. */
  #pacedUntil = 0;
  #isTokenRefused = false;
  #inputAt = performance.now();

  constructor(options: HubLinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#mine = new Mine(options.mine);
  }

  connect(): void {
    if (this.#status !== 'idle') return;
    this.input();
    this.#lookIdle();
    this.#try();
  }

  send(message: ClientMessage): void {
    if (this.#status === 'connected') this.#socket?.send(JSON.stringify(message));
  }

  set(what: MyStatus): void {
    this.#mine.set(what);
    this.input();
    this.#say();
  }

  input(): void {
    this.#inputAt = performance.now();
    if (!this.#mine.isAway) return;
    this.#mine.isAway = false;
    this.#lookIdle();
    this.#say();
  }

  wake(): void {
    if (this.#status === 'connected') {
      this.#beat(ANSWER_WITHIN_MS);
    } else if (this.#status === 'disconnected' || this.#timers.has('retry')) {
      const leftMs = this.#pacedUntil - performance.now();
      if (leftMs > 0) this.#tryIn(leftMs);
      else this.#try();
    }
  }

  sleep(): void {
    if (this.#status === 'idle' || this.#status === 'closed') return;
    this.#drop();
    this.#tell({ status: 'disconnected' });
  }

  leave(): void {
    if (this.#status !== 'connected') return this.close();
    this.send({ type: 'bye' });
    const over = (): void => this.close();
    if (this.#socket !== undefined) this.#socket.onclose = over;
    this.#timers.stopAll();
    this.#timers.set('step', BYE_WITHIN_MS, over);
  }

  close(): void {
    this.#finish(undefined);
  }

  #finish(reason: LinkStatus['reason']): void {
    if (this.#status === 'closed') return;
    this.#drop();
    this.#timers.stopAll();
    this.#tell({ status: 'closed', reason });
  }

  // Coming.

  #try(): void {
    this.#timers.stop('retry');
    this.#tell({ status: this.#status === 'idle' ? 'connecting' : 'reconnecting' });
    void this.#open((this.#attemptNo += 1));
  }

  async #open(attemptNo: number): Promise<void> {
    const { url, WebSocket } = this.#options;
    this.#await();
    const token = await this.#token(this.#isTokenRefused);
    if (attemptNo !== this.#attemptNo) return;
    if (token === null) return this.#ended(1006, '');
    this.#await();
    const socket = (this.#socket = new WebSocket(url));
    socket.onopen = () => {
      this.#await();
      socket.send(JSON.stringify(this.#hello(token)));
    };
    socket.onmessage = ({ data }: { data: unknown }) => this.#hear(String(data));
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.#ended(code, reason);
    socket.onerror = () => undefined; // `close` follows
  }

  #await(): void {
    this.#timers.set('step', STEP_WITHIN_MS, () => this.#ended(4408, 'the hub does not answer'));
  }

  #hello(token: string | undefined): ClientMessage {
    const { user, device } = this.#options;
    return user === undefined
      ? { type: 'hello', id: 'hello', token, observe: true }
      : { type: 'hello', id: 'hello', token, user, device, ...this.#mine.whole(), self: true };
  }

  /** Null where the app fails to give one. */
  async #token(refresh: boolean): Promise<string | undefined | null> {
    const { getToken } = this.#options;
    if (getToken === undefined) return undefined;
    try {
      const token = await getToken({ refresh });
      this.#isTokenRefused &&= !refresh;
      const ms = refreshInMs(token, Date.now());
      if (ms !== undefined) this.#timers.set('token', ms, () => void this.#renew());
      return token;
    } catch (error) {
      this.#events.onError(new PresenceError('unauthenticated', `getToken failed: ${String(error)}`));
      return null;
    }
  }

  /** A fresh token before the old one runs out. */
  async #renew(): Promise<void> {
    const attemptNo = this.#attemptNo;
    const token = await this.#token(true);
    if (attemptNo !== this.#attemptNo) return;
    if (typeof token === 'string') this.send({ type: 'token', id: 'token', token });
    else this.#timers.set('token', TOKEN_AGAIN_MS, () => void this.#renew());
  }

  // Being there.

  #hear(json: string): void {
    const message = JSON.parse(json) as HubMessage;
    this.#heardAt = Date.now();
    this.#timers.stop('answer');
    switch (message.type) {
      case 'welcome':
        this.#timers.stop('step');
        this.#welcomedAt = performance.now();
        this.#heartbeatMs = message.heartbeatMs;
        this.#timeoutMs = message.timeoutMs;
        this.#tell({ status: 'connected' });
        this.#events.onMessage(message);
        this.#say();
        this.#beatLater();
        return;
      case 'ok':
        // Of a token: what was refused may be allowed now.
        if (message.re !== 'beat') this.#events.onMessage(message);
        return;
      case 'reconnect':
        this.#pacedUntil = performance.now() + message.afterMs;
        // Until then the connection in hand is as good as any.
        this.#timers.set('retry', message.afterMs, () => this.#again());
        return;
      case 'error':
        if (typeof message.re === 'number') this.#events.onMessage(message);
        else this.#refused(message);
        return;
      default:
        this.#events.onMessage(message);
    }
  }

  #refused({ code, message, re }: Extract<HubMessage, { type: 'error' }>): void {
    const isFinal = re === 'hello' && code === 'bad_message';
    // The close that follows says what becomes of it.
    if (code !== 'unauthenticated' || re === 'token') this.#events.onError(new PresenceError(code, message, isFinal));
    if (isFinal) this.#finish({ code: 4400, text: message });
    else if (re === 'hello' && code === 'too_many') this.#ended(1013, message);
  }

  #say(): void {
    if (this.#status !== 'connected' || this.#options.user === undefined) return;
    const news = this.#mine.news();
    if (Object.keys(news).length > 0) this.send({ type: 'heartbeat', id: 'beat', ...news });
  }

  #beatLater(): void {
    this.#timers.set('beat', this.#heartbeatMs, () => this.#beat(this.#timeoutMs));
  }

  /** A sign of life that asks for one. */
  #beat(answerWithinMs: number): void {
    this.send({ type: 'heartbeat', id: 'beat' });
    this.#beatLater();
    if (answerWithinMs < this.#timeoutMs || !this.#timers.has('answer'))
      this.#timers.set('answer', answerWithinMs, () => this.#ended(4408, 'the hub has fallen silent'));
  }

  #lookIdle(): void {
    const { awayAfterMs, user } = this.#options;
    if (awayAfterMs === undefined || user === undefined) return;
    const leftMs = this.#inputAt + awayAfterMs - performance.now();
    this.#mine.isAway = leftMs <= 0;
    if (leftMs <= 0) this.#say();
    else this.#timers.set('idle', leftMs, () => this.#lookIdle());
  }

  // Going.

  #ended(code: number, reason: string): void {
    this.#drop();
    if (this.#welcomedAt !== undefined && performance.now() - this.#welcomedAt >= LASTING_MS) this.#failures = 0;
    this.#welcomedAt = undefined;
    const next = comeBackAfter(code, this.#failures, Math.random());
    this.#failures += 1;
    const why = { code, text: reason };
    const pacedMs = this.#pacedUntil - performance.now();
    if (next.kind === 'never') {
      this.#finish({ code, text: reason || next.why });
    } else if (next.kind === 'with a fresh token') {
      if (this.#options.getToken === undefined || this.#isTokenRefused)
        return this.#finish({ code, text: 'the hub asks for a good token' });
      this.#isTokenRefused = true;
      this.#try();
    } else if (isOffline()) {
      this.#tell({ status: 'disconnected', reason: why });
    } else {
      if (next.isPaced && pacedMs <= 0) this.#pacedUntil = performance.now() + next.ms;
      this.#tryIn(pacedMs > 0 ? pacedMs : next.ms, why);
    }
  }

  #again(): void {
    this.#drop();
    this.#try();
  }

  #tryIn(ms: number, reason?: LinkStatus['reason']): void {
    this.#timers.set('retry', ms, () => this.#try());
    this.#tell({ status: 'reconnecting', retryInMs: ms, reason });
  }

  /** Lets go of the connection, whatever still comes of it. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#attemptNo += 1;
    for (const name of ['retry', 'step', 'answer', 'beat', 'token'] as const) this.#timers.stop(name);
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #tell(status: Omit<LinkStatus, 'heardAt'>): void {
    this.#status = status.status;
    this.#events.onStatus({ ...status, heardAt: this.#heardAt });
  }
}

function isOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false;
}
