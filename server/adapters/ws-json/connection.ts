/**
 * One WebSocket connection: takes messages from the engine at the rate that its inflow allows, parses them, passes them
 * to the current phase (awaiting-hello.ts, then established.ts), answers, and ends. Its timing comes from `tick`. Knows
 * no other connection.
 */
import { parseClientMessage, type MessageId, type ParsedMessage } from '../../../shared/messages/client-messages.ts';
import { closeCodes, type CloseReason, type ErrorCode } from '../../../shared/reasons.ts';
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { BYE_CLOSE_WITHIN_MS, MAX_BAD_MESSAGES_IN_A_ROW } from '../../../shared/limits.ts';
import type { Outbox, OutboxOwner } from '../../fanout/delivery/outbox.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/time/timing-wheel.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { AwaitingHello } from './phases/awaiting-hello.ts';
import { Inflow, type InflowOwner } from './inflow.ts';
import { BINARY, OVERSIZE, type Incoming } from './lane.ts';
import { refusals, type Client, type ConnectionControl, type Refusal } from './connection-control.ts';
import { readPlainWatch } from './messages/read-watch.ts';
import { Established } from './phases/established.ts';
import type { ConnectionContext } from './context.ts';
import type { PenaltyBox } from './penalty-box.ts';

/** Adds what the connection itself needs of the adapter. */
export interface ConnectionHost extends ConnectionContext {
  readonly penaltyBox: PenaltyBox;
  /** Schedules the next tick of the connection at that monotonic time, replacing any other. */
  scheduleTick(connection: Connection, monoMs: number): void;
  /** Removes a closed connection. */
  gone(connection: Connection): void;
}

/** `closing`: the hub has sent its last message. */
type Phase = AwaitingHello | Established | { readonly name: 'closing'; readonly since: number };

const binaryMessage: ParsedMessage = {
  ok: false,
  code: 'bad_message',
  problem: 'the message must be text, not binary',
  re: undefined,
  type: undefined,
};

