/**
 * THE CORE: which users are present. Applies the reports of adapters to sessions, folds them into one entry per user,
 * assigns versions, and ends leases. Synchronous and pure: no I/O, no timer, no clock. `now` is an argument, and stored
 * entries are recalled through a function. Every cause of a change of status ends in `#refold`. Must not know of
 * sockets, formats or watchers.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { Moment } from '../lib/time/clock.ts';
import { IdTable } from '../lib/collections/id-table.ts';
import { ownId, type IdsInText } from '../lib/log/ids-in-text.ts';
import { Blocks, type Frozen } from './blocks.ts';
import { foldSessions, isVisible, sameFold, sameShown, shownOf, type Shown } from './fold.ts';
import { Leases } from './sessions/leases.ts';
import type { Change, Expired } from './change.ts';
import { RecentLosses } from './sessions/recent-losses.ts';
import { restoreSession, storableSession, type RestoredSession } from './sessions/restored-session.ts';
import {
  addToUser,
  countWith,
  findSession,
  isOn,
  lastSignOf,
  lastWaiting,
  removeFromUser,
} from './sessions/session-list.ts';
import { Session, type AdapterName, type NewSession, type SessionUpdate } from './sessions/session.ts';
import type { PresenceOptions } from './presence-options.ts';
import { entryOf, latestSeen, User, type Remembered } from './user.ts';
import type { Viewer } from './viewer.ts';
import { versionFor, Views } from './views.ts';

export type Loss = Extract<TransitionCause, 'lost' | 'closed' | 'token_ran_out'>;

const FIRST_SESSION = { count: 1, replaces: false };

export class Presence {
  readonly #options: PresenceOptions;
  readonly #offline: Shown;
  readonly #users = new IdTable<User>();
  readonly #blocks = new Blocks();
  readonly #views: Views;
  readonly #leases: Leases;
  #setNo = 0;
  #sessionNo = 0;
  #restoredCount = 0;
  #warmEndsAt = 0;
  readonly #losses = new RecentLosses();

  constructor(options: PresenceOptions, now: Moment) {
    this.#options = options;
    this.#leases = new Leases(options.massLapse, now.monoMs);
    this.#offline = Object.freeze({
      status: 'offline',
      code: options.offlineCode,
      devices: [],
      shownDevices: [],
      text: '',
    });
    this.#views = new Views(this.#offline, options.hidesLastSeen);
  }

  /** Sessions by adapter, including those in their grace. */
  get sessionCounts(): Readonly<Record<AdapterName, number>> {
    return this.#leases.counts;
  }

  /** Sessions of all adapters, including those in their grace and restored ones. */
  get sessionTotal(): number {
    return this.#leases.total;
  }

  /** The user if it is held. */
  find(id: string): User | undefined {
    return this.#users.get(id);
  }

  /** The held user, or one recalled for this read only. */
  peek(id: string): User {
    return this.#users.get(id) ?? this.#recall(id);
  }

  /**
   * Like `peek`, but returns the entry as JSON and takes equally long for every user that is shown offline, so that
   * timing reveals neither an invisible user nor a block. Each costs one store read and one new entry, whether the user
   * is gone, is invisible with any number of sessions, or blocks the viewer.
   */
  peekAs(id: string, viewer: Viewer): string {
    const held = this.#users.get(id);
    if (held !== undefined && this.#views.isVisibleTo(held, viewer)) return this.#views.jsonFor(held, viewer);
    const recalled = this.#recall(id);
    return this.#views.offlineJsonFor(held ?? recalled, viewer);
  }

  /** Returns the user and holds it. The caller must give it an audience or `release` it. */
  acquire(id: string): User {
    const held = this.#users.get(id);
    if (held !== undefined) return held;
    const user = this.#recall(id);
    this.#users.add(user);
    return user;
  }

  /** Like `acquire`, for all users of a list, in its order, for a viewer that is about to watch them. */
  acquireListed(list: IdsInText, viewer: Viewer): User[] {
    const users = this.#users.getAll(list);
    const missing: number[] = [];
    for (let i = 0; i < users.length; i++) {
      const user = users[i];
      if (user === undefined || this.#costsAsGone(user, viewer)) missing.push(i);
    }
    if (missing.length === 0) return users as User[];
    const held = this.acquireAll(
      missing.map((i) => ownId(list, i)),
      viewer,
    );
    for (const [n, i] of missing.entries()) users[i] = held[n];
    return users as User[];
  }

  /**
   * Like `acquire`, for these ids, in their order. One store read covers all users that are not held or seem gone to
   * the viewer.
   */
  acquireAll(ids: readonly string[], viewer?: Viewer): User[] {
    const held = ids.map((id) => this.#users.get(id));
    const isAsked = (user: User | undefined): boolean =>
      user === undefined || (viewer !== undefined && this.#costsAsGone(user, viewer));
    const recalled = this.#recallMany(ids.filter((_, i) => isAsked(held[i])));
    for (const [id, user] of recalled) {
      const seemsGone = this.#users.get(id);
      if (seemsGone === undefined) this.#users.add(user);
      else if (viewer !== undefined) this.#views.forget(seemsGone, viewer);
    }
    return held.map((user, i) => user ?? (recalled.get(ids[i] as string) as User));
  }

  /** Like `peekAs`, for these ids, in their order. One store read covers all of them. */
  answersFor(ids: readonly string[], viewer: Viewer): string[] {
    const held = ids.map((id) => this.#users.get(id));
    const isVisible = held.map((user) => user !== undefined && this.#views.isVisibleTo(user, viewer));
    const recalled = this.#recallMany(ids.filter((_, i) => isVisible[i] !== true));
    return held.map((user, i) =>
      user !== undefined && isVisible[i] === true
        ? this.#views.jsonFor(user, viewer)
        : this.#views.offlineJsonFor(user ?? (recalled.get(ids[i] as string) as User), viewer),
    );
  }

  /** Drops a user from memory if nothing needs it there. */
  release(user: User): void {
    if (user.firstSession !== null || user.isUnsaved) return;
    if (user.audience === null || user.audience.isEmpty) this.#users.delete(user.id);
  }

  /** Every held user, in no particular order. */
  heldUsers(): Iterable<User> {
    return this.#users.values();
  }

  entryOf(user: User): Entry {
    return entryOf(user, this.#offline);
  }

  /** The entry as this viewer may see it, as JSON. Each form is made once per version. */
  entryJsonFor(user: User, viewer: Viewer): string {
    return this.#views.jsonFor(user, viewer);
  }

  /** Like `entryJsonFor`, for a list of all users, whose entries together would take much memory. */
  entryJsonOnceFor(user: User, viewer: Viewer): string {
    return this.#views.jsonOnceFor(user, viewer);
  }

  /**
   * Whether the viewer sees the user as present, with a session on that adapter. Doubts about the adapter then concern
   * this viewer.
   */
  isShownOn(user: User, viewer: Viewer, adapter: AdapterName): boolean {
    return this.#views.isVisibleTo(user, viewer) && isOn(user, adapter);
  }

  /** The version of the entry that this viewer sees. */
  versionFor(user: User, viewer: Viewer): number {
    return versionFor(user, viewer);
  }

  /** Returns what a viewer sees of a user that blocks it now, as if the user had left. */
  freeze(user: User, now: Moment): Frozen {
    // A user that is already shown offline must look unchanged. A new version would reveal the block.
    if (!isVisible(user.fold)) return { since: user.since, lastSeen: user.lastSeen, v: user.v };
    const v = this.#options.clock.versionAfter(user.v, now.wallMs);
    // A goodbye is a heartbeat. With an older `lastSeen` the block would look like no other end.
    return { since: now.wallMs, lastSeen: now.wallMs, v };
  }

  /** Shows the frozen entry to the viewer from now on. */
  hide(id: string, viewer: string, frozen: Frozen): void {
    this.#blocks.set(id, viewer, frozen);
    const user = this.#users.get(id);
    if (user !== undefined) user.hiddenFrom = this.#blocks.of(id);
  }

  /** Lifts a block. The viewer sees the user's own entry again, with a version above all that it has seen. */
  reveal(user: User, viewer: string, now: Moment): void {
    const frozen = user.hiddenFrom?.get(viewer);
    if (frozen === undefined) return;
    this.#blocks.lift(user.id, viewer);
    user.hiddenFrom = this.#blocks.of(user.id);
    const v = Math.max(user.v, frozen.v);
    if (v === 0) return; // nobody has ever seen this user
    user.v = this.#options.clock.versionAfter(v, now.wallMs);
    user.entryJson = null;
    user.adminEntryJson = null;
    this.#options.onSessions(user);
  }

  /** Number of sessions that are still restored, without those over HTTP whose lease outlasts the warm time anyway. */
  get restoredCount(): number {
    return this.#restoredCount;
  }

  /**
   * Restores a user of the previous run, at the start. Its sessions count until their user and device are back, or
   * until the later of `warmMs` and the rest of a lease over HTTP. The entry does not change, so nobody is notified.
   */
  restore(id: string, entry: Remembered, sessions: readonly RestoredSession[], warmMs: number, now: Moment): void {
    const user = new User(id, this.#offline, entry, this.#blocks.of(id));
    this.#users.add(user);
    const restored: Session[] = [];
    for (const stored of sessions) {
      const session = restoreSession(user, stored, this.#sessionNo + 1, warmMs, now);
      if (session === undefined) continue;
      this.#sessionNo++;
      restored.push(session);
      this.#setNo = Math.max(this.#setNo, session.statusSetNo, session.textSetNo);
      this.#warmEndsAt = now.monoMs + warmMs;
      this.#link(session);
      if (this.#isWarm(session)) this.#restoredCount++;
    }
    user.fold = foldSessions(user, this.#offline);
    for (const session of restored) this.#note(session, 'restored', now);
    // Heartbeats from before the visible status began are in `lastSeen` already.
    user.visibleFromAt = now.monoMs - (now.wallMs - (user.since ?? now.wallMs));
    user.endedSignAt = -Infinity;
  }

  /** The live session of a source without its own connection. User and device identify it. */
  findSession(id: string, device: string, adapter: AdapterName): Session | undefined {
    const user = this.#users.get(id);
    return user === undefined ? undefined : findSession(user, device, adapter);
  }

  /** Returns how many sessions the user would have with this one, and whether this one would replace another. */
  countWith({ user: id, device, status }: NewSession): { readonly count: number; readonly replaces: boolean } {
    const user = this.#users.get(id);
    return user === undefined ? FIRST_SESSION : countWith(user, device, status);
  }

  /** Begins a session. It silently replaces one of the same user and device that is in its grace or restored. */
  begin(claim: NewSession, now: Moment): { readonly session: Session; readonly change: Change | undefined } {
    const user = this.acquire(claim.user);
    const replaced = lastWaiting(user, claim.device, claim.status);
    if (replaced !== undefined) this.#unlink(replaced);
    const session = new Session(user, claim, ++this.#sessionNo, ++this.#setNo, now.monoMs, now.wallMs);
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
  heardFrom(session: Session, address: string): void {
    session.address = address;
  }

  /** Applies a heartbeat: renews the lease and sets changed values. Repeated values set nothing. */
  update(session: Session, said: SessionUpdate, now: Moment): Change | undefined {
    session.signed(now.monoMs);
    const isBack = session.phase === 'restored';
    if (this.#isWarm(session)) this.#restoredCount--;
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
    const setNo = ++this.#setNo;
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
    if (session.phase !== 'restored' || untilMs <= Math.max(session.waitEndsAt, this.#warmEndsAt)) return;
    if (this.#isWarm(session)) this.#restoredCount--;
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

  /** Ends sessions of that user and device in their grace, after a goodbye through a source that holds no session. */
  leaveDevice(id: string, device: string, now: Moment): Change | undefined {
    const user = this.#users.get(id);
    if (user === undefined) return undefined;
    const [session, ...others] = this.#endWaiting(user, device, now);
    for (const other of others) this.#note(other, 'left', now);
    return session === undefined ? undefined : this.#refold(session, 'left', now);
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

  /** Ends a session without a goodbye or a grace, because a target failed too often or an admin kicked it. */
  end(session: Session, now: Moment, cause: Loss | 'failed' | 'kicked' = 'failed'): Change | undefined {
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

  /** The sessions of a user as the next run may restore them. */
  sessionsOf(user: User, now: Moment): RestoredSession[] {
    const sessions: RestoredSession[] = [];
    for (let s = user.firstSession; s !== null; s = s.next) {
      // The heartbeat of a session that has since ended still counts for the user. It is stored with the first session.
      const signAt = s === user.firstSession ? Math.max(s.lastSignAt, user.endedSignAt) : s.lastSignAt;
      sessions.push(storableSession(s, this.#options.stalls.wallOf(signAt, now), now));
    }
    return sessions;
  }

  #isWarm(session: Session): boolean {
    return session.phase === 'restored' && session.waitEndsAt <= this.#warmEndsAt;
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

  /**
   * Whether the first watcher of a user must cost as much as for a user that is gone, so that timing reveals nothing.
   * This is so if the user is in memory only for its sessions but is shown offline. The cost is a store read and a new
   * entry. A watched user is excepted, because it would be in memory without a session too.
   */
  #costsAsGone(user: User, viewer: Viewer): boolean {
    return (user.audience === null || user.audience.isEmpty) && !this.#views.isVisibleTo(user, viewer);
  }

  #recall(id: string): User {
    return new User(id, this.#offline, this.#options.recall(id), this.#blocks.of(id));
  }

  #recallMany(ids: readonly string[]): ReadonlyMap<string, User> {
    const users = new Map<string, User>();
    if (ids.length === 0) return users;
    if (ids.length === 1) return users.set(ids[0] as string, this.#recall(ids[0] as string));
    const remembered = this.#options.recallMany(ids);
    for (const [i, id] of ids.entries()) users.set(id, new User(id, this.#offline, remembered[i], this.#blocks.of(id)));
    return users;
  }

  #unlink(session: Session): void {
    const { user } = session;
    if (this.#isWarm(session)) this.#restoredCount--;
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

  /** Folds the user after a transition of a session. Raises the version if the entry changed. */
  #refold(session: Session, cause: TransitionCause, now: Moment): Change | undefined {
    const { user } = session;
    const before = user.fold;
    const after = foldSessions(user, this.#offline);
    this.#options.journal.note(now.wallMs, cause, session, before.status, after.status);
    if (sameFold(before, after)) return undefined;
    const shownBefore = shownOf(before, this.#offline);
    const shownAfter = shownOf(after, this.#offline);
    user.fold = after;
    const isShown = !sameShown(shownBefore, shownAfter);
    if (isShown) {
      if (!isVisible(before)) user.visibleFromAt = now.monoMs;
      user.lastSeen = this.#lastSeen(user, now);
      if (shownBefore.status !== shownAfter.status) user.since = now.wallMs;
      user.v = this.#options.clock.versionAfter(user.v, now.wallMs);
      user.entryJson = null;
      user.adminEntryJson = null;
    }
    const source = { adapter: session.adapter, session: this.#options.sessionIdOf(session.no) };
    const lapsedAt = cause === 'lapsed' ? session.waitEndsAt : null;
    return { user, isShown, cause, source, from: shownBefore.status, at: now.wallMs, lapsedAt };
  }

  /** The last heartbeat while the user was visible, on the wall clock. */
  #lastSeen(user: User, now: Moment): number | null {
    const signAt = lastSignOf(user);
    const seenAt = signAt < user.visibleFromAt ? null : this.#options.stalls.wallOf(signAt, now);
    return latestSeen(user.lastSeen, seenAt, now.wallMs);
  }
}
