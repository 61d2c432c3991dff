/**
 * A connection from its welcome to its end: a user who is present, or an observer. Reports heartbeats to intake, passes
 * watches on, renews tokens; ends when its token runs out or it reads too slowly. What ends a presence's lease is the
 * core. Called by connection.ts with what came, and by the wheel through it.
 */
import type { ClientMessage, Hello, MessageId } from '../../../shared/client-messages.ts';
import type { Verdict } from '../../auth/authenticator.ts';
import { viewerOf, type Identity } from '../../auth/identity.ts';
import { DONE } from '../../lib/timing-wheel.ts';
import type { IdsInText } from '../../lib/ids-in-text.ts';
import type { Loss } from '../../presence/presence.ts';
import type { Session } from '../../presence/session.ts';
import { FAILED, refusals, type Line } from './line.ts';
import { mergeWords, type Words } from './pace.ts';
import { TokenRenewal } from './token-renewal.ts';
import { tail, tailAs } from './tailing.ts';
import { lookAs, unwatch, watch, watchListed } from './watching.ts';
import type { ConnectionContext } from './ws-json.ts';

type Heartbeat = Extract<ClientMessage, { type: 'heartbeat' }>;
type FreshToken = Extract<ClientMessage, { type: 'token' }>;

/** Who was welcomed. */
interface Client {
  readonly identity: Identity;
  /** The user that the hello named. */
  readonly claimed: string | undefined;
  /** Null for an observer. */
  readonly session: Session | null;
  /** The user that an observer is counted for; null for none. */
  readonly observer: string | null;
}

/** What most heartbeats say. One object for all of them, with the fields of any other, so that none is made for each. */
const NOTHING_SAID = { status: undefined, code: undefined, text: undefined };

export class Welcomed {
  readonly name = 'welcomed';
  readonly #hub: ConnectionContext;
  readonly #line: Line;
  readonly #claimed: string | undefined;
  readonly #session: Session | null;
  #observer: string | null;
  #identity: Identity;
  /** An observer's own; a presence has it in its session. */
  #observerSignAt: number;
  #words: Words | null = null;
  #renewal: TokenRenewal | null = null;
  #looksAt: number;
  #staysAfterwards = false;