export class Connection implements SocketEvents, InflowOwner, ConnectionControl, OutboxOwner, Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  readonly outbox: Outbox;
  readonly #context: ConnectionHost;
  readonly #socket: Socket;
  readonly #inflow: Inflow;
  #phase: Phase;
  #hasWelcome = false;
  /** Monotonic time when the phase needs a tick. */
  #phaseDueAt = 0;
  #badInARow = 0;

  constructor(context: ConnectionHost, socket: Socket, outbox: Outbox, monoMs: number) {
    this.outbox = outbox;
    this.#context = context;
    this.#socket = socket;
    this.#inflow = new Inflow(context, socket, this, context.penaltyBox.untilOf(socket.remoteAddress));
    this.#phase = new AwaitingHello(context, this, monoMs);
    outbox.owner = this;
  }

  // Events from the engine.

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
    // No lease expires while messages wait, and a flood of pongs must cost little.
    if (this.#phase.name === 'welcomed' && !this.#inflow.isWaiting) this.#phase.renew();
    this.#inflow.count();
  }

  frame(): void {
    if (this.isOpen) this.#inflow.count();
  }

  drained(): void {
    this.#context.fanout.drained(this.outbox);
  }

  /** Waiting messages are dropped, even a `bye`: the grace of an unclean end begins now. */
  closed(): void {
    this.#inflow.stop();
    if (this.#phase.name === 'welcomed') {
      this.#phase.release();
      this.#phase.settle();
    }
    this.#context.fanout.close(this.outbox);
    this.#context.tails.end(this.outbox);
    this.#phase = { name: 'closing', since: 0 };
    this.#context.gone(this);
  }

  // Events from the hub.

  overflowed(): void {
    if (!this.isOpen) return;
    this.#context.onRefused('slow_reader');
    this.endSession('slowReader');
  }

  /** The lease of the connection's session expired. */
  lapsed(): void {
    this.endSession('timedOut');
  }

  /** An admin ended the connection's session. */
  kicked(): void {
    this.error('forbidden', 'session: an admin ended it', undefined);
    this.endSession('forbidden');
  }

  /** @returns the time of the next tick in monotonic milliseconds, or `DONE`. */
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

  ping(): void {
    if (this.isOpen) this.#socket.ping();
  }

  /**
   * Asks the client to reconnect after that time, because the hub is about to stop. However the connection ends now,
   * its session stays.
   */
  drain(afterMs: number): void {
    if (!this.isOpen) return;
    this.send({ type: 'reconnect', afterMs });
    if (this.#phase.name === 'welcomed') this.#phase.keepSession();
    else this.close('restarting'); // a hello would begin a session that is about to end
  }

  /** Closes the connection because the hub stops. Its session stays as it is, so that the next run can restore it. */
  shutDown(): void {
    this.close('restarting');
  }

  // Messages from the client.

  handle(message: Incoming): void {
    const phase = this.#phase;
    if (phase.name === 'closing') return;
    if (message === OVERSIZE) {
      this.error('bad_message', 'the message must be at most 16 KiB', undefined);
      this.endSession('tooLarge');
      return;
    }
    const parsed = message === BINARY ? binaryMessage : (readPlainWatch(message) ?? parseClientMessage(message));
    if (parsed.ok) this.#waitFor(phase.handle(parsed.message));
    else if (phase.name === 'greeting' && parsed.type !== undefined && parsed.type !== 'hello')
      phase.rejectBeforeHello(parsed.re);
    else if (parsed.code === 'unknown_type') this.error('unknown_type', parsed.problem, parsed.re);
    else this.bad(parsed.problem, parsed.re);
  }

  /**
   * Holds later messages until one that takes several turns of the loop is answered, so that answers keep their order.
   */
  #waitFor(answered: Promise<void> | undefined): void {
    if (answered === undefined) return;
    this.#inflow.hold();
    void answered.then(() => {
      this.#inflow.release();
    });
  }

  /** Heartbeats keep their order among each other, but need no answer to a watch or a token. */
  mayPass(message: Incoming): boolean {
    if (!this.isWelcomed || typeof message !== 'string') return false;
    const parsed = parseClientMessage(message);
    return parsed.ok && (parsed.message.type === 'heartbeat' || parsed.message.type === 'bye');
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

  // Answers.

  get address(): string {
    return this.#socket.remoteAddress;
  }

  get isOpen(): boolean {
    return this.#phase.name !== 'closing';
  }

  get isWelcomed(): boolean {
    return this.#hasWelcome && this.#phase.name === 'welcomed';
  }

  get isWaiting(): boolean {
    return this.#inflow.isWaiting;
  }

  welcomed(client: Client): void {
    this.#phase = new Established(this.#context, this, client, this.#context.clock.now().monoMs);
  }

  sentWelcome(): void {
    this.#hasWelcome = true;
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
    this.#context.scheduleTick(this, Math.min(monoMs, this.#phaseDueAt));
  }

  // The end.

  reject(reason: Refusal, re: MessageId | undefined, mustCut = false): void {
    if (!this.isOpen) return;
    const { reason: countedAs, code, message, close } = refusals[reason];
    this.#context.onRefused(countedAs);
    this.error(code, message, re);
    this.endSession(close, mustCut);
  }

  endSession(reason: CloseReason, mustCut = false): void {
    if (this.#phase.name === 'welcomed') this.#phase.release(reason === 'unauthenticated' ? 'token_ran_out' : 'closed');
    this.close(reason, mustCut);
  }

  /** `mustCut`: without a close handshake, because uWebSockets.js would go on reading for 4 s during one. */
  close(reason: CloseReason, mustCut = false): void {
    if (this.#phase.name === 'closing') return;
    if (this.#phase.name === 'welcomed') this.#phase.settle();
    this.#inflow.stop();
    this.#context.fanout.close(this.outbox);
    this.#context.tails.end(this.outbox);
    const { monoMs } = this.#context.clock.now();
    this.#phase = { name: 'closing', since: monoMs };
    this.#context.scheduleTick(this, monoMs + BYE_CLOSE_WITHIN_MS);
    if (reason === 'rateLimited') this.#context.penaltyBox.add(this.address, monoMs);
    const { code, meaning } = closeCodes[reason];
    if (mustCut) this.#socket.terminate();
    else this.#socket.close(code, meaning);
  }
}
