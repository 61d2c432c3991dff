/**
 * The link that holds a WebSocket: sends the hello and heartbeats, detects a dead connection, and reconnects as the
 * hub's messages and close codes say. Reports away if there is no input. Only transports watch messages.
 */
import type { ClientMessage } from '../../../shared/messages/client-messages.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { isFinal, isPaced, waitMs } from './reconnect-policy.ts';
import { PresenceError } from '../error.ts';
import type { Link, LinkEvents, LinkStatus } from './link.ts';
import { Timers } from '../timers.ts';
import type { Tokens } from './tokens.ts';
import type { GetToken, MyStatus, WebSocketConstructor, WebSocketLike } from '../types.ts';

/** The time limit for opening the connection, and for its welcome. */
const STEP_WITHIN_MS = 10_000;
/** The time limit for an answer after a check or a goodbye. A connection that exceeds it is dead. */
const ANSWER_WITHIN_MS = 5_000;
/** If a timer is later than this, or two clocks differ by more, the process or the machine was suspended. */
const JUMP_MS = 1_000;
/** Browsers run a timer of 2 ** 31 ms or more at once. */
const LONGEST_MS = 2e9;

export interface HubLinkOptions {
  readonly url: string;
  readonly user: string | undefined;
  readonly device: string;
  readonly mine: MyStatus;
  readonly WebSocket: WebSocketConstructor;
  readonly getToken: GetToken | undefined;
}

/** Does nothing until it is loaded. */
let check = (message: HubMessage): HubMessage => message;

interface SocketError {
  readonly message?: string;
  readonly error?: { readonly code?: string };
}

export class HubLink implements Link {
  readonly #options: HubLinkOptions;
  readonly #events: LinkEvents;
  readonly #timers = new Timers<'retry' | 'answer' | 'beat' | 'idle'>();
  #status: LinkStatus['status'] = 'idle';
  #socket: WebSocketLike | undefined;
  #hasGreeted = false;
  /** Results of an earlier attempt are ignored. */
  #attemptNo = 0;
  #receivedAt = 0;
  /** Failures since the last connection that lasted for a heartbeat. */
  #failures = 0;
  #heartbeatMs = 0;
  #timeoutMs = 0;
  /** The monotonic time before which the hub asked not to reconnect. */
  #pacedUntil = 0;
  #tokens: Tokens | undefined;
  #isTokenRefused = false;
  #mine: MyStatus = { status: 'online', text: '' };
  /** The status that was last sent to the hub. */
  #said = '';
  #isAway = false;
  #awayAfterMs = Infinity;

  constructor(options: HubLinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#merge(options.mine);
  }

