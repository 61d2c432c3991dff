/**
 * One WebSocket connection of the contract: takes what the engine brings, counts it against the rate, reads it and gives it
 * to the phase that the connection is in (greeting.ts, then welcomed.ts); answers, and ends. It is told of its time by the
 * adapter's wheel. Does not know who else is connected.
 */
import { parseClientMessage, type MessageId, type ParsedMessage } from '../../../shared/client-messages.ts';
import { closeCodes, type CloseReason, type ErrorCode } from '../../../shared/codes.ts';
import type { HubMessage } from '../../../shared/hub-messages.ts';
import { BYE_CLOSE_WITHIN_MS, MAX_BAD_MESSAGES_IN_A_ROW } from '../../../shared/limits.ts';
import type { Outbox, OutboxOwner } from '../../fanout/outbox.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Level } from '../../lib/token-bucket.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { Greeting } from './greeting.ts';
import { refusals, type Line, type Refusal } from './line.ts';
import { Pace } from './pace.ts';
import { plainWatchIn } from './plain-watch.ts';
import type { Welcomed } from './welcomed.ts';
import type { ConnectionContext } from './ws-json.ts';

/** `closing`: the hub has said its last word. */
type Phase = Greeting | Welcomed | { readonly name: 'closing'; readonly since: number };

const binaryMessage: ParsedMessage = {
  ok: false,
  code: 'bad_message',
  problem: 'the message must be text, not binary',
  re: undefined,
  type: undefined,
};

