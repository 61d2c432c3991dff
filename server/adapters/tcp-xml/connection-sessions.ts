/**
 * The sessions that one connection carries: what its frames do to them, and how they end with it. Knows no bytes, no
 * token and no answer; owned by a connection, and told by the core when a lease ran out.
 */
import type { SessionRefusal } from '../../intake.ts';
import type { Session, SessionOwner } from '../../presence/session.ts';
import type { Heartbeat } from './decode.ts';
import type { TcpXmlOptions } from './tcp-xml.ts';

/** Why a user's frame does not count. */
type CarriedRefusal = SessionRefusal | 'per_connection' | 'forbidden';

interface CarriedBy {
  readonly onCount: (sessions: number) => void;
  /** How long the connection was not read, up to now. */
  readonly pausedMs: () => number;
  /** The same, up to when all that was sent had last been heard. */
  readonly madeUpMs: () => number;
}

export class ConnectionSessions implements SessionOwner {
  readonly #hub: TcpXmlOptions;
  readonly peer: string;
  readonly #by: CarriedBy;
  readonly #sessions = new Map<string, Session>();
  /** Whose session here an admin ended; null for nobody, which is nearly every connection's. */
  #kicked: Set<string> | null = null;
  #isDraining = false;

  constructor(hub: TcpXmlOptions, peer: string, by: CarriedBy) {
    this.#hub = hub;
    this.peer = peer;
    this.#by = by;
  }

  /** Frames may wait in a socket that the hub does not read: so much longer is a user silent before it lapses. */
  get pausedMs(): number {
    return Math.ceil(this.#by.pausedMs());
  }

  get madeUpMs(): number {
    return Math.ceil(this.#by.madeUpMs());
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** The core ended a session: its lease ran out. The connection stays, and the next frame is a new session. */
  lapsed(session: Session): void {
    this.#forget(session);
  }

  /** An admin ended a session: its user is refused on this connection from now on. The others go on. */
  kicked(session: Session): void {
    const { user } = session;
    const here = this.#sessions.get(user.id);
    if (here !== undefined && here !== session) return; // that one was in its grace, and a later one lives here
    this.#kicked ??= new Set();
    this.#kicked.add(user.id);
    if (here !== undefined) this.#forget(session);
  }

  /** @returns why the frame does not count; undefined where it does. */
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

  /** The live session that says all of that already; undefined where the heartbeat is news. */
  repeated({ user, state, device }: Heartbeat): Session | undefined {
    const session = this.#sessions.get(user);
    if (session?.phase !== 'live' || session.code !== state || session.status !== this.#hub.statusOf(state))
      return undefined;
    return device === undefined || device === session.device ? session : undefined;
  }

  /** What let the user in holds no more: an unclean end, as every cut is. */
  runOut(user: string): void {
    const session = this.#sessions.get(user);
    if (session === undefined) return;
    this.#forget(session);
    if (!this.#isDraining) this.#hub.intake.disconnect(session, 'token_ran_out');
  }

  /** The hub is about to go down: how the connection ends from now on says nothing of its users. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The connection is over. */
  loseAll(): void {
    if (!this.#isDraining) for (const session of this.#sessions.values()) this.#hub.intake.disconnect(session);
    this.#sessions.clear();
  }

  #leave({ user, device: named }: Heartbeat, session: Session | undefined): void {
    // A goodbye is of its user and device, whichever device the session here has.
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
