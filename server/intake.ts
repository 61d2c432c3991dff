/**
 * The single entrance to the core: every adapter reports here in the terms of the core, and here `now` is read. Counts
 * heartbeats, applies them, and passes each change on. Refuses sessions beyond the limits. Knows no formats, sockets or
 * watchers. Users are authenticated before they get here.
 */
import type { Clock, Moment } from './lib/time/clock.ts';
import { zeroCounts } from './lib/zero-counts.ts';
import type { Peers } from './peers.ts';
import type { Change, ChangeListener } from './presence/change.ts';
import type { Loss, Presence } from './presence/presence.ts';
import { countWith, findSession } from './presence/sessions/session-list.ts';
import {
  adapters,
  type AdapterName,
  type NewSession,
  type SessionUpdate,
  type Session,
} from './presence/sessions/session.ts';
import type { Users } from './presence/users.ts';

/** The limit that a new session would exceed: of its user, or of the hub. */
export type SessionRefusal = 'sessions' | 'sessions_total';

interface IntakeOptions {
  readonly users: Pick<Users, 'find'>;
  readonly peers: Pick<Peers, 'goodbye' | 'sessionsElsewhere'>;
  readonly presence: Presence;
  readonly clock: Clock;
  /** Receive each change, in this order. */
  readonly onChange: readonly ChangeListener[];
  /** Maximum sessions of one user. Every change folds all of them. */
  readonly maxSessions: number;
  /** Maximum sessions of all users. */
  readonly maxSessionsTotal: number;
  /** Number of users that are still to be stored, present or not. They stay in memory until then. */
  readonly unsavedCount: () => number;
  readonly onRefused: (reason: SessionRefusal) => void;
}

/** The first session of a user. */
const FIRST = { count: 1, replaces: false };

export class Intake {
  readonly #options: IntakeOptions;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #onChange: readonly ChangeListener[];
  /** Valid heartbeats by adapter, for the metrics. */
  readonly heartbeats: Record<AdapterName, number> = zeroCounts(adapters);

  constructor(options: IntakeOptions) {
    const { presence, clock, onChange } = options;
    this.#options = options;
    this.#presence = presence;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Begins a session for the first heartbeat of a user from this source, unless a limit is reached. */
  begin(claim: NewSession): Session | SessionRefusal {
    const refusal = this.#refusalOf(claim);
    if (refusal !== undefined) {
      this.#options.onRefused(refusal);
      return refusal;
    }
    this.heartbeats[claim.adapter]++;
    const { session, change } = this.#presence.begin(claim, this.#clock.now());
    this.#handOn(change);
    return session;
  }

  /** Applies a heartbeat of a session: renews the lease and updates changed values. */
  heartbeat(session: Session, said: SessionUpdate): void {
    this.heartbeats[session.adapter]++;
    this.#handOn(this.#presence.update(session, said, this.#clock.now()));
  }

  /** Counts heartbeats that repeat the session's values. They arrived a moment ago, at `now`. */
  repeat(session: Session, times: number, now: Moment): void {
    this.heartbeats[session.adapter] += times;
    this.#presence.renew(session, now);
  }

  /** Renews the lease for a sign of life that is not a heartbeat: a pong, or another valid message. */
  alive(session: Session): void {
    this.#presence.renew(session, this.#clock.now());
  }

  /** The live session of a source without a connection. */
  find(user: string, device: string, adapter: AdapterName): Session | undefined {
    const held = this.#options.users.find(user);
    return held === undefined ? undefined : findSession(held, device, adapter);
  }

  /** Extends the wait for a restored session whose client the hub cannot hear for now. */
  waitLonger(session: Session, forMs: number): void {
    this.#presence.waitLonger(session, forMs, this.#clock.now());
  }

  /** Ends a session because the user said goodbye. */
  leave(session: Session): void {
    this.#options.peers.goodbye(session.user.id, session.device);
    this.#handOn(this.#presence.leave(session, this.#clock.now()));
  }

  /** Ends a session in its grace because the user said goodbye through a source that holds no session. */
  leaveDevice(user: string, device: string): void {
    this.#options.peers.goodbye(user, device);
    this.#handOn(this.#presence.leaveDevice(user, device, this.#clock.now()));
  }

  /** Starts the grace, because the connection broke or closed without a goodbye. */
  disconnect(session: Session, cause?: Loss): void {
    this.#handOn(this.#presence.disconnect(session, this.#clock.now(), cause));
  }

  /** Ends a session without a grace, because its source found that the user is gone. */
  end(session: Session): void {
    this.#handOn(this.#presence.end(session, this.#clock.now()));
  }

  /** Ends a session at once for an admin. Notifies its source, so that the client does not reconnect automatically. */
  kick(session: Session): void {
    this.#handOn(this.#presence.end(session, this.#clock.now(), 'kicked'));
    session.owner.kicked?.(session);
  }

  /** Notes the address that the session’s heartbeats come from. It can change if the session has no connection. */
  noteAddress(session: Session, address: string): void {
    this.#presence.noteAddress(session, address);
  }

  #refusalOf(claim: NewSession): SessionRefusal | undefined {
    const { users, peers, maxSessions, maxSessionsTotal, unsavedCount } = this.#options;
    const user = users.find(claim.user);
    const { count, replaces } = user === undefined ? FIRST : countWith(user, claim.device, claim.status);
    if (count + peers.sessionsElsewhere(claim.user, claim.device) > maxSessions) return 'sessions';
    // A session that replaces another takes no extra room, so a returning user is never refused because of the total.
    if (replaces) return undefined;
    const isFull = this.#presence.sessionTotal >= maxSessionsTotal || unsavedCount() > maxSessionsTotal;
    return isFull ? 'sessions_total' : undefined;
  }

  #handOn(change: Change | undefined): void {
    if (change === undefined) return;
    for (const listener of this.#onChange) listener(change);
  }
}
