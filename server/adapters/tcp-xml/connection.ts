/**
 * One legacy connection: takes frames, applies them to its sessions, answers only if the hub is configured to, and
 * ends. A bad frame is counted and skipped, so that it harms no user of the connection. The reader handles the rate,
 * the token gate handles tokens, and ConnectionSessions handles sessions.
 */
import type { Socket } from 'node:net';
import { badFrameReasons, errorCodes, type BadFrameReason } from '../../../shared/reasons.ts';
import { MAX_BAD_FRAMES_IN_A_ROW } from '../../../shared/limits.ts';
import { DONE } from '../../lib/time/timing-wheel.ts';
import { ConnectionSessions } from './connection-sessions.ts';
import { decodeText, isWide, type FrameEncoding } from './frames/charset.ts';
import { offendingValue, type Heartbeat } from './frames/decode.ts';
import { answerBytes, encodeAck, encodeError, encodeProbe } from './frames/encode.ts';
import { markupCost, TOKEN_COST } from './frames/frame-cost.ts';
import { LastFrame } from './frames/last-frame.ts';
import { TokenGate, type TokenRefusal } from './token-gate.ts';
import type { SlotOwner } from './wheel-slot.ts';
import type { Opened } from './acceptance.ts';
import { HeartbeatReader } from './pacing/heartbeat-reader.ts';
import type { FrameTemplates } from './frames/frame-templates.ts';
import type { BadFrame, TcpXmlOptions } from './tcp-xml.ts';
import type { FairQueue } from '../../lib/collections/fair-queue.ts';

/** How long after its end a connection may wait for a peer that does not read. */
const GONE_WITHIN_MS = 5_000;
/** A pause lasts at most a lease divided by this number. */
const PAUSES_A_LEASE = 4;

/** What the listener provides to a connection. */
interface Host {
  /** Shared by all connections of a port. */
  readonly turns: FairQueue;
  readonly shapes: FrameTemplates;
  /** Schedules a wheel visit at that monotonic time. */
  readonly lookOn: (atMs: number) => void;
  readonly onDone: () => void;
}

/** How an HTTP request begins. No frame begins like this. */
const HTTP_REQUEST = /^[A-Z]{3,10} \//;

export class TcpConnection implements SlotOwner {
  readonly #hub: TcpXmlOptions;
  readonly #host: Host;
  readonly #socket: Socket;
  readonly #carried: ConnectionSessions;
  readonly #reading: HeartbeatReader;
  readonly #memory: LastFrame;
  /** Null if no token is required. */
  readonly #grants: TokenGate | null;
  readonly #peer: string;
  /** If no frame has been accepted by then, the connection is closed. */
  #firstFrameBy: number;
  readonly #maxPauseMs: number;
  /** Time of the next planned wheel visit. */
  #lookAt = Infinity;
  /** Time of the last good frame or of the last probe. */
  #quietSince: number;
  #badInARow = 0;
  /** Does not count well-formed frames that were refused. */
  #malformedInARow = 0;
  /** A frame was accepted. From then on the connection may be silent for any time. */
  #isProven = false;
  /** When the verification limit was reached; Infinity if it is not. */
  #fullSince = Infinity;
  #goneBy = Infinity;
  /** The peer has ended the connection, but earlier frames still wait for a verdict. */
  #isEnding = false;

