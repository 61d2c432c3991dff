/**
 * The one door: every adapter reports here, in the words of the core, and here `now` is read. Counts heartbeats, applies
 * them, and hands each change on. Refuses a user more sessions than it may have. Formats, sockets and watchers are not its
 * business, and who somebody is was asked before.
 */
import type { Clock, Moment } from './lib/clock.ts';
import { zeroCounts } from './lib/zero-counts.ts';
import type { Change } from './presence/change.ts';
import type { Loss, Presence } from './presence/presence.ts';
import { adapters, type AdapterName, type NewSession, type SessionUpdate, type Session } from './presence/session.ts';

/** Why no session begins: the user, or the hub, has as many as it may. */
export type SessionRefusal = 'sessions' | 'sessions_total';

interface IntakeOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  readonly onChange: (change: Change) => void;
  /** Sessions of one user: each is folded with the others at every change. */
  readonly maxSessions: number;
  /** Sessions of all users. */
  readonly maxSessionsTotal: number;
  /** Users that are still to be stored, gone or not: they are in memory until then. */
  readonly unsavedCount: () => number;
  readonly onRefused: (reason: SessionRefusal) => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #onChange: (change: Change) => void;
  /** Valid heartbeats by adapter, for the metrics. */
  readonly heartbeats: Record<AdapterName, number> = zeroCounts(adapters);

  constructor(options: IntakeOptions) {
    const { presence, clock, onChange } = options;
    this.#options = options;
    this.#presence = presence;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** A heartbeat of a user that this source holds no session of: one begins, unless there are too many. */
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

  /** A heartbeat in a session: renews the lease and applies what it gives another value. */
  beat(session: Session, said: SessionUpdate): void {
    this.heartbeats[session.adapter]++;
    this.#handOn(this.#presence.update(session, said, this.#clock.now()));
  }

  /** So many heartbeats that say what the session says already, heard a moment ago. */
  repeat(session: Session, times: number, now: Moment): void {
    this.heartbeats[session.adapter] += times;
    this.#presence.renew(session, now);
  }

  /** A sign of life that is no heartbeat: a pong, or another valid message. */
  alive(session: Session): void {
    this.#presence.renew(session, this.#clock.now());
  }

  /** The live session of a source without a connection. */
  find(user: string, device: string, adapter: AdapterName): Session | undefined {
    return this.#presence.findSession(user, device, adapter);
  }

  /** A restored session cannot be heard for now, for the hub's own sake: it waits that much longer. */
  waitLonger(session: Session, forMs: number): void {
    this.#presence.waitLonger(session, forMs, this.#clock.now());
  }

  /** The user said goodbye. */
  leave(session: Session): void {
    this.#handOn(this.#presence.leave(session, this.#clock.now()));
  }

  /** The user said goodbye through a source that holds no session of it: what is in its grace ends. */
  leaveDevice(user: string, device: string): void {
    this.#handOn(this.#presence.leaveDevice(user, device, this.#clock.now()));
  }

  /** The connection broke or closed without a goodbye: the grace begins. */
  disconnect(session: Session, cause?: Loss): void {
    this.#handOn(this.#presence.disconnect(session, this.#clock.now(), cause));
  }

  /** The source itself found that the user is gone: no grace. */
  end(session: Session): void {
    this.#handOn(this.#presence.end(session, this.#clock.now()));
  }

  /** An admin ends it, at once. Its source is told, so that it does not come back by itself. */
  kick(session: Session): void {
    this.#handOn(this.#presence.end(session, this.#clock.now(), 'kicked'));
    session.owner.kicked?.(session);
  }

  /** The session is heard from that address now: one without a connection may move. */
  heardFrom(session: Session, address: string): void {
    this.#presence.heardFrom(session, address);
  }

  #refusalOf(claim: NewSession): SessionRefusal | undefined {
    const { maxSessions, maxSessionsTotal, unsavedCount } = this.#options;
    const { count, replaces } = this.#presence.countWith(claim);
    if (count > maxSessions) return 'sessions';
    // A session that takes the place of another needs no room: a user who comes back is never refused for it.
    if (replaces) return undefined;
    const isFull = this.#presence.sessionTotal >= maxSessionsTotal || unsavedCount() > maxSessionsTotal;
    return isFull ? 'sessions_total' : undefined;
  }

  #handOn(change: Change | undefined): void {
    if (change !== undefined) this.#onChange(change);
  }
}
