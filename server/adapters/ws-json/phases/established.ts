/**
 * A connection from its welcome to its end, either of a present user or of an observer. Reports heartbeats to intake,
 * passes watches on, and renews tokens. Ends when its token expires or when it reads too slowly. Does not expire the
 * lease of a session: the core does.
 */
import type { ClientMessage, Hello, MessageId } from '../../../../shared/messages/client-messages.ts';
import type { Verdict } from '../../../auth/authenticator.ts';
import { viewerOf, type Identity } from '../../../auth/identity.ts';
import { DONE } from '../../../lib/time/timing-wheel.ts';
import type { Loss } from '../../../presence/presence.ts';
import type { Session } from '../../../presence/sessions/session.ts';
import { FAILED, refusals, type Client, type ConnectionControl } from '../connection-control.ts';
import { tail, tailAs } from '../messages/handle-tail.ts';
import { lookAs, unwatch, watch } from '../messages/handle-watch.ts';
import type { ConnectionContext } from '../context.ts';

type Heartbeat = Extract<ClientMessage, { type: 'heartbeat' }>;
type FreshToken = Extract<ClientMessage, { type: 'token' }>;

/**
 * The content of most heartbeats. One shared object saves an allocation for each. It has the fields of any other, so
 * that its shape is the same.
 */
const NOTHING_SAID = { status: undefined, code: undefined, text: undefined };

export class Established {
  readonly name = 'welcomed';
  readonly #hub: ConnectionContext;
  readonly #line: ConnectionControl;
  readonly #claimed: string | undefined;
  readonly #session: Session | null;
  #observer: string | null;
  #identity: Identity;
  /** Time of an observer's last sign of life. A present user has it in its session. */
  #observerSignAt: number;
  #looksAt: number;
  #isVerifying = false;
  /** A token that arrived while another was being verified. */
  #nextToken: FreshToken | null = null;
  #staysAfterwards = false;

