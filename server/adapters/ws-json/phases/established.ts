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
import { PeersUnavailable } from '../../../peers.ts';
import type { Session } from '../../../presence/sessions/session.ts';
import { FAILED, refusals, type Client, type ConnectionControl } from '../connection-control.ts';
import { tail, endTailUnlessAdmin } from '../messages/handle-tail.ts';
import { changeRights, unwatch, watch } from '../messages/handle-watch.ts';
import type { ConnectionContext } from '../context.ts';

type Heartbeat = Extract<ClientMessage, { type: 'heartbeat' }>;
type FreshToken = Extract<ClientMessage, { type: 'token' }>;

/**
 * The content of most heartbeats. One shared object saves an allocation for each. It has the fields of any other, so
 * that its shape is the same.
 */
const UNCHANGED = { status: undefined, code: undefined, text: undefined };

export class Established {
  readonly name = 'welcomed';
  readonly #context: ConnectionContext;
  readonly #connection: ConnectionControl;
  readonly #claimed: string | undefined;
  readonly #session: Session | null;
  #observer: string | null;
  #identity: Identity;
  /** Time of an observer's last sign of life. A present user has it in its session. */
  #observerSignAt: number;
  #nextTickAt: number;
  #isVerifying = false;
  /** A token that arrived while another was being verified. */
  #nextToken: FreshToken | null = null;
  #keepsSession = false;

