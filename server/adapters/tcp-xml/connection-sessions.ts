/**
 * The sessions of one connection: applies frames to them and ends them with the connection. Knows no bytes, tokens or
 * answers.
 */
import type { SessionRefusal } from '../../intake.ts';
import type { Session, SessionOwner } from '../../presence/sessions/session.ts';
import type { Heartbeat } from './frames/decode.ts';
import type { TcpXmlOptions } from './tcp-xml.ts';

/** Why a frame is not accepted. */
type CarriedRefusal = SessionRefusal | 'per_connection' | 'forbidden';

interface CarriedBy {
  readonly onCount: (sessions: number) => void;
  /** Total time that the connection was not read. */
  readonly pausedMs: () => number;
  /** The part of that time after which everything sent has been read. */
  readonly madeUpMs: () => number;
}

export class ConnectionSessions implements SessionOwner {
  readonly #hub: TcpXmlOptions;
  readonly peer: string;
  readonly #by: CarriedBy;
  readonly #sessions = new Map<string, Session>();
  /** Users whose session on this connection was ended by an admin. Null if there are none, which is the usual case. */
  #kicked: Set<string> | null = null;
  #isDraining = false;

  constructor(hub: TcpXmlOptions, peer: string, by: CarriedBy) {
    this.#hub = hub;
    this.peer = peer;
    this.#by = by;
  }

  /** Frames may wait in a socket that the hub does not read, so a user's lease is extended by this time. */
  get pausedMs(): number {
    return Math.ceil(this.#by.pausedMs());
  }

  get madeUpMs(): number {
    return Math.ceil(this.#by.madeUpMs());
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** The lease of a session expired. The connection stays, and the next frame begins a new session. */
  lapsed(session: Session): void {
    this.#forget(session);
  }

  /** An admin ended a session. This connection refuses its user from now on. Other users are not affected. */
  kicked(session: Session): void {
    const { user } = session;
    const here = this.#sessions.get(user.id);
    if (here !== undefined && here !== session) return; // the ended one was in its grace, and a later one is live
    this.#kicked ??= new Set();
    this.#kicked.add(user.id);
    if (here !== undefined) this.#forget(session);
  }

  /** @returns why the frame is not accepted; undefined if it is. */
  apply(heartbeat: Heartbeat): CarriedRefusal | undefined {
    if (this.#kicked?.has(heartbeat.user) === true) return 'forbidden';
    const session = this.#sessions.get(heartbeat.user);
    if (heartbeat.state <= 0) {
      this.#leave(heartbeat, session);
      return undefined;
    }
    if (session === undefined) return this.#begin(heartbeat);
    const status = this.#hub.statusOf(heartbeat.state);
    this.#hub.intake.beat(session, { status, code: heartbeat.state, device: heartbeat.device });
    return undefined;
  }

  /** The live session if the heartbeat changes nothing; undefined if it does. */
  repeated({ user, state, device }: Heartbeat): Session | undefined {
    const session = this.#sessions.get(user);
    if (session?.phase !== 'live' || session.code !== state || session.status !== this.#hub.statusOf(state))
      return undefined;
    return device === undefined || device === session.device ? session : undefined;
  }

  /** The token of the user expired: an unclean end, like a cut. */
  runOut(user: string): void {
    const session = this.#sessions.get(user);
    if (session === undefined) return;
    this.#forget(session);
    if (!this.#isDraining) this.#hub.intake.disconnect(session, 'token_ran_out');
  }

  /** The hub is about to stop. From now on, the end of the connection does not change the state of its users. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The connection ended. */
  loseAll(): void {
    if (!this.#isDraining) for (const session of this.#sessions.values()) this.#hub.intake.disconnect(session);
    this.#sessions.clear();
  }

  #leave({ user, device: named }: Heartbeat, session: Session | undefined): void {
    // A goodbye applies to its user and device, even if the session here has another device.
    const device = named ?? session?.device ?? 'legacy';
    if (session !== undefined) {
      this.#forget(session);
      this.#hub.intake.leave(session);
    }
    if (device !== session?.device) this.#hub.intake.leaveDevice(user, device);
  }

  #begin({ user, state, device, ip, port }: Heartbeat): CarriedRefusal | undefined {
    if (this.#sessions.size >= this.#hub.maxUsers) {
      this.#hub.onRefused('per_connection');
      return 'per_connection';
    }
    const session = this.#hub.intake.begin({
      user,
      device: device ?? 'legacy',
      adapter: 'tcp-xml',
      status: this.#hub.statusOf(state),
      code: state,
      text: undefined,
      leaseMs: this.#hub.timeoutMs,
      address: ip === undefined ? this.peer : `${ip}:${port ?? ''}`,
      owner: this,
    });
    if (typeof session === 'string') return session;
    this.#sessions.set(user, session);
    this.#by.onCount(this.#sessions.size);
    return undefined;
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.user.id);
    this.#by.onCount(this.#sessions.size);
  }
}
