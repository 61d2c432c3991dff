/**
 * THE CORE: applies the reports of adapters to sessions, folds them into one status per user, and ends leases.
 * Synchronous and pure: no I/O, no timer, no clock; `now` is an argument. Every cause of a change of status ends in
 * `#refold`. The ledger decides what entry a fold becomes. Must not know of sockets, formats, watchers or storage.
 */
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { Moment } from '../lib/time/clock.ts';
import type { Change, Expired, Origin } from './change.ts';
import type { Agreed } from './entries.ts';
import { foldSessions, isVisible, shownOf } from './fold.ts';
import { Leases } from './sessions/leases.ts';
import { RecentLosses } from './sessions/recent-losses.ts';
import { restoreSession, type RestoredSession } from './sessions/restored-session.ts';
import { addToUser, lastWaiting, removeFromUser } from './sessions/session-list.ts';
import { Session, type AdapterName, type NewSession, type SessionUpdate } from './sessions/session.ts';
import { WarmSessions } from './sessions/warm-sessions.ts';
import type { PresenceOptions } from './presence-options.ts';
import type { Remembered, User } from './user.ts';
import type { Users } from './users.ts';

export type Loss = Extract<TransitionCause, 'lost' | 'closed' | 'token_ran_out'>;

/** A stamp of when something was set counts this many values a millisecond. */
export const STAMPS_A_MS = 64;

export class Presence {
  readonly #options: PresenceOptions;
  readonly #users: Users;
  /** Ends of leases that were put off, for metrics. */
  readonly leaseCounts: Pick<Leases, 'massLapses' | 'extended'>;
  readonly #leases: Leases;
  readonly #warm = new WarmSessions();
  readonly #losses = new RecentLosses();
  #lastSetNo = 0;
  #sessionNo = 0;

  constructor(options: PresenceOptions, now: Moment) {
    this.#options = options;
    this.#users = options.users;
    this.#leases = this.leaseCounts = new Leases(options.massLapse, now.monoMs);
  }

  /** Sessions by adapter, including those in their grace. */
  get sessionCounts(): Readonly<Record<AdapterName, number>> {
    return this.#leases.counts;
  }

  /** Sessions of all adapters, including those in their grace and restored ones. */
  get sessionTotal(): number {
    return this.#leases.total;
  }

  /** Number of sessions that are still restored, without those over HTTP whose lease outlasts the warm time anyway. */
  get restoredCount(): number {
    return this.#warm.count;
  }

