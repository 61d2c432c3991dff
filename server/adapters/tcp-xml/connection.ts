/**
 * One legacy connection: applies heartbeats to its sessions, answers them, and ends. A bad frame is counted and skipped,
 * so that it harms no user of the connection. Knows no bytes: the reader turns them into heartbeats, the token gate
 * decides who may send one, and ConnectionSessions holds the sessions.
 */
import type { Socket } from 'node:net';
import type { Moment } from '../../lib/time/clock.ts';
import type { Opened } from './acceptance.ts';
import { Answers } from './answers.ts';
import { BadFrames } from './bad-frames.ts';
import { ConnectionSessions } from './connection-sessions.ts';
import type { FrameEncoding } from './frames/charset.ts';
import type { Heartbeat } from './frames/decode.ts';
import { TOKEN_COST } from './frames/frame-cost.ts';
import type { ConnectionHost, TcpXmlOptions } from './options.ts';
import { HeartbeatReader, type HeartbeatOutput, type RejectedFrame } from './pacing/heartbeat-reader.ts';
import { TokenGate, type TokenRefusal } from './token-gate.ts';
import type { SlotOwner } from './wheel-slot.ts';

/** How long after its end a connection may wait for a peer that does not read. */
const GONE_WITHIN_MS = 5_000;

type State =
  | { readonly kind: 'open' }
  /** The peer has ended the connection, but earlier frames still wait for a verdict. */
  | { readonly kind: 'ending' }
  | { readonly kind: 'over'; readonly destroyAt: number };

export class TcpConnection implements SlotOwner, HeartbeatOutput {
  readonly #context: TcpXmlOptions;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #reader: HeartbeatReader;
  readonly #sessions: ConnectionSessions;
  /** Null if no token is required. */
  readonly #gate: TokenGate | null;
  readonly #answers: Answers;
  readonly #badFrames: BadFrames;
  #state: State = { kind: 'open' };
  /** If no frame has been accepted by then, the connection ends. Null after that: it may be silent for any time. */
  #firstFrameBy: number | null;
  /** Time of the last good frame or of the last probe. */
  #quietSince: number;

  constructor(context: TcpXmlOptions, { socket, source, openedAt }: Opened, host: ConnectionHost) {
    this.#context = context;
    this.#host = host;
    this.#socket = socket;
    const peer = `${source.address}:${source.port}`;
    this.#firstFrameBy = openedAt + context.frameMs;
    this.#quietSince = context.clock.now().monoMs;
    this.#answers = new Answers(socket, context.ack);
    this.#badFrames = new BadFrames(context, peer, this.#answers);
    this.#reader = new HeartbeatReader(context, socket, host, this);
    this.#sessions = new ConnectionSessions(context, peer, this.#reader.control);
    const needsToken = context.asksForToken && context.authenticator.withoutToken === null;
    this.#gate = needsToken ? this.#openGate(source.address) : null;
  }

