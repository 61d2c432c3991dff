/**
 * One WebSocket connection of the contract: from `hello` to the end. Reads messages, reports to intake, passes watches
 * on, answers. Its state is one of four phases. It is told of its time (hello due, ping due, lease over) by the
 * adapter's wheel; the lease of a presence is the core's. Does not know who else is connected.
 */
import {
  parseClientMessage,
  type ClientMessage,
  type Hello,
  type MessageId,
  type Unwatch,
  type Watch,
} from '../../../shared/client-messages.ts';
import { closeCodes, type CloseReason, type ErrorCode } from '../../../shared/codes.ts';
import type { HubMessage } from '../../../shared/hub-messages.ts';
import {
  BYE_CLOSE_WITHIN_MS,
  HELLO_WITHIN_MS,
  MAX_BAD_MESSAGES_IN_A_ROW,
  PROTOCOL_VERSION,
} from '../../../shared/limits.ts';
import type { Outbox } from '../../fanout/outbox.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import type { ConnectionContext } from './ws-json.ts';

/** `greeting`: no hello yet. `closing`: the hub has said its last word. */
type Phase =
  | { readonly name: 'greeting'; readonly since: number }
  | { readonly name: 'present'; readonly session: Session }
  | { readonly name: 'observing'; lastSignAt: number }
  | { readonly name: 'closing'; readonly since: number };

export class Connection implements SocketEvents, SessionOwner, Timed {
  wheelTick = NOT_SCHEDULED;
  readonly #hub: ConnectionContext;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #id: string;
  #phase: Phase;
  #badInARow = 0;
  #isDraining = false;

  constructor(hub: ConnectionContext, socket: Socket, outbox: Outbox, id: string, monoMs: number) {
    this.#hub = hub;
    this.#socket = socket;
    this.#outbox = outbox;
    this.#id = id;
    this.#phase = { name: 'greeting', since: monoMs };
  }

  // What the engine tells.