  constructor(
    hub: ConnectionContext,
    line: ConnectionControl,
    { identity, claimed, session, observer }: Client,
    monoMs: number,
  ) {
    this.#hub = hub;
    this.#line = line;
    this.#identity = identity;
    this.#claimed = claimed;
    this.#session = session;
    this.#observer = observer;
    this.#observerSignAt = monoMs;
    this.#looksAt = identity.expiresAtMs === null ? monoMs + hub.heartbeatMs : monoMs;
    line.wakeAt(this.#looksAt);
  }

  /** @returns a promise that the next message must wait for, and that never rejects. Usually undefined. */
  hear(message: ClientMessage): Promise<void> | undefined {
    const line = this.#line;
    if (message.type === 'hello') {
      line.bad('type: hello was said already', message.id);
      return undefined;
    }
    if (this.#session === null && message.type === 'heartbeat' && saysSomething(message)) {
      const field = message.status === undefined ? 'text' : 'status';
      line.bad(`${field}: must be left out: an observer has no presence`, message.id);
      return undefined;
    }
    line.good();
    try {
      return this.#answer(message)?.catch((error: unknown) => {
        if (line.isOpen) this.#failed(error, message.id);
      });
    } catch (error) {
      this.#failed(error, message.id);
      return undefined;
    }
  }

  /** Records a sign of life without content. */
  renew(): void {
    if (this.#session === null) this.#observerSignAt = this.#hub.clock.now().monoMs;
    else this.#hub.intake.alive(this.#session);
  }

  /** @returns the time of the next tick in monotonic milliseconds, or `DONE` if the connection has ended. */
  tick(monoMs: number): number {
    const { timeoutMs, heartbeatMs, slowMs, onRefused } = this.#hub;
    const lastSignAt = this.#session?.lastSignAt ?? this.#observerSignAt;
    const lapsesAt = this.#session === null ? lastSignAt + timeoutMs : Infinity;
    const expiresAt = this.#expiresAt(monoMs);
    const { behindSinceAt } = this.#line.outbox;
    const isSlowAt = behindSinceAt === null ? Infinity : behindSinceAt + slowMs;
    if (monoMs >= expiresAt) this.#line.reject('unauthenticated', undefined);
    else if (monoMs >= lapsesAt) this.#line.endSession('timedOut');
    else if (monoMs >= isSlowAt) {
      onRefused('slow_reader');
      this.#line.endSession('slowReader');
    }
    if (!this.#line.isOpen) return DONE;
    const isSilent = monoMs >= lastSignAt + heartbeatMs;
    // Pings even while messages wait: only a write detects that a peer has gone while it is not read.
    if (isSilent) this.#line.ping();
    // Waiting messages came in time, so they are a sign of life.
    if (this.#line.isWaiting) this.renew();
    const pingsAt = (isSilent ? monoMs : lastSignAt) + heartbeatMs;
    this.#looksAt = Math.min(pingsAt, lapsesAt, expiresAt, isSlowAt);
    return this.#looksAt;
  }

  /** The wall clock was stepped against the monotonic one, so the token expires at another monotonic time. */
  clockStepped(monoMs: number): void {
    if (this.#identity.expiresAtMs !== null) this.#lookBy(monoMs);
  }

  /** Keeps the session, however the connection ends from now on. */
  keepSession(): void {
    this.#staysAfterwards = true;
  }

  /** Gives the session of an ended connection the grace of an unclean end, unless it is to stay or is already over. */
  release(cause: Loss = 'lost'): void {
    if (this.#session?.phase === 'live' && !this.#staysAfterwards) this.#hub.intake.disconnect(this.#session, cause);
  }

  /** Releases what belongs to the connection itself. Does not touch its session. */
  settle(): void {
    if (this.#observer !== null) this.#hub.observers.leave(this.#observer);
    this.#observer = null;
  }

  #answer(message: Exclude<ClientMessage, Hello>): Promise<void> | undefined {
    if (message.type !== 'heartbeat' && message.type !== 'bye') this.renew();
    switch (message.type) {
      case 'heartbeat':
        this.#heartbeat(message);
        this.#line.ok(message.id);
        break;
      case 'watch':
        return watch(this.#hub, this.#line, () => this.#identity, message);
      case 'unwatch':
        unwatch(this.#hub, this.#line, message);
        break;
      case 'token':
        this.#token(message);
        break;
      case 'tail':
        tail(this.#hub, this.#line, this.#identity, message);
        break;
      case 'untail':
        this.#hub.tails.end(this.#line.outbox);
        this.#line.ok(message.id);
        break;
      case 'bye':
        if (this.#session !== null) this.#hub.intake.leave(this.#session);
        this.#line.close('normal');
        break;
      default:
        message satisfies never;
    }
    return undefined;
  }

  #heartbeat({ status, text }: Pick<Heartbeat, 'status' | 'text'>): void {
    if (this.#session === null) {
      this.renew();
      return;
    }
    if (status === undefined && text === undefined) {
      this.#hub.intake.beat(this.#session, NOTHING_SAID);
      return;
    }
    const code = status === undefined ? undefined : this.#hub.codeOf(status);
    this.#hub.intake.beat(this.#session, { status, code, text });
  }

  #token(fresh: FreshToken): void {
    if (this.#hub.authenticator.withoutToken !== null) {
      this.#line.ok(fresh.id); // open mode needs no token, so any token is accepted
    } else if (this.#isVerifying) {
      this.#nextToken = fresh;
      this.#line.hold();
    } else {
      this.#verify(fresh);
    }
  }

  /** Verifies a token in the background. Other messages are handled meanwhile, up to the next token. */
  #verify({ token, id }: FreshToken): void {
    const line = this.#line;
    this.#isVerifying = true;
    const { authenticator } = this.#hub;
    void authenticator.verify(token, line.address).then(async (verdict) => {
      if (line.isOpen) await this.#verified(verdict, id).catch((error: unknown) => this.#failed(error, id));
      this.#isVerifying = false;
      if (!line.isOpen) return;
      const next = this.#nextToken;
      if (next === null) return;
      this.#nextToken = null;
      this.#verify(next);
      line.release();
    });
  }

  #failed(error: unknown, id: MessageId | undefined): void {
    this.#hub.onFault(error);
    this.#line.error('internal', FAILED, id);
  }

  async #verified(verdict: Verdict, id: FreshToken['id']): Promise<void> {
    const line = this.#line;
    if (!verdict.ok) {
      const { reason, code, message } = refusals[verdict.kind === 'refused' ? 'unauthenticated' : verdict.fault];
      this.#hub.onRefused(reason);
      line.error(code, message, id);
    } else if (verdict.identity.user !== this.#identity.user) {
      this.#hub.onRefused('forbidden');
      line.error('forbidden', 'token: must be of the same user as before', id);
    } else {
      await this.#become(verdict.identity);
      line.ok(id);
    }
  }

  /**
   * Applies the rights of a fresh token. Messages wait meanwhile, so that nothing is watched with the previous rights.
   */
  async #become(identity: Identity): Promise<void> {
    this.#line.hold();
    try {
      await lookAs(this.#hub, this.#line, { identity, viewer: viewerOf(identity, this.#claimed) }, () => {
        tailAs(this.#hub, this.#line, identity);
        this.#identity = identity;
        this.#lookBy(this.#hub.lookedAt);
      });
    } finally {
      this.#line.release();
    }
  }

  /** Monotonic time when the token expires. */
  #expiresAt(monoMs: number): number {
    const { expiresAtMs } = this.#identity;
    return expiresAtMs === null ? Infinity : monoMs + expiresAtMs - this.#hub.clock.now().wallMs;
  }

  #lookBy(monoMs: number): void {
    if (monoMs >= this.#looksAt) return;
    this.#looksAt = monoMs;
    this.#line.wakeAt(monoMs);
  }
}

function saysSomething({ status, text }: Heartbeat): boolean {
  return (status ?? text) !== undefined;
}