  /** `first`: bytes that have already arrived. */
  start(first: Buffer | undefined): void {
    // A reset or a time-out is an ordinary unclean end, and 'close' follows it.
    this.#socket.on('error', () => undefined);
    this.#socket.on('end', () => this.#peerEnded());
    this.#socket.on('close', (hadError: boolean) => {
      if (hadError) this.#over();
      else this.#peerEnded();
    });
    this.#host.visitBy(this.#nextTickAt());
    this.#reader.start(first);
  }

  get isDone(): boolean {
    return this.#state.kind === 'over';
  }

  tick(monoMs: number): number {
    if (this.#state.kind !== 'over') this.#check(monoMs);
    if (this.#state.kind === 'over' && monoMs >= this.#state.destroyAt) this.#socket.destroy();
    return this.#socket.destroyed ? Infinity : this.#nextTickAt();
  }

  /** Applies a step of the wall clock: tokens expire sooner or later than scheduled. */
  clockStepped(): void {
    if (this.isDone) return;
    this.#gate?.expire();
    this.#host.visitBy(this.#gate?.nextExpiryAt ?? Infinity);
  }

  /** The hub is about to stop. From now on, the end of the connection does not change the state of its users. */
  drain(): void {
    this.#sessions.drain();
  }

  /** Destroys the connection because the hub stops. Its sessions stay, so that the next run can restore them. */
  cut(): void {
    this.#sessions.drain();
    this.#socket.destroy();
    this.#over();
  }

  onHeartbeat(heartbeat: Heartbeat, encoding: FrameEncoding, monoMs: number): void {
    this.#badFrames.wellFormed();
    this.#quietSince = monoMs;
    if (this.#gate === null) {
      this.#accept(heartbeat, encoding);
      return;
    }
    this.#gate.take(heartbeat, encoding);
    if (this.#gate.isFull) this.#reader.control.pauseForTokens(monoMs);
  }

  onRepeats(heartbeat: Heartbeat, count: number, now: Moment): boolean {
    if (this.#context.ack) return false; // each one is answered
    const session = this.#sessions.repeated(heartbeat);
    if (session === undefined || this.#gate?.allows(heartbeat.user) === false) return false;
    this.#quietSince = now.monoMs;
    this.#badFrames.wellFormed();
    this.#badFrames.accepted();
    this.#context.intake.repeat(session, count, now);
    return true;
  }

  onBadFrame({ reason, encoding, value, endsReading }: RejectedFrame): void {
    this.#badFrames.malformed(reason, encoding, value);
    if (endsReading === 'always' || (endsReading === 'unproven' && this.#firstFrameBy !== null)) this.#end();
    else this.#endIfHopeless();
  }

  #openGate(address: string): TokenGate {
    const { authenticator, clock, onRefused } = this.#context;
    const { control } = this.#reader;
    return new TokenGate({
      authenticator,
      address,
      clock,
      onGranted: (heartbeat, encoding) => {
        this.#accept(heartbeat, encoding);
        this.#host.visitBy(this.#gate?.nextExpiryAt ?? Infinity);
      },
      onRefused: (reason, encoding) => this.#refuse(reason, encoding),
      onRenewalRefused: onRefused,
      onVerify: () => control.chargeTurn(TOKEN_COST),
      onNotAuthorized: () => control.chargeRate(TOKEN_COST, clock.now().monoMs),
      onExpired: (user) => this.#sessions.tokenExpired(user),
      onSettled: () => {
        if (this.#state.kind === 'ending') this.#peerEnded();
        else if (this.#gate?.isHalfEmpty === true) control.resumeAfterTokens();
      },
    });
  }

  #accept(heartbeat: Heartbeat, encoding: FrameEncoding): void {
    const { user, state } = heartbeat;
    const refusal = this.#sessions.apply(heartbeat);
    if (refusal === 'forbidden') {
      // An admin ended this user's session. The connection stays open: the user would be accepted on a new one.
      this.#context.onRefused(refusal);
      this.#badFrames.skipped(refusal, encoding, () => user);
    } else if (refusal === 'sessions') {
      this.#badFrames.refused('too_many', encoding, () => user);
      this.#endIfHopeless();
    } else {
      this.#badFrames.accepted();
      this.#firstFrameBy = null;
      // The frame is valid even if there is no capacity for its user. The other users must not suffer.
      if (refusal === undefined) this.#answers.ack(user, state, encoding);
      else this.#answers.error('too_many', encoding);
    }
  }

  /** Rejects a heartbeat because of its token. */
  #refuse(reason: TokenRefusal, encoding: FrameEncoding): void {
    this.#context.onRefused(reason);
    if (reason === 'unavailable') {
      // The frame was in time. The client is not at fault if its token cannot be judged yet.
      if (this.#firstFrameBy !== null) this.#firstFrameBy = this.#context.clock.now().monoMs + this.#context.frameMs;
      this.#answers.error(reason, encoding);
      return;
    }
    this.#badFrames.refused(reason, encoding, () => undefined);
    this.#endIfHopeless();
  }

  #endIfHopeless(): void {
    const hasOtherUsers = this.#sessions.count > 0 || this.#gate?.isVerifying === true;
    if (this.#badFrames.isHopeless(hasOtherUsers)) this.#end();
  }

  #check(monoMs: number): void {
    const { probe, onRefused } = this.#context;
    const isFrameSlow = this.#reader.tick(monoMs);
    if (isFrameSlow || (this.#firstFrameBy !== null && monoMs >= this.#firstFrameBy)) {
      onRefused('slow_sender');
      this.#end();
      return;
    }
    this.#gate?.expire();
    if (probe && monoMs >= this.#nextProbeAt()) {
      this.#answers.probe(this.#reader.encoding);
      this.#quietSince = monoMs;
    }
  }

  #nextTickAt(): number {
    if (this.#state.kind === 'over') return this.#state.destroyAt;
    const probeAt = this.#context.probe ? this.#nextProbeAt() : Infinity;
    const expiryAt = this.#gate?.nextExpiryAt ?? Infinity;
    return Math.min(this.#reader.dueAt, this.#firstFrameBy ?? Infinity, probeAt, expiryAt);
  }

  /** A connection is probed after two thirds of a lease in silence. */
  #nextProbeAt(): number {
    return this.#quietSince + (this.#context.timeoutMs * 2) / 3;
  }

  /** Ends the connection from our side after the pending answers are written. */
  #end(): void {
    this.#over();
    // If the peer does not read, the answers keep waiting. Bytes that it sends meanwhile are ignored.
    this.#socket.pause();
    this.#socket.destroySoon();
  }

  /** The peer ended the connection. Frames that it sent before still count, even if their verdict takes longer. */
  #peerEnded(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'ending' };
    if (this.#gate?.isVerifying !== true) this.#over();
  }

  #over(): void {
    if (this.#state.kind === 'over') return;
    const destroyAt = this.#context.clock.now().monoMs + GONE_WITHIN_MS;
    this.#state = { kind: 'over', destroyAt };
    this.#reader.stop();
    this.#gate?.close();
    this.#sessions.disconnectAll();
    // Pending answers may wait for a peer that never reads them.
    if (!this.#socket.destroyed) this.#host.visitBy(destroyAt);
    this.#host.onDone();
  }
}