  /**
   * Restores a user of the previous run, at the start. Its sessions count until their user and device are back, or
   * until the later of `warmMs` and the rest of a lease over HTTP. The entry does not change, so nobody is notified.
   */
  restore(id: string, entry: Remembered, sessions: readonly RestoredSession[], warmMs: number, now: Moment): void {
    const user = this.#users.restore(id, entry);
    const restored: Session[] = [];
    for (const stored of sessions) {
      const session = restoreSession(user, stored, this.#sessionNo + 1, warmMs, now);
      if (session === undefined) continue;
      this.#sessionNo++;
      restored.push(session);
      this.#lastSetNo = Math.max(this.#lastSetNo, session.statusSetNo, session.textSetNo);
      this.#link(session);
      this.#warm.add(session, now.monoMs + warmMs);
    }
    user.fold = foldSessions(user, this.#users.offline);
    for (const session of restored) this.#note(session, 'restored', now);
    // Heartbeats from before the visible status began are in `lastSeen` already.
    user.visibleFromAt = now.monoMs - (now.wallMs - (user.since ?? now.wallMs));
    user.endedSignAt = -Infinity;
  }

  /** Begins a session. It silently replaces one of the same user and device that is in its grace or restored. */
  begin(claim: NewSession, now: Moment): { readonly session: Session; readonly change: Change | undefined } {
    const user = this.#users.acquire(claim.user);
    const replaced = lastWaiting(user, claim.device, claim.status);
    if (replaced !== undefined) this.#unlink(replaced);
    const session = new Session(user, claim, ++this.#sessionNo, this.#nextSetNo(now), now.monoMs, now.wallMs);
    if (replaced !== undefined) session.earlierStartAt = replaced.startedAt;
    this.#link(session);
    this.#options.onSessions(user);
    return { session, change: this.#refold(session, replaced === undefined ? 'came' : 'returned', now) };
  }

  /** Renews the lease for a heartbeat that changes nothing. */
  renew(session: Session, now: Moment): void {
    session.signed(now.monoMs);
  }

  /** Notes a new address of a session without a connection. */
  noteAddress(session: Session, address: string): void {
    session.address = address;
  }

  /** Applies a heartbeat: renews the lease and sets changed values. Repeated values set nothing. */
  update(session: Session, said: SessionUpdate, now: Moment): Change | undefined {
    session.signed(now.monoMs);
    const isBack = session.phase === 'restored';
    this.#warm.remove(session);
    session.phase = 'live';
    if (isBack) session.connectedAt = now.wallMs;
    if (isBack || (said.leaseMs !== undefined && said.leaseMs !== session.leaseMs)) {
      session.leaseMs = said.leaseMs ?? session.leaseMs;
      this.#leases.moved(session);
    }
    const { status = session.status, code = session.code, text = session.text, device = session.device } = said;
    const setsStatus = status !== session.status || code !== session.code;
    const setsText = text !== session.text;
    if (!setsStatus && !setsText && device === session.device)
      return isBack ? this.#note(session, 'returned', now) : undefined;
    const setNo = this.#nextSetNo(now);
    if (setsStatus) session.statusSetNo = setNo;
    if (setsText) session.textSetNo = setNo;
    session.status = status;
    session.code = code;
    session.text = text;
    session.device = device;
    this.#options.onSessions(session.user);
    return this.#refold(session, isBack ? 'returned' : 'set', now);
  }

  /**
   * Extends the wait of a restored session whose source the hub cannot hear for now. It no longer counts as one that
   * the warm time waits for.
   */
  waitLonger(session: Session, forMs: number, now: Moment): void {
    const untilMs = now.monoMs + forMs;
    if (session.phase !== 'restored' || untilMs <= Math.max(session.waitEndsAt, this.#warm.endsAt)) return;
    this.#warm.remove(session);
    session.waitEndsAt = untilMs;
    this.#leases.moved(session);
  }

  /** Ends a session cleanly and at once, together with sessions of the same user and device that are in their grace. */
  leave(session: Session, now: Moment): Change | undefined {
    if (session.phase === 'ended') return this.leaveDevice(session.user.id, session.device, now);
    session.lastSignAt = now.monoMs;
    this.#unlink(session);
    for (const waiting of this.#endWaiting(session.user, session.device, now)) this.#note(waiting, 'left', now);
    return this.#refold(session, 'left', now);
  }

  /**
   * Ends sessions of that user and device in their grace, after a goodbye through a source that holds no session, or
   * after the device returned on another hub.
   */
  leaveDevice(id: string, device: string, now: Moment, cause: 'left' | 'returned' = 'left'): Change | undefined {
    const user = this.#users.find(id);
    if (user === undefined) return undefined;
    const [session, ...others] = this.#endWaiting(user, device, now);
    for (const other of others) this.#note(other, cause, now);
    return session === undefined ? undefined : this.#refold(session, cause, now);
  }

  /**
   * Starts the grace after an unclean end. The session stays visible that long, even if more of its lease was left. A
   * session that is not live ignores the call.
   */
  disconnect(session: Session, now: Moment, cause: Loss = 'lost'): Change | undefined {
    if (session.phase !== 'live') return undefined;
    const { graceMs, stalls, stallGraceMs } = this.#options;
    const lastsMs = stalls.isAftermath(now.monoMs) ? Math.max(graceMs, stallGraceMs) : graceMs;
    if (lastsMs === 0) return this.end(session, now, cause);
    session.phase = 'grace';
    session.waitEndsAt = now.monoMs + lastsMs;
    this.#leases.moved(session);
    if (lastsMs < stallGraceMs) this.#losses.add(session);
    this.#note(session, cause, now);
    return undefined;
  }

  /** Ends a session without a goodbye or a grace, because a target failed too often, an admin kicked it, and so on. */
  end(session: Session, now: Moment, cause: TransitionCause = 'failed'): Change | undefined {
    if (session.phase === 'ended') return undefined;
    this.#unlink(session);
    return this.#refold(session, cause, now);
  }

  /**
   * Ends what expired, for at most `budget` users, so that no tick takes long. Everything that expires in one tick ends
   * at the same moment. Otherwise a visible session would flash up if an invisible one of the same user ended before
   * it.
   */
  expire(now: Moment, budget: number): Expired {
    this.#losses.settle(now.monoMs, this.#options, (session) => this.#leases.moved(session));
    const ended: Session[] = [];
    const causes: TransitionCause[] = [];
    const { isMoreDue, holds } = this.#leases.tick(now, budget, ({ user }) => {
      this.#endAllOver(user, now, ended, causes);
    });
    const changes: Change[] = [];
    const lapsed: Session[] = [];
    for (let i = 0; i < ended.length; i++) {
      const session = ended[i] as Session;
      const cause = causes[i] as TransitionCause;
      if (cause === 'lapsed') lapsed.push(session);
      // Sessions of one user are adjacent. The last of them brings the change.
      const isLast = ended[i + 1]?.user !== session.user;
      const change = isLast ? this.#refold(session, cause, now) : this.#note(session, cause, now);
      if (change !== undefined) changes.push(change);
    }
    const doubted = holds.map(({ adapter, heldUntil, oldestSignAt }) => {
      return { adapter, heldUntil, since: this.#options.stalls.wallOf(oldestSignAt, now) };
    });
    return { changes, lapsed, doubted, isMoreDue };
  }

  #endAllOver(user: User, now: Moment, ended: Session[], causes: TransitionCause[]): void {
    let next: Session | null;
    for (let s = user.firstSession; s !== null; s = next) {
      next = s.next;
      if (!this.#leases.isOver(s, now)) continue;
      ended.push(s);
      causes.push(s.phase === 'live' ? 'lapsed' : s.phase === 'grace' ? 'grace_over' : 'not_back');
      if (s.phase === 'live') s.waitEndsAt = s.endsAt;
      this.#unlink(s);
    }
  }

  #link(session: Session): void {
    addToUser(session);
    this.#leases.add(session);
  }

  #unlink(session: Session): void {
    const { user } = session;
    this.#warm.remove(session);
    session.phase = 'ended';
    this.#leases.remove(session);
    user.endedSignAt = Math.max(user.endedSignAt, session.lastSignAt);
    removeFromUser(session);
    this.#options.onSessions(user);
  }

  #endWaiting(user: User, device: string, now: Moment): Session[] {
    const ended: Session[] = [];
    for (let s = lastWaiting(user, device); s !== undefined; s = lastWaiting(user, device)) {
      s.lastSignAt = now.monoMs;
      this.#unlink(s);
      ended.push(s);
    }
    return ended;
  }

  /** Notes a transition that leaves the user unchanged, at least for now. */
  #note(session: Session, cause: TransitionCause, now: Moment): undefined {
    const { status } = session.user.fold;
    this.#options.journal.note(now.wallMs, cause, session, status, status);
  }

  /** Returns a stamp that orders this setting after all earlier ones, also among hubs whose clocks agree. */
  #nextSetNo({ wallMs }: Moment): number {
    return (this.#lastSetNo = Math.max(this.#lastSetNo + 1, wallMs * STAMPS_A_MS));
  }

  /** Folds the user after a transition of a session, and asks the ledger to agree. */
  #refold(session: Session, cause: TransitionCause, now: Moment): Change | undefined {
    const { user, adapter, no } = session;
    const { journal, ledger, sessionIdOf } = this.#options;
    const fold = foldSessions(user, this.#users.offline);
    journal.note(now.wallMs, cause, session, user.fold.status, fold.status);
    if (!isVisible(user.fold) && isVisible(fold)) user.visibleFromAt = now.monoMs;
    const agreed = ledger.settle(user, fold, now, session, cause);
    if (agreed === undefined) return undefined;
    const source = { adapter, session: sessionIdOf(no) };
    return this.adopt(user, agreed, { cause, source, lapsedAt: cause === 'lapsed' ? session.waitEndsAt : null }, now);
  }

  /** Makes the user what the ledger agreed on. @returns the change for those who are to be notified. */
  adopt(user: User, { fold, since, lastSeen, v }: Agreed, origin: Origin, now: Moment): Change {
    const from = shownOf(user.fold, this.#users.offline).status;
    const isShown = v !== user.v;
    user.fold = fold;
    if (isShown) {
      user.since = since;
      user.lastSeen = lastSeen;
      user.v = v;
      user.entryJson = null;
      user.adminEntryJson = null;
    }
    return { user, isShown, ...origin, from, at: now.wallMs };
  }
}
