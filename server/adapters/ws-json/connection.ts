/**
 * One WebSocket connection of the contract: takes what the engine brings, at the pace of its inflow, reads it and gives it
 * to the phase that the connection is in (awaiting-hello.ts, then established.ts); answers, and ends. It is told of its time by the
 * adapter's wheel. Does not know who else is connected.
 */
import { parseClientMessage, type MessageId, type ParsedMessage } from '../../../shared/client-messages.ts';
import { closeCodes, type CloseReason, type ErrorCode } from '../../../shared/reasons.ts';
import type { HubMessage } from '../../../shared/hub-messages.ts';
import { BYE_CLOSE_WITHIN_MS, MAX_BAD_MESSAGES_IN_A_ROW } from '../../../shared/limits.ts';
import type { Outbox, OutboxOwner } from '../../fanout/outbox.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { AwaitingHello } from './awaiting-hello.ts';
import { Inflow, type Heard } from './inflow.ts';
import { BINARY, OVERSIZE, type Incoming } from './lane.ts';
import { refusals, type ConnectionControl, type Refusal } from './connection-control.ts';
import { plainWatchIn } from './read-watch.ts';
import type { Established } from './established.ts';
import type { ConnectionContext } from './ws-json.ts';

/** `closing`: the hub has said its last word. */
type Phase = AwaitingHello | Established | { readonly name: 'closing'; readonly since: number };

const binaryMessage: ParsedMessage = {
  ok: false,
  code: 'bad_message',
  problem: 'the message must be text, not binary',
  re: undefined,
  type: undefined,
};