export class Connection implements SocketEvents, Line, OutboxOwner, Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  readonly outbox: Outbox;
  readonly #hub: ConnectionContext;
  readonly #socket: Socket;
  readonly #pace: Pace;
  #phase: Phase;
  #badInARow = 0;

  constructor(hub: ConnectionContext, socket: Socket, outbox: Outbox, monoMs: number) {
    this.outbox = outbox;
    this.#hub = hub;
    this.#socket = socket;
    this.#pace = new Pace(hub.messages, hub.lookedAt, hub.suspects.untilOf(socket.remoteAddress));
    this.#phase = new Greeting(hub, this, monoMs);
    outbox.owner = this;
  }

  // What the engine tells.

  message(json: string): void {
    this.#take(json);
  }

  binary(): void {
    this.#take(null);
  }

  oversize(): void {
    if (!this.isOpen) return;
    this.error('bad_message', 'the message must be at most 16 KiB', undefined);
    this.end('tooLarge');
  }

  pong(): void {
    if (!this.isOpen) return;
    if (this.#pace.count(this.#hub.messages, this.#hub.lookedAt, 0) === 'exhausted') this.refuse('messages', undefined);
    else if (this.#phase.name === 'welcomed') this.#phase.renew();
  }

  drained(): void {
    this.#hub.fanout.drained(this.outbox);
  }

  closed(): void {
    if (this.#phase.name === 'welcomed') this.#phase.depart();
    this.#hub.fanout.close(this.outbox);
    this.#hub.tails.end(this.outbox);
    this.#phase = { name: 'closing', since: 0 };
    this.#hub.gone(this);
  }

  // What the hub tells.

  overflowed(): void {
    if (!this.isOpen) return;
    this.#hub.onRefused('slow_reader');
    this.end('overloaded');
  }

  /** The core ended our session: its lease ran out. */
  lapsed(): void {
    this.end('timedOut');
  }

  /** An admin ended our session. */
  kicked(): void {
    this.error('forbidden', 'session: an admin ended it', undefined);
    this.end('forbidden');
  }

  /** The wheel came by. @returns when to look again, monotonic milliseconds, or `DONE`. */
  look(monoMs: number): number {
    if (this.#phase.name !== 'closing') return this.#phase.look(monoMs);
    if (monoMs < this.#phase.since + BYE_CLOSE_WITHIN_MS) return this.#phase.since + BYE_CLOSE_WITHIN_MS;
    this.#socket.terminate();
    return DONE;
  }

  clockStepped(monoMs: number): void {
    if (this.#phase.name === 'welcomed') this.#phase.clockStepped(monoMs);
  }

  /** A word to all who were welcomed. */
  tell(message: HubMessage): void {
    if (this.#phase.name === 'welcomed') this.outbox.tell(JSON.stringify(message));
  }

  /** Are you there? */
  ping(): void {
    if (this.isOpen) this.#socket.ping();
  }

  /** The hub is about to go down: come back after that long. However the connection ends now, its session stays. */
  drain(afterMs: number): void {
    if (!this.isOpen) return;
    this.send({ type: 'reconnect', afterMs });
    if (this.#phase.name === 'welcomed') this.#phase.stayAfterwards();
    else this.close('restarting'); // a hello would begin what is about to end
  }

  /** The hub goes down: the connection ends, and its session stays as it is, for the next run to restore. */
  shutDown(): void {
    this.close('restarting');
  }

  // What the client says.

  #take(json: string | null): void {
    if (!this.isOpen) return;
    const level = this.#pace.count(this.#hub.messages, this.#hub.lookedAt, json?.length ?? 0);
    if (this.#phase.name === 'greeting' && this.#phase.isVerifying) {
      if (level === 'exhausted' || !this.#phase.keep(json, level)) this.refuse('messages', undefined);
    } else {
      this.hear(json, level);
    }
  }

  hear(json: string | null, level: Level): void {
    const phase = this.#phase;
    if (phase.name === 'closing') return;
    if (phase.name === 'greeting' && phase.isVerifying) {
      phase.keep(json, level); // it had room for all of them before
      return;
    }
    if (json !== null && level === 'within' && phase.name === 'welcomed') {
      const list = plainWatchIn(json);
      if (list !== undefined && phase.hearPlainWatch(list)) return;
    }
    const parsed = json === null ? binaryMessage : parseClientMessage(json);
    if (level !== 'within') this.#bend(phase, parsed, level);
    else if (parsed.ok) phase.hear(parsed.message);
    else if (phase.name === 'greeting' && parsed.type !== undefined && parsed.type !== 'hello')
      phase.sayHelloFirst(parsed.re);
    else if (parsed.code === 'unknown_type') this.error('unknown_type', parsed.problem, parsed.re);
    else this.bad(parsed.problem, parsed.re);
  }

  /** Over the rate: what can be merged is, what can't is refused, and at last the connection ends. */
  #bend(phase: Greeting | Welcomed, parsed: ParsedMessage, level: Level): void {
    const re = parsed.ok ? parsed.message.id : parsed.re;
    const isBye = phase.name === 'welcomed' && parsed.ok && parsed.message.type === 'bye';
    if (level === 'exhausted' && !isBye) {
      this.refuse('messages', re);
      return;
    }
    if (parsed.ok && phase.name === 'welcomed' && phase.bend(parsed.message)) return;
    this.#hub.onRefused('messages');
    if (re !== undefined || this.#pace.mayComplain(this.#hub.lookedAt)) {
      this.error('rate_limited', `more than ${this.#hub.messages.perS} messages a second: this one was not heard`, re);
    }
  }

  // What is answered.

  get address(): string {
    return this.#socket.remoteAddress;
  }

  get isOpen(): boolean {
    return this.#phase.name !== 'closing';
  }

  welcomed(client: Welcomed): void {
    this.#phase = client;
  }

  send(message: HubMessage): void {
    if (this.isOpen) this.outbox.send(JSON.stringify(message));
  }

  ok(id: MessageId | undefined): void {
    if (id !== undefined) this.send({ type: 'ok', re: id });
  }

  error(code: ErrorCode, message: string, re: MessageId | undefined): void {
    this.send({ type: 'error', re, code, message });
  }

  bad(problem: string, re: MessageId | undefined): void {
    this.error('bad_message', problem, re);
    if (++this.#badInARow >= MAX_BAD_MESSAGES_IN_A_ROW) this.end('badMessages');
  }

  good(): void {
    this.#badInARow = 0;
  }

  lookAt(monoMs: number): void {
    this.#hub.lookAt(this, monoMs);
  }

  // The end.

  refuse(reason: Refusal, re: MessageId | undefined): void {
    if (!this.isOpen) return;
    const { code, message, close } = refusals[reason];
    this.#hub.onRefused(reason);
    this.error(code, message, re);
    this.end(close);
  }

  end(reason: CloseReason): void {
    if (this.#phase.name === 'welcomed') this.#phase.depart(reason === 'unauthenticated' ? 'token_ran_out' : 'closed');
    this.close(reason);
  }

  close(reason: CloseReason): void {
    if (this.#phase.name === 'closing') return;
    if (this.#phase.name === 'welcomed') this.#phase.rest();
    this.#hub.fanout.close(this.outbox);
    this.#hub.tails.end(this.outbox);
    const { monoMs } = this.#hub.clock.now();
    this.#phase = { name: 'closing', since: monoMs };
    this.#hub.lookAt(this, monoMs + BYE_CLOSE_WITHIN_MS);
    if (reason === 'rateLimited') this.#hub.suspects.add(this.address, monoMs);
    const { code, meaning } = closeCodes[reason];
    this.#socket.close(code, meaning);
  }
}
