/**
 * One legacy connection: any number of users, each a session of its own, that all end with it. Takes bytes, reports to
 * intake, answers only where the hub was told to. A bad frame harms no user of the connection: it is counted and skipped.
 * The listener owns it; leases are the core's.
 */
import type { Socket } from 'node:net';
import { badFrameReasons, type BadFrameReason } from '../../../shared/codes.ts';
import { MAX_BAD_FRAMES_IN_A_ROW } from '../../../shared/limits.ts';
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';
import { decodeText, type FrameEncoding } from './charset.ts';
import { decodeFrame, type Decoded } from './decode.ts';
import { answerBytes, encodeAck, encodeError, encodeProbe } from './encode.ts';
import { Framer } from './framer.ts';
import type { TcpXmlOptions } from './tcp-xml.ts';

type Heartbeat = Extract<Decoded, { ok: true }>;

export class TcpConnection implements SessionOwner, Timed {
  wheelTick = NOT_SCHEDULED;
  readonly #hub: TcpXmlOptions;
  readonly #socket: Socket;
  readonly #framer: Framer;
  readonly #sessions = new Map<string, Session>();
  readonly #peer: string;
  #badInARow = 0;
  #lastFrameAt: number;
  #isOver = false;
  #isDraining = false;

  constructor(hub: TcpXmlOptions, socket: Socket) {
    this.#hub = hub;
    this.#socket = socket;
    this.#framer = new Framer(hub.encoding);
    this.#peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;
    this.#lastFrameAt = hub.clock.now().monoMs;
    socket.on('data', (chunk) => {
      this.#take(chunk);
    });
    // A reset or a time-out is an unclean end like any other, and 'close' follows it.
    socket.on('error', () => undefined);
    socket.on('end', () => {
      this.#over();
    });
    socket.on('close', () => {
      this.#over();
    });
  }

  /** The core ended a session: its lease ran out. The connection stays, and the next frame is a new session. */
  lapsed(session: Session): void {
    this.#forget(session);
  }

  /** The wheel came by: asks a connection that has been silent for two thirds of the lease. */
  look(monoMs: number): number {
    if (this.#isOver) return DONE;
    const askAfterMs = (this.#hub.timeoutMs * 2) / 3;
    if (monoMs < this.#lastFrameAt + askAfterMs) return this.#lastFrameAt + askAfterMs;
    this.#answer(encodeProbe(), this.#framer.seen);
    return monoMs + askAfterMs;
  }

  /** The hub is about to go down: how the connection ends from now on says nothing of its users. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The hub goes down: the connection is cut, and its sessions stay as they are, for the next run to restore. */
  cut(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return;
    const result = this.#framer.push(chunk, (frame, seen) => {
      if (!this.#isOver) this.#takeFrame(frame, seen);
    });
    if (result === 'too_large') this.#endTooLarge();
  }

  #endTooLarge(): void {
    if (this.#isOver) return;
    this.#bad('too_large', this.#framer.seen);
    this.#end();
  }

  #takeFrame(frame: Buffer, seen: FrameEncoding): void {
    const decoded = decodeFrame(decodeText(frame, seen, this.#hub.encoding), this.#hub.names);
    if (!decoded.ok) {
      this.#bad(decoded.reason, seen);
      if (++this.#badInARow >= MAX_BAD_FRAMES_IN_A_ROW) this.#end();
      return;
    }
    this.#badInARow = 0;
    this.#lastFrameAt = this.#hub.clock.now().monoMs;
    this.#apply(decoded);
    if (this.#hub.ack) this.#answer(encodeAck(decoded.user, decoded.state), seen);
  }

  #apply(heartbeat: Heartbeat): void {
    const { intake } = this.#hub;
    const session = this.#sessions.get(heartbeat.user);
    if (heartbeat.state <= 0) {
      // A goodbye is of its user and device, whichever device the session here has.
      const device = heartbeat.device ?? session?.device ?? 'legacy';
      if (session !== undefined) {
        this.#forget(session);
        intake.leave(session);
      }
      if (device !== session?.device) intake.leaveDevice(heartbeat.user, device);
      return;
    }
    const status = this.#hub.statusOf(heartbeat.state);
    if (session === undefined) this.#begin(heartbeat);
    else intake.beat(session, { status, code: heartbeat.state, device: heartbeat.device });
  }

  #begin({ user, state, device, ip, port }: Heartbeat): void {
    const address = ip === undefined ? this.#peer : `${ip}:${port ?? ''}`;
    const session = this.#hub.intake.begin({
      user,
      device: device ?? 'legacy',
      adapter: 'tcp-xml',
      status: this.#hub.statusOf(state),
      code: state,
      text: undefined,
      leaseMs: this.#hub.timeoutMs,
      address,
      owner: this,
    });
    if (session !== undefined) this.#sessions.set(user, session);
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.user.id);
  }

  #bad(reason: BadFrameReason, seen: FrameEncoding): void {
    this.#hub.onBadFrame(reason, this.#peer);
    if (this.#hub.ack) this.#answer(encodeError(reason, badFrameReasons[reason]), seen);
  }

  /** A legacy client may never read: an answer that would have to wait for it is not sent. */
  #answer(xml: string, seen: FrameEncoding): void {
    if (!this.#socket.writableNeedDrain && this.#socket.writable) this.#socket.write(answerBytes(xml, seen));
  }

  /** Ends the connection from our side, once what was answered is written. */
  #end(): void {
    this.#over();
    this.#socket.destroySoon();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!this.#isDraining) for (const session of this.#sessions.values()) this.#hub.intake.lose(session);
    this.#sessions.clear();
  }
}