export class Connection implements SocketEvents, Heard, ConnectionControl, OutboxOwner, Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  readonly outbox: Outbox;
  readonly #hub: ConnectionContext;
  readonly #socket: Socket;
  readonly #inflow: Inflow;
  #phase: Phase;
  /** When the phase wants to be looked at. */
  #phaseDueAt = 0;
  #badInARow = 0;

  constructor(hub: ConnectionContext, socket: Socket, outbox: Outbox, monoMs: number) {
    this.outbox = outbox;
    this.#hub = hub;
    this.#socket = socket;
    this.#inflow = new Inflow(hub, socket, this, hub.suspects.untilOf(socket.remoteAddress));
    this.#phase = new AwaitingHello(hub, this, monoMs);
    outbox.owner = this;
  }

  // What the engine tells.

  message(json: string): void {
    if (this.isOpen) this.#inflow.arrive(json);
  }

  binary(): void {
    if (this.isOpen) this.#inflow.arrive(BINARY);
  }

  oversize(): void {
    if (this.isOpen) this.#inflow.arrive(OVERSIZE);
  }

  pong(): void {
    if (!this.isOpen) return;
    // No lease runs out while something waits, and a flood of pongs must cost little.
    if (this.#phase.name === 'welcomed' && !this.#inflow.isWaiting) this.#phase.renew();
    this.#inflow.count();
  }

  frame(): void {
    if (this.isOpen) this.#inflow.count();
  }

  drained(): void {
    this.#hub.fanout.drained(this.outbox);
  }

  /** What still waits ends with it, a `bye` too: the grace of an unclean end begins now. */
  closed(): void {
    this.#inflow.stop();
    if (this.#phase.name === 'welcomed') {
      this.#phase.release();
      this.#phase.settle();
    }
    this.#hub.fanout.close(this.outbox);
    this.#hub.tails.end(this.outbox);
    this.#phase = { name: 'closing', since: 0 };
    this.#hub.gone(this);
  }

  // What the hub tells.

  overflowed(): void {
    if (!this.isOpen) return;
    this.#hub.onRefused('slow_reader');
    this.endSession('slowReader');
  }

  /** The core ended our session: its lease ran out. */
  lapsed(): void {
    this.endSession('timedOut');
  }

  /** An admin ended our session. */
  kicked(): void {
    this.error('forbidden', 'session: an admin ended it', undefined);
    this.endSession('forbidden');
  }

  /** The wheel came by. @returns when to look again, monotonic milliseconds, or `DONE`. */
  tick(monoMs: number): number {
    this.#inflow.tick(monoMs);
    if (this.#phase.name === 'closing') {
      if (monoMs < this.#phase.since + BYE_CLOSE_WITHIN_MS) return this.#phase.since + BYE_CLOSE_WITHIN_MS;
      this.#socket.terminate();
      return DONE;
    }
    if (monoMs >= this.#phaseDueAt) this.#phaseDueAt = this.#phase.tick(monoMs);
    return this.#phaseDueAt === DONE ? DONE : Math.min(this.#phaseDueAt, this.#inflow.dueAt);
  }

  clockStepped(monoMs: number): void {
    if (this.#phase.name === 'welcomed') this.#phase.clockStepped(monoMs);
  }

  /** Are you there? */
  ping(): void {
    if (this.isOpen) this.#socket.ping();
  }

  /** The hub is about to go down: come back after that long. However the connection ends now, its session stays. */
  drain(afterMs: number): void {
    if (!this.isOpen) return;
    this.send({ type: 'reconnect', afterMs });
    if (this.#phase.name === 'welcomed') this.#phase.keepSession();
    else this.close('restarting'); // a hello would begin what is about to end
  }

  /** The hub goes down: the connection ends, and its session stays as it is, for the next run to restore. */
  shutDown(): void {
    this.close('restarting');
  }

  // What the client says.

  handle(message: Incoming): void {
    const phase = this.#phase;
    if (phase.name === 'closing') return;
    if (message === OVERSIZE) {
      this.error('bad_message', 'the message must be at most 16 KiB', undefined);
      this.endSession('tooLarge');
      return;
    }
    if (message !== BINARY && phase.name === 'welcomed') {
      const list = plainWatchIn(message);
      if (list !== undefined && phase.hearPlainWatch(list)) return;
    }
    const parsed = message === BINARY ? binaryMessage : parseClientMessage(message);
    if (parsed.ok) this.#waitFor(phase.hear(parsed.message));
    else if (phase.name === 'greeting' && parsed.type !== undefined && parsed.type !== 'hello')
      phase.sayHelloFirst(parsed.re);
    else if (parsed.code === 'unknown_type') this.error('unknown_type', parsed.problem, parsed.re);
    else this.bad(parsed.problem, parsed.re);
  }

  /** Until a message is answered that takes several turns of the loop, later ones wait, so that answers come in order. */
  #waitFor(answered: Promise<void> | undefined): void {
    if (answered === undefined) return;
    this.#inflow.hold();
    void answered.then(() => {
      this.#inflow.release();
    });
  }

  flooded(mustCut: boolean): void {
    this.reject('messages', undefined, mustCut);
  }

  charge(units: number): void {
    this.#inflow.charge(units);
  }

  hold(): void {
    this.#inflow.hold();
  }

  release(): void {
    this.#inflow.release();
  }

  // What is answered.

  get address(): string {
    return this.#socket.remoteAddress;
  }

  get isOpen(): boolean {
    return this.#phase.name !== 'closing';
  }

  get isWelcomed(): boolean {
    return this.#phase.name === 'welcomed';
  }

  get isWaiting(): boolean {
    return this.#inflow.isWaiting;
  }

  welcomed(client: Established): void {
    this.#phase = client;
  }

  send(message: HubMessage): void {
    if (this.isOpen) this.outbox.reply(JSON.stringify(message));
  }

  ok(id: MessageId | undefined): void {
    if (id !== undefined) this.send({ type: 'ok', re: id });
  }

  error(code: ErrorCode, message: string, re: MessageId | undefined): void {
    this.send({ type: 'error', re, code, message });
  }

  bad(problem: string, re: MessageId | undefined): void {
    this.error('bad_message', problem, re);
    if (++this.#badInARow >= MAX_BAD_MESSAGES_IN_A_ROW) this.endSession('badMessages');
  }

  good(): void {
    this.#badInARow = 0;
  }

  wakeAt(monoMs: number): void {
    this.#phaseDueAt = monoMs;
    this.wakeBy(this.#inflow.dueAt);
  }

  wakeBy(monoMs: number): void {
    this.#hub.lookAt(this, Math.min(monoMs, this.#phaseDueAt));
  }

  // The end.

  reject(reason: Refusal, re: MessageId | undefined, mustCut = false): void {
    if (!this.isOpen) return;
    const { reason: countedAs, code, message, close } = refusals[reason];
    this.#hub.onRefused(countedAs);
    this.error(code, message, re);
    this.endSession(close, mustCut);
  }

  endSession(reason: CloseReason, mustCut = false): void {
    if (this.#phase.name === 'welcomed') this.#phase.release(reason === 'unauthenticated' ? 'token_ran_out' : 'closed');
    this.close(reason, mustCut);
  }

  /** `mustCut`: without a goodbye, after which uWebSockets.js would go on reading for 4 s. */
  close(reason: CloseReason, mustCut = false): void {
    if (this.#phase.name === 'closing') return;
    if (this.#phase.name === 'welcomed') this.#phase.settle();
    this.#inflow.stop();
    this.#hub.fanout.close(this.outbox);
    this.#hub.tails.end(this.outbox);
    const { monoMs } = this.#hub.clock.now();
    this.#phase = { name: 'closing', since: monoMs };
    this.#hub.lookAt(this, monoMs + BYE_CLOSE_WITHIN_MS);
    if (reason === 'rateLimited') this.#hub.suspects.add(this.address, monoMs);
    const { code, meaning } = closeCodes[reason];
    if (mustCut) this.#socket.terminate();
    else this.#socket.close(code, meaning);
  }
}
