/**
 * The sessions of one connection: applies heartbeats to them and ends them with the connection. Knows no bytes, tokens or
 * answers.
 */
import type { SessionRefusal } from '../../intake.ts';
import type { Session, SessionOwner } from '../../presence/sessions/session.ts';
import type { Heartbeat } from './frames/decode.ts';
import type { TcpXmlOptions } from './options.ts';
import type { ReadControl } from './pacing/read-control.ts';

/** Why a heartbeat is not accepted. */
export type HeartbeatRefusal = SessionRefusal | 'per_connection' | 'forbidden';

export class ConnectionSessions implements SessionOwner {
  readonly #context: TcpXmlOptions;
  readonly peer: string;
  readonly #control: ReadControl;
  readonly #sessions = new Map<string, Session>();
  /** Users whose session on this connection was ended by an admin. Null if there are none, which is the usual case. */
  #kicked: Set<string> | null = null;
  #isDraining = false;

  constructor(context: TcpXmlOptions, peer: string, control: ReadControl) {
    this.#context = context;
    this.peer = peer;
    this.#control = control;
  }

  /** Frames may wait in a socket that the hub does not read, so a user's lease is extended by this time. */
  get pausedMs(): number {
    return Math.ceil(this.#control.pausedMs);
  }

  get madeUpMs(): number {
    return Math.ceil(this.#control.madeUpMs);
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
    const live = this.#sessions.get(user.id);
    if (live !== undefined && live !== session) return; // the ended one was in its grace
    this.#kicked ??= new Set();
    this.#kicked.add(user.id);
    if (live !== undefined) this.#forget(session);
  }

  /** @returns why the heartbeat is not accepted; undefined if it is. */
  apply(heartbeat: Heartbeat): HeartbeatRefusal | undefined {
    if (this.#kicked?.has(heartbeat.user) === true) return 'forbidden';
    const session = this.#sessions.get(heartbeat.user);
    if (heartbeat.state <= 0) {
      this.#leave(heartbeat, session);
      return undefined;
    }
    if (session === undefined) return this.#begin(heartbeat);
    const status = this.#context.statusOf(heartbeat.state);
    this.#context.intake.heartbeat(session, { status, code: heartbeat.state, device: heartbeat.device });
    return undefined;
  }

  /** The live session if the heartbeat changes nothing; undefined if it does. */
  repeated({ user, state, device }: Heartbeat): Session | undefined {
    const session = this.#sessions.get(user);
    if (session?.phase !== 'live' || session.code !== state || session.status !== this.#context.statusOf(state))
      return undefined;
    return device === undefined || device === session.device ? session : undefined;
  }

  /** The token of the user expired: an unclean end, like a cut. */
  tokenExpired(user: string): void {
    const session = this.#sessions.get(user);
    if (session === undefined) return;
    this.#forget(session);
    if (!this.#isDraining) this.#context.intake.disconnect(session, 'token_ran_out');
  }

  /** The hub is about to stop. From now on, the end of the connection does not change the state of its users. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The connection ended. */
  disconnectAll(): void {
    if (!this.#isDraining) for (const session of this.#sessions.values()) this.#context.intake.disconnect(session);
    this.#sessions.clear();
  }

  #leave({ user, device: named }: Heartbeat, session: Session | undefined): void {
    // A goodbye applies to its user and device, even if the session here has another device.
    const device = named ?? session?.device ?? 'legacy';
    if (session !== undefined) {
      this.#forget(session);
      this.#context.intake.leave(session);
    }
    if (device !== session?.device) this.#context.intake.leaveDevice(user, device);
  }

  #begin({ user, state, device, ip, port }: Heartbeat): HeartbeatRefusal | undefined {
    if (this.#sessions.size >= this.#context.maxUsers) {
      this.#context.onRefused('per_connection');
      return 'per_connection';
    }
    const session = this.#context.intake.begin({
      user,
      device: device ?? 'legacy',
      adapter: 'tcp-xml',
      status: this.#context.statusOf(state),
      code: state,
      text: undefined,
      leaseMs: this.#context.timeoutMs,
      address: this.#addressOf(ip, port),
      owner: this,
    });
    if (typeof session === 'string') return session;
    this.#sessions.set(user, session);
    this.#control.allowFor(this.#sessions.size);
    return undefined;
  }

  /** The claimed address and port. What is not claimed is the peer's. */
  #addressOf(ip: string | undefined, port: number | undefined): string {
    if (ip === undefined && port === undefined) return this.peer;
    const colon = this.peer.lastIndexOf(':');
    return `${ip ?? this.peer.slice(0, colon)}:${port ?? this.peer.slice(colon + 1)}`;
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.user.id);
    this.#control.allowFor(this.#sessions.size);
  }
}