  constructor(
    context: ConnectionContext,
    connection: ConnectionControl,
    { identity, claimed, session, observer }: Client,
    monoMs: number,
  ) {
    this.#context = context;
    this.#connection = connection;
    this.#identity = identity;
    this.#claimed = claimed;
    this.#session = session;
    this.#observer = observer;
    this.#observerSignAt = monoMs;
    this.#nextTickAt = identity.expiresAtMs === null ? monoMs + context.heartbeatMs : monoMs;
    connection.wakeAt(this.#nextTickAt);
  }

  /** @returns a promise that the next message must wait for, and that never rejects. Usually undefined. */
  handle(message: ClientMessage): Promise<void> | undefined {
    const connection = this.#connection;
    if (message.type === 'hello') {
      connection.bad('type: hello was already sent', message.id);
      return undefined;
    }
    if (this.#session === null && message.type === 'heartbeat' && hasContent(message)) {
      const field = message.status === undefined ? 'text' : 'status';
      connection.bad(`${field}: must be left out: an observer has no presence`, message.id);
      return undefined;
    }
    connection.good();
    try {
      return this.#answer(message)?.catch((error: unknown) => {
        if (connection.isOpen) this.#failed(error, message.id);
      });
    } catch (error) {
      this.#failed(error, message.id);
      return undefined;
    }
  }

  /** Records a sign of life without content. */
  renew(): void {
    if (this.#session === null) this.#observerSignAt = this.#context.clock.now().monoMs;
    else this.#context.intake.alive(this.#session);
  }

  /** @returns the time of the next tick in monotonic milliseconds, or `DONE` if the connection has ended. */
  tick(monoMs: number): number {
    const { timeoutMs, heartbeatMs, limits, onRefused } = this.#context;
    const lastSignAt = this.#session?.lastSignAt ?? this.#observerSignAt;
    const lapsesAt = this.#session === null ? lastSignAt + timeoutMs : Infinity;
    const expiresAt = this.#expiresAt(monoMs);
    const { behindSinceAt } = this.#connection.outbox;
    const isSlowAt = behindSinceAt === null ? Infinity : behindSinceAt + limits.slowMs;
    if (monoMs >= expiresAt) this.#connection.reject('unauthenticated', undefined);
    else if (monoMs >= lapsesAt) this.#connection.endSession('timedOut');
    else if (monoMs >= isSlowAt) {
      onRefused('slow_reader');
      this.#connection.endSession('slowReader');
    }
    if (!this.#connection.isOpen) return DONE;
    const isSilent = monoMs >= lastSignAt + heartbeatMs;
    // Pings even while messages wait: only a write detects that a peer has gone while it is not read.
    if (isSilent) this.#connection.ping();
    // Waiting messages came in time, so they are a sign of life.
    if (this.#connection.isWaiting) this.renew();
    const pingsAt = (isSilent ? monoMs : lastSignAt) + heartbeatMs;
    this.#nextTickAt = Math.min(pingsAt, lapsesAt, expiresAt, isSlowAt);
    return this.#nextTickAt;
  }

  /** The wall clock was stepped against the monotonic one, so the token expires at another monotonic time. */
  clockStepped(monoMs: number): void {
    if (this.#identity.expiresAtMs !== null) this.#wakeBy(monoMs);
  }

  /** Keeps the session, however the connection ends from now on. */
  keepSession(): void {
    this.#keepsSession = true;
  }

  /** Gives the session of an ended connection the grace of an unclean end, unless it is to stay or is already over. */
  release(cause: Loss = 'lost'): void {
    if (this.#session?.phase === 'live' && !this.#keepsSession) this.#context.intake.disconnect(this.#session, cause);
  }

  /** Releases what belongs to the connection itself. Does not touch its session. */
  settle(): void {
    if (this.#observer !== null) this.#context.observers.leave(this.#observer);
    this.#observer = null;
  }

  #answer(message: Exclude<ClientMessage, Hello>): Promise<void> | undefined {
    if (message.type !== 'heartbeat' && message.type !== 'bye') this.renew();
    switch (message.type) {
      case 'heartbeat':
        this.#heartbeat(message);
        this.#okWhenSettled(message.id);
        break;
      case 'watch':
        return watch(this.#context, this.#connection, () => this.#identity, message);
      case 'unwatch':
        unwatch(this.#context, this.#connection, message);
        break;
      case 'token':
        this.#token(message);
        break;
      case 'tail':
        tail(this.#context, this.#connection, this.#identity, message);
        break;
      case 'untail':
        this.#context.tails.end(this.#connection.outbox);
        this.#connection.ok(message.id);
        break;
      case 'bye':
        if (this.#session !== null) this.#context.intake.leave(this.#session);
        this.#connection.close('normal');
        break;
      default:
        message satisfies never;
    }
    return undefined;
  }

  /** Answers once other hubs can know what the message said. */
  #okWhenSettled(id: MessageId | undefined): void {
    const settled = id === undefined ? undefined : this.#session && this.#context.peers.settled(this.#session.user.id);
    if (settled) void settled.then(() => this.#connection.ok(id));
    else this.#connection.ok(id);
  }

  #heartbeat({ status, text }: Pick<Heartbeat, 'status' | 'text'>): void {
    if (this.#session === null) {
      this.renew();
      return;
    }
    if (status === undefined && text === undefined) {
      this.#context.intake.heartbeat(this.#session, UNCHANGED);
      return;
    }
    const code = status === undefined ? undefined : this.#context.codeOf(status);
    this.#context.intake.heartbeat(this.#session, { status, code, text });
  }

  #token(fresh: FreshToken): void {
    if (this.#context.authenticator.withoutToken !== null) {
      this.#connection.ok(fresh.id); // open mode needs no token, so any token is accepted
    } else if (this.#isVerifying) {
      this.#nextToken = fresh;
      this.#connection.hold();
    } else {
      this.#verify(fresh);
    }
  }

  /** Verifies a token in the background. Other messages are handled meanwhile, up to the next token. */
  #verify({ token, id }: FreshToken): void {
    const connection = this.#connection;
    this.#isVerifying = true;
    const { authenticator } = this.#context;
    void authenticator.verify(token, connection.address).then(async (verdict) => {
      if (connection.isOpen) await this.#verified(verdict, id).catch((error: unknown) => this.#failed(error, id));
      this.#isVerifying = false;
      if (!connection.isOpen) return;
      const next = this.#nextToken;
      if (next === null) return;
      this.#nextToken = null;
      this.#verify(next);
      connection.release();
    });
  }

  #failed(error: unknown, id: MessageId | undefined): void {
    if (error instanceof PeersUnavailable) {
      this.#connection.reject('peers', id);
      return;
    }
    this.#context.onFault(error);
    this.#connection.error('internal', FAILED, id);
  }

  async #verified(verdict: Verdict, id: FreshToken['id']): Promise<void> {
    const connection = this.#connection;
    if (!verdict.ok) {
      const { reason, code, message } = refusals[verdict.kind === 'refused' ? 'unauthenticated' : verdict.fault];
      this.#context.onRefused(reason);
      connection.error(code, message, id);
    } else if (verdict.identity.user !== this.#identity.user) {
      this.#context.onRefused('forbidden');
      connection.error('forbidden', 'token: must belong to the same user as before', id);
    } else {
      await this.#applyToken(verdict.identity);
      connection.ok(id);
    }
  }

  /**
   * Applies the rights of a fresh token. Messages wait meanwhile, so that nothing is watched with the previous rights.
   */
  async #applyToken(identity: Identity): Promise<void> {
    this.#connection.hold();
    try {
      await changeRights(
        this.#context,
        this.#connection,
        { identity, viewer: viewerOf(identity, this.#claimed) },
        () => {
          endTailUnlessAdmin(this.#context, this.#connection, identity);
          this.#identity = identity;
          this.#wakeBy(this.#context.lastTickAt);
        },
      );
    } finally {
      this.#connection.release();
    }
  }

  /** Monotonic time when the token expires. */
  #expiresAt(monoMs: number): number {
    const { expiresAtMs } = this.#identity;
    return expiresAtMs === null ? Infinity : monoMs + expiresAtMs - this.#context.clock.now().wallMs;
  }

  #wakeBy(monoMs: number): void {
    if (monoMs >= this.#nextTickAt) return;
    this.#nextTickAt = monoMs;
    this.#connection.wakeAt(monoMs);
  }
}

function hasContent({ status, text }: Heartbeat): boolean {
  return (status ?? text) !== undefined;
}