  connect(): void {
    if (this.#status === 'idle') this.#try();
  }

  send(message: ClientMessage): void {
    if (this.#status === 'connected') this.#socket?.send(JSON.stringify(message));
  }

  set(what: MyStatus): void {
    this.#merge(what);
    this.input();
  }

  input(awayAfterMs = this.#awayAfterMs, agoMs = 0): void {
    this.#awayAfterMs = awayAfterMs;
    this.#awayIn(awayAfterMs - agoMs);
  }

  check(): void {
    if (this.#status === 'connected') this.#beat(ANSWER_WITHIN_MS);
    else if (this.#timers.has('retry')) this.#tryIn(0);
  }

  leave(): void {
    if (this.#status !== 'connected') return this.close();
    this.send({ type: 'bye' });
    const over = (): void => this.close();
    // It is connected, so there is a socket.
    (this.#socket as WebSocketLike).onclose = over;
    this.#timers.set('answer', ANSWER_WITHIN_MS, over);
  }

  close(reason?: LinkStatus['reason']): void {
    if (this.#status === 'closed') return;
    this.#drop();
    this.#timers.stop('idle');
    this.#report({ status: 'closed', reason });
  }

  // Starts an attempt to connect.

  #try(): void {
    this.#drop();
    this.#report({ status: this.#status === 'idle' ? 'connecting' : 'reconnecting' });
    const attemptNo = this.#attemptNo;
    this.#open(attemptNo).catch((error: unknown) => {
      if (attemptNo !== this.#attemptNo) return;
      // A module that cannot be loaded now is a TypeError. Any other error means that the browser forbids the address,
      // as plain ws from an https page.
      this.#ended(error instanceof TypeError ? 1006 : 1008, String(error));
    });
  }

  async #open(attemptNo: number): Promise<void> {
    const { url, user, device, WebSocket, getToken } = this.#options;
    let token: string | null | undefined;
    if (getToken) {
      const { Tokens } = await import('./tokens.ts');
      if (attemptNo !== this.#attemptNo) return;
      const onFresh = (token: string): void => this.send({ type: 'token', id: 'token', token });
      this.#tokens ??= new Tokens(getToken, onFresh, this.#events.onError);
      // The app may take its time: a late token is used, and no second one is requested in the meantime.
      token = await this.#tokens.give(this.#isTokenRefused);
      if (attemptNo !== this.#attemptNo) return;
      if (token === null) return this.#ended(1006, 'no token');
    }
    import('./check.ts').then(
      (own) => (check = own.check),
      () => undefined,
    );
    const socket = (this.#socket = new WebSocket(url));
    socket.onopen = () => {
      this.#expect(STEP_WITHIN_MS);
      // Not earlier: the page may have been frozen while it connected, which makes the user away.
      const who = user === undefined ? { observe: true } : { user, device, self: true, ...this.#now() };
      socket.send(JSON.stringify({ type: 'hello', id: 'hello', token, ...who }));
      this.#hasGreeted = true;
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      try {
        this.#receive(check(JSON.parse(String(data)) as HubMessage));
      } catch (error) {
        this.#ended(1007, String(error));
      }
    };
    // `close` follows. Browsers give scripts no reason; Node has a message, or a code if it tried several addresses.
    let problem = '';
    // eslint-disable-next-line @typescript-eslint/prefer-nullish-coalescing -- an empty message says nothing
    socket.onerror = ({ message, error }: SocketError) => (problem = message || error?.code || '');
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.#ended(code, reason || problem);
    this.#expect(STEP_WITHIN_MS);
  }

  // Handles a message from the hub.

  #receive(message: HubMessage): void {
    const { type } = message;
    this.#receivedAt = Date.now();
    this.#timers.stop('answer');
    if (type === 'welcome') {
      this.#isTokenRefused = false;
      this.#heartbeatMs = message.heartbeatMs;
      this.#timeoutMs = message.timeoutMs;
      this.#report({ status: 'connected' });
      this.#beatLater();
      this.#events.onMessage(message);
      this.#say();
    } else if (type === 'reconnect') {
      this.#pacedUntil = performance.now() + message.afterMs;
      // Until then, the current connection stays in use.
      this.#timers.set('retry', message.afterMs, () => this.#try());
    } else if (type === 'error' && typeof message.re !== 'number') {
      this.#refused(message);
    } else if (type === 'ok' && message.re === 'beat') {
      this.#failures = 0; // the connection has lasted
    } else {
      this.#events.onMessage(message);
    }
  }

  #refused({ code, message, re }: Extract<HubMessage, { type: 'error' }>): void {
    // For a refused token, the close that follows reports the error.
    if (code !== 'unauthenticated' || re === 'token') this.#events.onError(new PresenceError(code, message));
    if (re !== 'hello') return;
    if (code === 'bad_message') this.#ended(4400, message);
    if (code === 'too_many') this.#ended(1013, message);
  }

  #merge({ status = this.#mine.status, text = this.#mine.text }: MyStatus): void {
    this.#mine = { status, text };
  }

  #now(): MyStatus {
    const { status, text } = this.#mine;
    const now = { status: this.#isAway && status === 'online' ? 'away' : status, text } as const;
    this.#said = JSON.stringify(now);
    return now;
  }

  /**
   * Sends a changed status. Does not wait for the welcome, because a page that is about to be frozen would not receive
   * it.
   */
  #say(): void {
    if (!this.#hasGreeted || this.#options.user === undefined) return;
    const said = this.#said;
    const now = this.#now();
    if (this.#said !== said) this.#socket?.send(JSON.stringify({ type: 'heartbeat', id: 'beat', ...now }));
  }

  #beatLater(): void {
    const dueAt = Date.now() + this.#heartbeatMs;
    this.#timers.set('beat', this.#heartbeatMs, () => {
      // By the wall clock, which continues while a machine is suspended. The connection may not have survived that.
      const isLate = Math.abs(Date.now() - dueAt) > JUMP_MS;
      this.#beat(isLate ? ANSWER_WITHIN_MS : this.#timeoutMs);
    });
  }

  /** Sends a heartbeat that asks for an answer. */
  #beat(withinMs: number): void {
    this.send({ type: 'heartbeat', id: 'beat' });
    this.#beatLater();
    if (withinMs < this.#timeoutMs || !this.#timers.has('answer')) this.#expect(withinMs);
  }

  /** Expects a message from the hub within this time. */
  #expect(withinMs: number): void {
    const end = (lateMs: number): void => {
      // The process was suspended, so the answer may have arrived but not been read yet.
      if (lateMs > JUMP_MS) this.#timers.set('answer', ANSWER_WITHIN_MS, () => end(0));
      else this.#ended(4408, 'no answer');
    };
    this.#timers.set('answer', withinMs, end);
  }

  #awayIn(ms: number): void {
    this.#isAway = ms <= 0;
    this.#say();
    if (ms > 0 && ms < LONGEST_MS) this.#timers.set('idle', ms, () => this.#awayIn(0));
  }

  // Handles the end of a connection or attempt.

  #ended(code: number, text: string): void {
    const reason = { code, text };
    const ms = waitMs(code, this.#failures++, Math.random());
    if (code === 4401 && this.#options.getToken && !this.#isTokenRefused) {
      this.#isTokenRefused = true;
      this.#try();
    } else if (code === 4401 || isFinal(code)) {
      this.close(reason);
    } else {
      this.#drop();
      const now = performance.now();
      // A delay that the hub requested takes precedence.
      if (isPaced(code) && this.#pacedUntil < now) this.#pacedUntil = now + ms;
      this.#tryIn(ms, reason);
    }
  }

  #tryIn(ms: number, reason?: LinkStatus['reason']): void {
    const pacedMs = this.#pacedUntil - performance.now();
    const retryInMs = pacedMs > 0 ? pacedMs : ms;
    this.#timers.set('retry', retryInMs, () => this.#try());
    // Retries even if the browser reports that it is offline, because that may be wrong, as behind a VPN or with a hub
    // on this machine.
    const { navigator } = globalThis as { navigator?: { onLine?: boolean } };
    this.#report({ status: navigator?.onLine === false ? 'disconnected' : 'reconnecting', retryInMs, reason });
  }

  /** Drops the connection and ignores its later events. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#hasGreeted = false;
    this.#attemptNo++;
    this.#tokens?.stop();
    this.#timers.stop('retry', 'answer', 'beat');
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #report(status: Omit<LinkStatus, 'receivedAt'>): void {
    this.#status = status.status;
    this.#events.onStatus({ ...status, receivedAt: this.#receivedAt });
  }
}
