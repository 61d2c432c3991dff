/**
 * A connection from its opening to its welcome: waits for a hello, identifies the client, and begins its session or
 * admits it as an observer. Messages wait while a token is verified. In open mode a hello is answered at once.
 */
import type { ClientMessage, Hello } from '../../../../shared/messages/client-messages.ts';
import { HELLO_WITHIN_MS, PROTOCOL_VERSION } from '../../../../shared/limits.ts';
import type { Undecided, Verdict } from '../../../auth/authenticator.ts';
import { viewerOf, type Identity } from '../../../auth/identity.ts';
import { mayAdmin, mayClaim } from '../../../auth/policy.ts';
import { DONE } from '../../../lib/time/timing-wheel.ts';
import type { SessionRefusal } from '../../../intake.ts';
import type { Session } from '../../../presence/sessions/session.ts';
import { FAILED, type ConnectionControl } from '../connection-control.ts';
import type { ConnectionContext } from '../context.ts';

const sessionRefusals = {
  sessions: 'user: has as many sessions as the hub allows; end one of them',
  sessions_total: 'the hub has the maximum number of sessions; try again later',
} as const;

/** Time over which reconnects are spread if tokens could not be judged. */
const RETRY_SPREAD_MS = 3_000;

export class AwaitingHello {
  readonly name = 'greeting';
  readonly #context: ConnectionContext;
  readonly #connection: ConnectionControl;
  readonly #endsAt: number;
  #isVerifying = false;

  constructor(context: ConnectionContext, connection: ConnectionControl, monoMs: number) {
    this.#context = context;
    this.#connection = connection;
    this.#endsAt = monoMs + HELLO_WITHIN_MS;
  }

  tick(monoMs: number): number {
    if (monoMs < this.#endsAt) return this.#endsAt;
    this.#connection.reject(this.#isVerifying ? 'keys' : 'slow_sender', undefined);
    return DONE; // the end has its own deadline
  }

  handle(message: ClientMessage): undefined {
    if (message.type === 'hello') {
      this.#connection.good();
      this.#hello(message);
    } else {
      this.rejectBeforeHello(message.id);
    }
  }

  rejectBeforeHello(re: ClientMessage['id']): void {
    this.#connection.error('hello_first', 'type: the first message must be hello', re);
  }

  #hello(hello: Hello): void {
    const { authenticator } = this.#context;
    const { withoutToken } = authenticator;
    // A token could not add any rights to an admin's.
    const needsNone = withoutToken !== null && (hello.token === undefined || mayAdmin(withoutToken));
    if (needsNone) {
      this.#accept(hello, withoutToken);
    } else if (hello.token === undefined) {
      this.#context.explainRefusal('missing', 'hello without a token: HUB_AUTH=jwt requires one');
      this.#connection.reject('unauthenticated', hello.id);
    } else {
      this.#isVerifying = true;
      this.#connection.hold();
      void authenticator.verify(hello.token, this.#connection.address).then((verdict) => {
        this.#verified(hello, verdict);
      });
    }
  }

  #verified(hello: Hello, verdict: Verdict): void {
    this.#isVerifying = false;
    if (!this.#connection.isOpen) return;
    if (verdict.ok) this.#accept(hello, verdict.identity);
    else if (verdict.kind === 'refused') this.#connection.reject('unauthenticated', hello.id);
    else this.#askToReconnect(hello, verdict);
    this.#connection.release();
  }

  /** Sends the time to reconnect, because the delays of a client grow with each attempt. */
  #askToReconnect(hello: Hello, { fault, retryInMs }: Undecided): void {
    this.#connection.send({ type: 'reconnect', afterMs: retryInMs + Math.floor(Math.random() * RETRY_SPREAD_MS) });
    this.#connection.reject(fault, hello.id);
  }

  #accept(hello: Hello, identity: Identity): void {
    try {
      this.#admit(hello, identity);
    } catch (error) {
      this.#context.onFault(error);
      this.#connection.error('internal', FAILED, hello.id);
      this.#connection.endSession('failed'); // the state of the hello is unknown after a fault
    }
  }

  #admit(hello: Hello, identity: Identity): void {
    const connection = this.#connection;
    if (hello.user !== undefined && !mayClaim(identity, hello.user)) {
      const sub = identity.user ?? 'no user';
      this.#context.explainRefusal('user', 'hello rejected: its user is not the sub of its token', {
        user: hello.user,
        sub,
      });
      connection.reject('forbidden', hello.id);
      return;
    }
    const observer = hello.observe === true ? (identity.user ?? hello.user ?? null) : null;
    if (observer !== null && !this.#context.observers.enter(observer)) {
      this.#context.onRefused('observers');
      connection.error(
        'too_many',
        'observe: the user has as many observers as the hub allows; close one of them',
        hello.id,
      );
      return;
    }
    const session = hello.observe === true ? null : this.#begin(hello);
    if (typeof session === 'string') {
      connection.error('too_many', sessionRefusals[session], hello.id);
      return;
    }
    connection.outbox.viewer = viewerOf(identity, hello.user);
    connection.welcomed({ identity, claimed: hello.user, session, observer });
    const settled = session === null ? undefined : this.#context.peers.settled(session.user.id);
    if (settled === undefined) this.#welcome(hello, session);
    else this.#welcomeAfter(settled, hello, session);
  }

  /** Until other hubs can know the session, its client is not told that it is online. */
  #welcomeAfter(settled: Promise<void>, hello: Hello, session: Session | null): void {
    this.#connection.hold();
    void settled.then(() => {
      if (this.#connection.isOpen) this.#welcome(hello, session);
      this.#connection.release();
    });
  }

  #welcome({ id, user, self }: Hello, session: Session | null): void {
    const { fanout, heartbeatMs, timeoutMs, node, idOf, nameObserver } = this.#context;
    const connection = this.#connection;
    connection.send({
      type: 'welcome',
      re: id,
      session: session === null ? nameObserver() : idOf(session),
      user,
      heartbeatMs,
      timeoutMs,
      node,
      protocol: PROTOCOL_VERSION,
    });
    connection.sentWelcome();
    this.#context.onWelcomed(connection.outbox);
    if (self === true && user !== undefined) fanout.watchSelf(connection.outbox, user);
  }

  /** @returns a refusal if there are too many sessions. */
  #begin(hello: Extract<Hello, { user: string; observe?: false | undefined }>): Session | SessionRefusal {
    const status = hello.status ?? 'online';
    return this.#context.intake.begin({
      user: hello.user,
      device: hello.device ?? 'web',
      adapter: 'ws-json',
      status,
      code: this.#context.codeOf(status),
      text: hello.text,
      leaseMs: this.#context.timeoutMs,
      address: this.#connection.address,
      owner: this.#connection,
    });
  }
}