  constructor(hub: ConnectionContext, line: Line, { identity, claimed, session, observer }: Client, monoMs: number) {
    this.#hub = hub;
    this.#line = line;
    this.#identity = identity;
    this.#claimed = claimed;
    this.#session = session;
    this.#observer = observer;
    this.#observerSignAt = monoMs;
    this.#looksAt = identity.expiresAtMs === null ? monoMs + hub.heartbeatMs : monoMs;
    line.lookAt(this.#looksAt);
  }

  /** A message within the rate. */
  hear(message: ClientMessage): void {
    const line = this.#line;
    if (message.type === 'hello') {
      line.bad('type: hello was said already', message.id);
      return;
    }
    if (this.#session === null && message.type === 'heartbeat' && saysSomething(message)) {
      const field = message.status === undefined ? 'text' : 'status';
      line.bad(`${field}: must be left out: an observer has no presence`, message.id);
      return;
    }
    line.good();
    try {
      if (this.#words !== null) this.#settle();
      this.#answer(message);
    } catch (error) {
      this.#failed(error, message.id);
    }
  }

  /** A plain watch within the rate. @returns false, and nothing done, where it is to be heard as any message. */
  hearPlainWatch(list: IdsInText): boolean {
    try {
      if (this.#words !== null) this.#settle();
      if (!watchListed(this.#hub, this.#line, this.#identity, list)) return false;
      this.renew();
      this.#line.good();
    } catch (error) {
      this.#failed(error, undefined);
    }
    return true;
  }

  /** A message over the rate. @returns false where it can be neither merged nor honoured: it is to be refused. */
  bend(message: ClientMessage): boolean {
    if (message.type === 'bye') {
      this.hear(message);
      return true;
    }
    if (message.type !== 'heartbeat' || (this.#session === null && saysSomething(message))) return false;
    this.#heartbeat(NOTHING_SAID);
    this.#words = mergeWords(this.#words, message, this.#hub.lookedAt);
    if (this.#words !== null) this.#lookBy(this.#words.dueAt);
    this.#line.ok(message.id);
    return true;
  }

  /** A sign of life that says nothing. */
  renew(): void {
    if (this.#session === null) this.#observerSignAt = this.#hub.clock.now().monoMs;
    else this.#hub.intake.alive(this.#session);
  }

  /** The wheel came by. @returns when to look again, monotonic milliseconds, or `DONE` where the end has its own date. */
  look(monoMs: number): number {
    const { timeoutMs, heartbeatMs, slowMs, onRefused } = this.#hub;
    if (this.#words !== null && monoMs >= this.#words.dueAt) this.#settle();
    const lastSignAt = this.#session?.lastSignAt ?? this.#observerSignAt;
    const lapsesAt = this.#session === null ? lastSignAt + timeoutMs : Infinity;
    const expiresAt = this.#expiresAt(monoMs);
    const { behindSinceAt } = this.#line.outbox;
    const isSlowAt = behindSinceAt === null ? Infinity : behindSinceAt + slowMs;
    if (monoMs >= expiresAt) this.#line.refuse('unauthenticated', undefined);
    else if (monoMs >= lapsesAt) this.#line.end('timedOut');
    else if (monoMs >= isSlowAt) {
      onRefused('slow_reader');
      this.#line.end('overloaded');
    }
    if (!this.#line.isOpen) return DONE;
    const isSilent = monoMs >= lastSignAt + heartbeatMs;
    if (isSilent) this.#line.ping();
    const pingsAt = (isSilent ? monoMs : lastSignAt) + heartbeatMs;
    this.#looksAt = Math.min(pingsAt, lapsesAt, expiresAt, isSlowAt, this.#words?.dueAt ?? Infinity);
    return this.#looksAt;
  }

  /** The wall clock no longer is where it was by the forward one: when the token runs out has another date. */
  clockStepped(monoMs: number): void {
    if (this.#identity.expiresAtMs !== null) this.#lookBy(monoMs);
  }

  /** However the connection ends from now on, its session stays. */
  stayAfterwards(): void {
    this.#staysAfterwards = true;
  }

  /** The connection is over: its session gets the grace of an unclean end, unless it is to stay or is over already. */
  depart(cause: Loss = 'lost'): void {
    this.rest();
    if (this.#session?.phase === 'live' && !this.#staysAfterwards) this.#hub.intake.lose(this.#session, cause);
  }

  /** The connection is over, whatever becomes of its session: what was said last must not be lost. */
  rest(): void {
    this.#renewal?.stop();
    this.#settle();
    if (this.#observer !== null) this.#hub.observers.leave(this.#observer);
    this.#observer = null;
  }

  #answer(message: Exclude<ClientMessage, Hello>): void {
    switch (message.type) {
      case 'heartbeat':
        this.#heartbeat(message);
        this.#line.ok(message.id);
        return;
      case 'watch':
        this.renew();
        watch(this.#hub, this.#line, this.#identity, message);
        return;
      case 'unwatch':
        this.renew();
        unwatch(this.#hub, this.#line, message);
        return;
      case 'token':
        this.renew();
        this.#token(message);
        return;
      case 'tail':
        this.renew();
        tail(this.#hub, this.#line, this.#identity, message);
        return;
      case 'untail':
        this.renew();
        this.#hub.tails.end(this.#line.outbox);
        this.#line.ok(message.id);
        return;
      case 'bye':
        if (this.#session !== null) this.#hub.intake.leave(this.#session);
        this.#line.close('normal');
        return;
      default:
        message satisfies never;
    }
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

  /** Applies what was said over the rate. */
  #settle(): void {
    const words = this.#words;
    this.#words = null;
    if (words !== null && this.#session?.phase === 'live') this.#heartbeat(words);
  }

  #token(fresh: FreshToken): void {
    const { authenticator, onRefused } = this.#hub;
    if (authenticator.withoutToken !== null) {
      this.#line.ok(fresh.id); // open mode asks for none, so any will do
      return;
    }
    this.#renewal ??= new TokenRenewal({
      authenticator,
      onVerdict: (verdict, id) => {
        if (!this.#line.isOpen) return;
        try {
          this.#verified(verdict, id);
        } catch (error) {
          this.#failed(error, id);
        }
      },
      onReplaced: (id) => {
        onRefused('messages');
        if (id !== undefined) this.#line.error('rate_limited', 'token: a later one came before this was checked', id);
      },
    });
    this.#renewal.check(fresh);
  }

  #failed(error: unknown, id: MessageId | undefined): void {
    this.#hub.onFault(error);
    this.#line.error('internal', FAILED, id);
  }

  #verified(verdict: Verdict, id: FreshToken['id']): void {
    const line = this.#line;
    if (!verdict.ok) {
      const reason = verdict.kind === 'refused' ? 'unauthenticated' : 'unavailable';
      this.#hub.onRefused(reason);
      line.error(refusals[reason].code, refusals[reason].message, id);
    } else if (verdict.identity.user !== this.#identity.user) {
      this.#hub.onRefused('forbidden');
      line.error('forbidden', 'token: must be of the same user as before', id);
    } else {
      this.#become(verdict.identity);
      line.ok(id);
    }
  }

  #become(identity: Identity): void {
    lookAs(this.#hub, this.#line, identity, viewerOf(identity, this.#claimed));
    tailAs(this.#hub, this.#line, identity);
    this.#identity = identity;
    this.#lookBy(this.#hub.lookedAt);
  }

  /** When the token runs out, by the forward clock. */
  #expiresAt(monoMs: number): number {
    const { expiresAtMs } = this.#identity;
    return expiresAtMs === null ? Infinity : monoMs + expiresAtMs - this.#hub.clock.now().wallMs;
  }

  #lookBy(monoMs: number): void {
    if (monoMs >= this.#looksAt) return;
    this.#looksAt = monoMs;
    this.#line.lookAt(monoMs);
  }
}

function saysSomething({ status, text }: Heartbeat): boolean {
  return (status ?? text) !== undefined;
}