  constructor(hub: TcpXmlOptions, { socket, source, openedAt }: Opened, host: Host) {
    this.#hub = hub;
    this.#host = host;
    this.#socket = socket;
    this.#peer = `${source.address}:${source.port}`;
    this.#firstFrameBy = openedAt + hub.frameMs;
    this.#maxPauseMs = hub.timeoutMs / PAUSES_A_LEASE;
    this.#quietSince = hub.clock.now().monoMs;
    this.#memory = new LastFrame(host.shapes);
    this.#carried = new ConnectionSessions(hub, this.#peer, {
      onCount: (sessions) => this.#reading.allowFor(sessions),
      pausedMs: () => this.#reading.pausedMs,
      madeUpMs: () => this.#reading.madeUpMs,
    });
    this.#reading = this.#openReading();
    const asksForToken = hub.asksForToken && hub.authenticator.withoutToken === null;
    this.#grants = asksForToken ? this.#openGrants(source.address) : null;
    socket.on('data', (chunk) => this.take(chunk));
    // A reset or a time-out is an ordinary unclean end, and 'close' follows it.
    socket.on('error', () => undefined);
    socket.on('end', () => this.#ended());
    socket.on('close', (hadError: boolean) => {
      if (hadError) this.#over();
      else this.#ended();
    });
    this.#plan(this.#nextLookAt());
  }

  take(chunk: Buffer): void {
    this.#reading.arrived(chunk.length);
    const repeatsBytes = this.#takeRepeats(chunk);
    if (repeatsBytes === chunk.length) return;
    this.#reading.take(repeatsBytes === 0 ? chunk : chunk.subarray(repeatsBytes));
    this.#plan(this.#reading.dueAt);
  }

  tick(monoMs: number): number {
    this.#lookAt = Infinity;
    if (!this.isDone) this.#lookAfter(monoMs);
    if (monoMs >= this.#goneBy) this.#socket.destroy();
    if (this.#socket.destroyed) return DONE;
    this.#lookAt = this.#nextLookAt();
    return this.#lookAt === Infinity ? DONE : this.#lookAt;
  }

  /** Applies a step of the wall clock: tokens expire sooner or later than scheduled. */
  clockStepped(): void {
    if (this.isDone) return;
    this.#grants?.expire(this.#hub.clock.now().wallMs);
    this.#plan(this.#nextExpiryAt());
  }

  /** The hub is about to stop. From now on, the end of the connection does not change the state of its users. */
  drain(): void {
    this.#carried.drain();
  }

  /**
   * Destroys the connection because the hub stops. Its sessions stay as they are, so that the next run can restore
   * them.
   */
  cut(): void {
    this.#carried.drain();
    this.#socket.destroy();
    this.#over();
  }

  get isDone(): boolean {
    return this.#goneBy !== Infinity;
  }

  #openReading(): HeartbeatReader {
    const { clock, encoding, messages, frameMs, onRefused } = this.#hub;
    return new HeartbeatReader({
      socket: this.#socket,
      clock,
      encoding,
      rate: messages,
      turns: this.#host.turns,
      frameMs,
      leaseMs: this.#hub.timeoutMs,
      maxPauseMs: this.#maxPauseMs,
      onFrame: (frame, seen, monoMs) => this.#takeFrame(frame, seen, monoMs),
      onRest: (rest) => this.take(rest),
      onTooLarge: () => {
        this.#bad('too_large', this.#reading.seen, () => this.#reading.oversize);
        this.#end();
      },
      onOver: () => onRefused('messages'),
    });
  }

  #openGrants(address: string): TokenGate {
    const { authenticator, clock, onRefused } = this.#hub;
    return new TokenGate({
      authenticator,
      address,
      clock,
      onGranted: (heartbeat, seen) => {
        this.#accept(heartbeat, seen);
        this.#plan(this.#nextExpiryAt());
      },
      onRefused: (reason, seen) => this.#refuse(reason, seen),
      onBadRenewal: onRefused,
      onVerify: () => this.#reading.burden(TOKEN_COST),
      onFutile: () => this.#reading.owe(TOKEN_COST, clock.now().monoMs),
      onRunOut: (user) => this.#carried.runOut(user),
      onSettled: () => {
        if (this.#isEnding) this.#ended();
        else if (this.#grants?.hasRoom === true) this.#goOn();
      },
    });
  }

  /**
   * The fast path for the same frame again, perhaps several times, if it says what its session already has. Such a
   * frame is only a sign of life and costs 0.3 µs instead of 2 (16 in a packet, Node 20.20, 2026-11-23). In all other
   * cases the frames take the plain path. repeats.test.ts checks that both paths agree.
   * @returns the number of bytes it took.
   */
  #takeRepeats(chunk: Buffer): number {
    const { ack, clock, intake } = this.#hub;
    const { seen } = this.#reading;
    const heartbeat = this.#memory.last(seen);
    if (heartbeat === null || ack || isWide(seen) || !this.#reading.isAtRest) return 0;
    const { count, bytes } = this.#memory.repeatsIn(chunk);
    if (count === 0) return 0;
    const session = this.#carried.repeated(heartbeat);
    if (session === undefined || this.#grants?.lets(heartbeat.user) === false) return 0;
    const now = clock.now();
    if (!this.#reading.takeAll(count, this.#memory.lastBytes, bytes, now.monoMs)) return 0;
    this.#quietSince = now.monoMs;
    this.#badInARow = 0;
    this.#malformedInARow = 0;
    intake.repeat(session, count, now);
    return bytes;
  }

  #takeFrame(frame: Buffer, seen: FrameEncoding, monoMs: number): void {
    const { shapes } = this.#host;
    const { parsedCount } = shapes;
    const decoded = this.#memory.decode(frame, seen);
    if (shapes.parsedCount !== parsedCount) this.#chargeMarkup(frame, monoMs);
    if (!decoded.ok) {
      const { reason } = decoded;
      const { encoding, names } = this.#hub;
      this.#bad(reason, seen, () => offendingValue(decodeText(frame, seen, encoding), reason, names));
      // A browser lets any page send a form to any port, and valid frames may follow in the same request.
      if (!this.#isProven && HTTP_REQUEST.test(frame.toString('latin1', 0, 16))) {
        this.#end();
        return;
      }
      this.#malformedInARow++;
      this.#endIfHopeless();
      return;
    }
    this.#malformedInARow = 0;
    this.#quietSince = monoMs;
    if (this.#grants === null) {
      this.#accept(decoded, seen);
      return;
    }
    this.#grants.take(decoded, seen);
    if (this.#grants.isFull) this.#waitForRoom(monoMs);
  }

  #chargeMarkup(frame: Buffer, monoMs: number): void {
    const cost = markupCost(frame);
    if (cost === 0) return;
    this.#reading.burden(cost);
    this.#reading.owe(cost, monoMs);
  }

  /**
   * Holds reading while tokens arrive faster than they are verified. If fetching keys is what takes long, the hold ends
   * after the maximum pause, because users with a valid token must not wait for it.
   */
  #waitForRoom(monoMs: number): void {
    this.#fullSince = Math.min(this.#fullSince, monoMs);
    if (monoMs < this.#fullSince + this.#maxPauseMs) this.#reading.hold(monoMs);
  }

  #goOn(): void {
    this.#fullSince = Infinity;
    this.#reading.release();
  }

  #accept(heartbeat: Heartbeat, seen: FrameEncoding): void {
    const refusal = this.#carried.apply(heartbeat);
    if (refusal === 'forbidden') {
      this.#turnDown(heartbeat.user, seen);
      return;
    }
    if (refusal === 'sessions') {
      this.#bad('too_many', seen, () => heartbeat.user);
      this.#endIfHopeless();
      return;
    }
    this.#badInARow = 0;
    this.#isProven = true;
    if (refusal !== undefined) {
      // The frame is valid, but there is no capacity for its user. The other users of the connection must not suffer.
      this.#answerError('too_many', seen);
      return;
    }
    if (this.#hub.ack) this.#answer(encodeAck(heartbeat.user, heartbeat.state), seen);
  }

  /** An admin ended this user's session. The connection stays open, because the user would be accepted on a new one. */
  #turnDown(user: string, seen: FrameEncoding): void {
    this.#hub.onRefused('forbidden');
    this.#skip('forbidden', seen, () => user);
  }

  /** Rejects a frame because of its token. */
  #refuse(reason: TokenRefusal, seen: FrameEncoding): void {
    this.#hub.onRefused(reason);
    if (reason === 'unavailable') {
      // The frame was in time. The client is not at fault if its token cannot be judged yet.
      this.#firstFrameBy = this.#hub.clock.now().monoMs + this.#hub.frameMs;
      this.#answerError(reason, seen);
      return;
    }
    this.#bad(reason, seen, () => undefined);
    this.#endIfHopeless();
  }

  /**
   * Ends the connection after too many bad frames in a row. Refused users do not end a gateway that has other users.
   * Malformed frames end any connection.
   */
  #endIfHopeless(): void {
    const hasOthers = this.#carried.count > 0 || this.#grants?.isChecking === true;
    const inARow = hasOthers ? this.#malformedInARow : this.#badInARow;
    if (inARow >= MAX_BAD_FRAMES_IN_A_ROW) this.#end();
  }

  #lookAfter(monoMs: number): void {
    const { probe, clock, onRefused } = this.#hub;
    const isFrameSlow = this.#reading.tick(monoMs);
    if (isFrameSlow || (!this.#isProven && monoMs >= this.#firstFrameBy)) {
      onRefused('slow_sender');
      this.#end();
      return;
    }
    this.#grants?.expire(clock.now().wallMs);
    if (probe && monoMs >= this.#nextProbeAt()) {
      this.#answer(encodeProbe(), this.#reading.seen);
      this.#quietSince = monoMs;
    }
  }

  #nextLookAt(): number {
    if (this.isDone) return this.#goneBy;
    const firstFrameBy = this.#isProven ? Infinity : this.#firstFrameBy;
    const probeAt = this.#hub.probe ? this.#nextProbeAt() : Infinity;
    return Math.min(this.#reading.dueAt, firstFrameBy, probeAt, this.#nextExpiryAt());
  }

  /** A connection is probed after two thirds of a lease in silence. */
  #nextProbeAt(): number {
    return this.#quietSince + (this.#hub.timeoutMs * 2) / 3;
  }

  /**
   * Converts the next expiry to monotonic time, because tokens expire by the wall clock and the wheel uses the
   * monotonic one.
   */
  #nextExpiryAt(): number {
    const expiresAt = this.#grants?.nextExpiryAt ?? Infinity;
    if (expiresAt === Infinity) return Infinity;
    const { monoMs, wallMs } = this.#hub.clock.now();
    return monoMs + Math.max(expiresAt - wallMs, 0);
  }

  /** Schedules a wheel visit at `atMs` unless an earlier one is planned. */
  #plan(atMs: number): void {
    if (atMs >= this.#lookAt) return;
    this.#lookAt = atMs;
    this.#host.lookOn(atMs);
  }

  #bad(reason: BadFrameReason, seen: FrameEncoding, value: BadFrame['value']): void {
    this.#badInARow++;
    this.#skip(reason, seen, value);
  }

  #skip(reason: BadFrameReason, seen: FrameEncoding, value: BadFrame['value']): void {
    this.#hub.onBadFrame({ reason, why: badFrameReasons[reason], value, peer: this.#peer });
    this.#answerError(reason, seen);
  }

  #answerError(reason: BadFrameReason | 'unavailable', seen: FrameEncoding): void {
    const message = reason === 'unavailable' ? errorCodes.unavailable : badFrameReasons[reason];
    if (this.#hub.ack) this.#answer(encodeError(reason, message), seen);
  }

  /** Sends an answer unless it would have to wait, because a legacy client may never read. */
  #answer(xml: string, seen: FrameEncoding): void {
    if (!this.#socket.writableNeedDrain && this.#socket.writable) this.#socket.write(answerBytes(xml, seen));
  }

  /** Ends the connection from our side after the pending answers are written. */
  #end(): void {
    this.#over();
    // If the peer does not read, the answers keep waiting. Bytes that it sends meanwhile are ignored.
    this.#socket.pause();
    this.#socket.destroySoon();
  }

  /** The peer ended the connection. Frames that it sent before still count, even if their verdict takes longer. */
  #ended(): void {
    this.#isEnding = true;
    if (this.#grants?.isChecking !== true) this.#over();
  }

  #over(): void {
    if (this.isDone) return;
    this.#goneBy = this.#hub.clock.now().monoMs + GONE_WITHIN_MS;
    this.#reading.stop();
    this.#grants?.close();
    this.#carried.loseAll();
    // Pending answers may wait for a peer that never reads them.
    if (!this.#socket.destroyed) this.#plan(this.#goneBy);
    this.#host.onDone();
  }
}