  message(json: string): void {
    if (this.#phase.name === 'closing') return;
    const parsed = parseClientMessage(json);
    if (!parsed.ok) {
      const isEarly = this.#phase.name === 'greeting' && parsed.type !== undefined && parsed.type !== 'hello';
      if (isEarly) this.#sayHelloFirst(parsed.re);
      else if (parsed.code === 'unknown_type') this.#error('unknown_type', parsed.problem, parsed.re);
      else this.#bad(parsed.problem, parsed.re);
      return;
    }
    this.#apply(parsed.message);
  }

  binary(): void {
    if (this.#phase.name !== 'closing') this.#bad('the message must be text, not binary', undefined);
  }

  oversize(): void {
    if (this.#phase.name === 'closing') return;
    this.#error('bad_message', 'the message must be at most 16 KiB', undefined);
    this.#end('tooLarge');
  }

  pong(): void {
    this.#renew();
  }

  drained(): void {
    this.#hub.fanout.drained(this.#outbox);
  }

  closed(): void {
    this.#depart();
    this.#hub.fanout.close(this.#outbox);
    this.#phase = { name: 'closing', since: 0 };
    this.#hub.gone(this);
  }

  // What the hub tells.

  /** The core ended our session: its lease ran out. */
  lapsed(): void {
    this.#end('timedOut');
  }

  /** The wheel came by. @returns when to look again, monotonic milliseconds, or `DONE`. */
  look(monoMs: number): number {
    const { timeoutMs } = this.#hub;
    switch (this.#phase.name) {
      case 'greeting':
        if (monoMs < this.#phase.since + HELLO_WITHIN_MS) return this.#phase.since + HELLO_WITHIN_MS;
        this.#error('hello_first', `hello: must come within ${HELLO_WITHIN_MS} ms`, undefined);
        this.#end('timedOut');
        return DONE; // the end has its own date
      case 'present':
        return this.#pingIfSilent(this.#phase.session.lastSignAt, monoMs);
      case 'observing':
        if (monoMs < this.#phase.lastSignAt + timeoutMs) {
          return Math.min(this.#pingIfSilent(this.#phase.lastSignAt, monoMs), this.#phase.lastSignAt + timeoutMs);
        }
        this.#end('timedOut');
        return DONE;
      case 'closing':
        if (monoMs < this.#phase.since + BYE_CLOSE_WITHIN_MS) return this.#phase.since + BYE_CLOSE_WITHIN_MS;
        this.#socket.terminate();
        return DONE;
      default:
        return this.#phase satisfies never;
    }
  }

  /** A word to all who were welcomed. */
  tell(message: HubMessage): void {
    if (this.#phase.name === 'present' || this.#phase.name === 'observing') this.#send(message);
  }

  /** Are you there? */
  ping(): void {
    if (this.#phase.name !== 'closing') this.#socket.ping();
  }

  /** The hub is about to go down: come back after that long. However the connection ends now, its session stays. */
  drain(afterMs: number): void {
    if (this.#phase.name === 'closing') return;
    this.#isDraining = true;
    this.#send({ type: 'reconnect', afterMs });
  }

  /** The hub goes down: the connection ends, and its session stays as it is, for the next run to restore. */
  shutDown(): void {
    if (this.#phase.name !== 'closing') this.#close('restarting');
  }

  #pingIfSilent(lastSignAt: number, monoMs: number): number {
    const { heartbeatMs } = this.#hub;
    if (monoMs < lastSignAt + heartbeatMs) return lastSignAt + heartbeatMs;
    this.#socket.ping();
    return monoMs + heartbeatMs;
  }

  // What the client says.

  #apply(message: ClientMessage): void {
    if (this.#phase.name === 'greeting') {
      if (message.type === 'hello') this.#hello(message);
      else this.#sayHelloFirst(message.id);
      return;
    }
    if (message.type === 'hello') {
      this.#bad('type: hello was said already', message.id);
      return;
    }
    const { name } = this.#phase;
    if (name === 'observing' && message.type === 'heartbeat' && (message.status ?? message.text) !== undefined) {
      const field = message.status === undefined ? 'text' : 'status';
      this.#bad(`${field}: must be left out: an observer has no presence`, message.id);
      return;
    }
    this.#badInARow = 0;
    try {
      this.#answer(message);
    } catch (error) {
      this.#hub.onFault(error);
      this.#error('internal', 'the hub failed; it is not the message’s fault, try again', message.id);
    }
  }

  #answer(message: Exclude<ClientMessage, Hello>): void {
    switch (message.type) {
      case 'heartbeat':
        this.#heartbeat(message.status, message.text);
        this.#ok(message.id);
        return;
      case 'watch':
        this.#renew();
        this.#watch(message);
        return;
      case 'unwatch':
        this.#renew();
        this.#unwatch(message);
        return;
      case 'token': // open mode asks for none, so any will do
        this.#renew();
        this.#ok(message.id);
        return;
      case 'bye':
        if (this.#phase.name === 'present') this.#hub.intake.leave(this.#phase.session);
        this.#close('normal');
        return;
      default:
        message satisfies never;
    }
  }

  #hello(hello: Hello): void {
    this.#badInARow = 0;
    const { heartbeatMs, timeoutMs, node } = this.#hub;
    const { monoMs } = this.#hub.clock.now();
    if (hello.observe === true) {
      this.#phase = { name: 'observing', lastSignAt: monoMs };
    } else {
      const status = hello.status ?? 'online';
      const session = this.#hub.intake.begin({
        user: hello.user,
        device: hello.device ?? 'web',
        adapter: 'ws-json',
        status,
        code: this.#hub.codeOf(status),
        text: hello.text,
        leaseMs: timeoutMs,
        address: this.#socket.remoteAddress,
        owner: this,
      });
      if (session === undefined) {
        this.#error('too_many', 'user: has as many sessions as the hub allows; end one of them', hello.id);
        return;
      }
      this.#phase = { name: 'present', session };
    }
    this.#hub.lookAt(this, monoMs + heartbeatMs);
    this.#send({
      type: 'welcome',
      re: hello.id,
      session: this.#id,
      user: hello.user,
      heartbeatMs,
      timeoutMs,
      node,
      protocol: PROTOCOL_VERSION,
    });
    const staleSince = this.#hub.staleSince();
    if (staleSince !== null) this.#send({ type: 'stale', since: staleSince });
    if (hello.self === true && hello.user !== undefined) this.#hub.fanout.watchSelf(this.#outbox, hello.user);
  }

  #heartbeat(status: Session['status'] | undefined, text: string | undefined): void {
    if (this.#phase.name === 'present') {
      const code = status === undefined ? undefined : this.#hub.codeOf(status);
      this.#hub.intake.beat(this.#phase.session, { status, code, text });
    } else {
      this.#renew();
    }
  }

  #watch(watch: Watch): void {
    const { fanout } = this.#hub;
    if ('friendsOf' in watch) fanout.watchFriends(this.#outbox, watch.friendsOf, watch.since, watch.id);
    else fanout.watchUsers(this.#outbox, watch.users, watch.since, watch.id);
  }

  #unwatch(unwatch: Unwatch): void {
    const { fanout } = this.#hub;
    if ('friendsOf' in unwatch) fanout.unwatchFriends(this.#outbox, unwatch.friendsOf, unwatch.id);
    else fanout.unwatchUsers(this.#outbox, unwatch.users, unwatch.id);
  }

  #renew(): void {
    if (this.#phase.name === 'present') this.#hub.intake.alive(this.#phase.session);
    else if (this.#phase.name === 'observing') this.#phase.lastSignAt = this.#hub.clock.now().monoMs;
  }

  // What is answered.

  #send(message: HubMessage): void {
    this.#outbox.send(JSON.stringify(message));
  }

  #ok(id: MessageId | undefined): void {
    if (id !== undefined) this.#send({ type: 'ok', re: id });
  }

  #error(code: ErrorCode, message: string, re: MessageId | undefined): void {
    this.#send({ type: 'error', re, code, message });
  }

  #sayHelloFirst(re: MessageId | undefined): void {
    this.#error('hello_first', 'type: must be hello before anything else', re);
  }

  #bad(problem: string, re: MessageId | undefined): void {
    this.#error('bad_message', problem, re);
    if (++this.#badInARow >= MAX_BAD_MESSAGES_IN_A_ROW) this.#end('badMessages');
  }

  // The end.

  /** Ends the connection from our side; a session that is still there gets the grace of an unclean end. */
  #end(reason: CloseReason): void {
    if (this.#phase.name === 'closing') return;
    this.#depart();
    this.#close(reason);
  }

  #depart(): void {
    if (this.#phase.name === 'present' && this.#phase.session.phase === 'live' && !this.#isDraining) {
      this.#hub.intake.lose(this.#phase.session);
    }
  }

  #close(reason: CloseReason): void {
    this.#hub.fanout.close(this.#outbox);
    const { monoMs } = this.#hub.clock.now();
    this.#phase = { name: 'closing', since: monoMs };
    this.#hub.lookAt(this, monoMs + BYE_CLOSE_WITHIN_MS);
    const { code, meaning } = closeCodes[reason];
    this.#socket.close(code, meaning);
  }
}
