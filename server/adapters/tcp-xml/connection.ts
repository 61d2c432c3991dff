/**
 * One legacy connection: takes frames, has them applied to the sessions that it carries, answers only where the hub was
 * told to, and ends. A bad frame harms no user of the connection: it is counted and skipped. The listener owns it and has
 * it looked at; pace is its reading's, tokens are its grants', sessions are what is carried.
 */
import type { Socket } from 'node:net';
import { badFrameReasons, errorCodes, type BadFrameReason } from '../../../shared/reasons.ts';
import { MAX_BAD_FRAMES_IN_A_ROW } from '../../../shared/limits.ts';
import { DONE } from '../../lib/timing-wheel.ts';
import { ConnectionSessions } from './connection-sessions.ts';
import { decodeText, isWide, type FrameEncoding } from './charset.ts';
import { offendingValue, type Heartbeat } from './decode.ts';
import { answerBytes, encodeAck, encodeError, encodeProbe } from './encode.ts';
import { markupCost, TOKEN_COST } from './frame-cost.ts';
import { LastFrame } from './last-frame.ts';
import { TokenGate, type TokenRefusal } from './token-gate.ts';
import type { SlotOwner } from './wheel-slot.ts';
import type { Opened } from './acceptance.ts';
import { HeartbeatReader } from './heartbeat-reader.ts';
import type { FrameTemplates } from './frame-templates.ts';
import type { BadFrame, TcpXmlOptions } from './tcp-xml.ts';
import type { FairQueue } from '../../lib/fair-queue.ts';

/** How long after its end a connection may wait for a peer that does not read. */
const GONE_WITHIN_MS = 5_000;
/** Whatever frames wait for, no pause is longer than this part of a lease. */
const PAUSES_A_LEASE = 4;

/** What the listener does for a connection. */
interface Host {
  /** What the connections of a port share. */
  readonly turns: FairQueue;
  readonly shapes: FrameTemplates;
  /** Has it looked at, at that time (monotonic). */
  readonly lookOn: (atMs: number) => void;
  readonly onDone: () => void;
}

/** How an HTTP request begins; no frame does. */
const HTTP_REQUEST = /^[A-Z]{3,10} \//;

export class TcpConnection implements SlotOwner {
  readonly #hub: TcpXmlOptions;
  readonly #host: Host;
  readonly #socket: Socket;
  readonly #carried: ConnectionSessions;
  readonly #reading: HeartbeatReader;
  readonly #memory: LastFrame;
  /** Null where no token is asked for. */
  readonly #grants: TokenGate | null;
  readonly #peer: string;
  /** If no frame has counted by then, the connection is closed. */
  #firstFrameBy: number;
  readonly #maxPauseMs: number;
  /** When the wheel comes by. */
  #lookAt = Infinity;
  /** The last good frame, or the last time that it was asked for one. */
  #quietSince: number;
  #badInARow = 0;
  /** Without the frames that were well formed, and refused. */
  #malformedInARow = 0;
  /** A frame has counted: from then on the connection may be silent for as long as it likes. */
  #isProven = false;
  /** Since when as many tokens as may be are being verified. */
  #fullSince = Infinity;
  #goneBy = Infinity;
  /** The peer has ended it, and frames from before that still wait for a verdict. */
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
    // A reset or a time-out is an unclean end like any other, and 'close' follows it.
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

  /** The wheel came by. */
  tick(monoMs: number): number {
    this.#lookAt = Infinity;
    if (!this.isDone) this.#lookAfter(monoMs);
    if (monoMs >= this.#goneBy) this.#socket.destroy();
    if (this.#socket.destroyed) return DONE;
    this.#lookAt = this.#nextLookAt();
    return this.#lookAt === Infinity ? DONE : this.#lookAt;
  }

  /** Tokens run out sooner or later than the wheel was told. */
  clockStepped(): void {
    if (this.isDone) return;
    this.#grants?.expire(this.#hub.clock.now().wallMs);
    this.#plan(this.#nextExpiryAt());
  }

  /** The hub is about to go down: how the connection ends from now on says nothing of its users. */
  drain(): void {
    this.#carried.drain();
  }

  /** The hub goes down: the connection is cut, and its sessions stay as they are, for the next run to restore. */
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
   * The quick way: the same frame as before, perhaps several times, that says what its session says already. A sign of life
   * is then all that it is: 0.3 µs instead of 2 (16 in a packet, Node 20.20, 2026-11-23). Wherever anything else may be the
   * case, the frames go the plain way; repeats.test.ts holds the two together.
   * @returns how many of the bytes it took.
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
      // A browser lets any page send a form to any port, and what it sends may hold sound frames behind this one.
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

  /** Tokens come faster than they are verified. Where it is the keys that take long, good users can't wait for them. */
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
      // The frame is sound, and there is no room for its user. That must not cost the connection its other users.
      this.#answerError('too_many', seen);
      return;
    }
    if (this.#hub.ack) this.#answer(encodeAck(heartbeat.user, heartbeat.state), seen);
  }

  /** An admin ended this user's session. The connection stays open: on a new one the user would be let in. */
  #turnDown(user: string, seen: FrameEncoding): void {
    this.#hub.onRefused('forbidden');
    this.#skip('forbidden', seen, () => user);
  }

  /** Says no to a frame for its token's sake. */
  #refuse(reason: TokenRefusal, seen: FrameEncoding): void {
    this.#hub.onRefused(reason);
    if (reason === 'unavailable') {
      // It came in time. That it can't be judged yet is not the client's fault.
      this.#firstFrameBy = this.#hub.clock.now().monoMs + this.#hub.frameMs;
      this.#answerError(reason, seen);
      return;
    }
    this.#bad(reason, seen, () => undefined);
    this.#endIfHopeless();
  }

  /** A gateway must not lose its good users for those that are refused; noise ends any connection. */
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

  /** A connection that has been silent for two thirds of the lease is asked. */
  #nextProbeAt(): number {
    return this.#quietSince + (this.#hub.timeoutMs * 2) / 3;
  }

  /** Tokens run out by the wall clock, and the wheel turns by the other one. */
  #nextExpiryAt(): number {
    const expiresAt = this.#grants?.nextExpiryAt ?? Infinity;
    if (expiresAt === Infinity) return Infinity;
    const { monoMs, wallMs } = this.#hub.clock.now();
    return monoMs + Math.max(expiresAt - wallMs, 0);
  }

  /** Has the wheel come by at that time, where it would not before. */
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

  /** A legacy client may never read: an answer that would have to wait for it is not sent. */
  #answer(xml: string, seen: FrameEncoding): void {
    if (!this.#socket.writableNeedDrain && this.#socket.writable) this.#socket.write(answerBytes(xml, seen));
  }

  /** Ends the connection from our side, once what was answered is written. */
  #end(): void {
    this.#over();
    // A peer that does not read keeps what was answered waiting. What it sends meanwhile is nobody's any more.
    this.#socket.pause();
    this.#socket.destroySoon();
  }

  /** The peer ended it. What it said before that counts, though a verdict may take longer than the connection. */
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
    // What was answered may wait for a peer that never reads it.
    if (!this.#socket.destroyed) this.#plan(this.#goneBy);
    this.#host.onDone();
  }
}
