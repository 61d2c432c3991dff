/**
 * THE CORE: who is there. Applies what adapters report to sessions, folds them to one entry a user, gives versions,
 * ends leases. Synchronous and pure: no I/O, no timer, no clock; `now` is an argument and what was stored is recalled
 * through a function. Every cause of a change ends in `#refold`, the one place that raises a version.
 * Called by intake and expiry; must not know of sockets, formats or watchers.
 */
import type { Entry } from '../../shared/entry.ts';
import type { TransitionCause } from '../../shared/explain.ts';
import type { Moment } from '../lib/clock.ts';
import { IdTable } from '../lib/id-table.ts';
import { ownId, type IdsInText } from '../lib/ids-in-text.ts';
import { Blocks, type Frozen } from './blocks.ts';
import { foldSessions, isVisible, sameFold, sameShown, shownOf, type Shown } from './fold.ts';
import { Leases } from './leases.ts';
import type { Change, Expired } from './change.ts';
import { RecentLosses } from './recent-losses.ts';
import { restoreSession, storableSession, type RestoredSession } from './restored-session.ts';
import { addToUser, countWith, findSession, isOn, lastSignOf, lastWaiting, removeFromUser } from './session-list.ts';
import { Session, type AdapterName, type NewSession, type SessionUpdate } from './session.ts';
import type { PresenceOptions } from './presence-options.ts';
import { entryOf, latestSeen, User, type Remembered } from './user.ts';
import type { Viewer } from './viewer.ts';
import { versionFor, Views } from './views.ts';

/** Why a session lost its connection. */
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

  /** Sessions by adapter, including those in their grace period. */
  get sessionCounts(): Readonly<Record<AdapterName, number>> {
    return this.#leases.counts;
  }

  /** Sessions of all adapters, those in their grace and restored ones included. */
  get sessionTotal(): number {
    return this.#leases.total;
  }

  /** The user if it is held. */
  find(id: string): User | undefined {
    return this.#users.get(id);
  }

  /** The user as held, or as recalled for this look alone. */
  peek(id: string): User {
    return this.#users.get(id) ?? this.#recall(id);
  }

  /**
   * The entry as JSON for one answer. Every user who is shown offline costs the same, so that the time of the answer tells
   * nothing more: one look in the store and one entry made for this answer, whether the user is gone, invisible with any
   * number of sessions, or blocks the viewer.
   */
  peekAs(id: string, viewer: Viewer): string {
    const held = this.#users.get(id);
    if (held !== undefined && this.#views.isVisibleTo(held, viewer)) return this.#views.jsonFor(held, viewer);
    const recalled = this.#recall(id);
    return this.#views.offlineJsonFor(held ?? recalled, viewer);
  }

  /** The user, held from now on: give it an audience or `release` it. */
  acquire(id: string): User {
    const held = this.#users.get(id);
    if (held !== undefined) return held;
    const user = this.#recall(id);
    this.#users.add(user);
    return user;
  }

  /** The same for all the users of a list, in its order, for a viewer who is going to watch them. */
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

  /** The same for these ids, in their order: the store is asked once for all that are not held, or seem not to be. */
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

  /** The same as `answerFor` for these ids, in their order: the store is asked once for all of them. */
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

  /** Lets go of a user whom nothing needs in memory any more. */
  release(user: User): void {
    if (user.firstSession !== null || user.isUnsaved) return;
    if (user.audience === null || user.audience.isEmpty) this.#users.delete(user.id);
  }

  /** Every user held, in no order. */
  heldUsers(): Iterable<User> {
    return this.#users.values();
  }

  entryOf(user: User): Entry {
    return entryOf(user, this.#offline);
  }

  /** The entry as this viewer may see it, as JSON; each form is made once for each version. */
  entryJsonFor(user: User, viewer: Viewer): string {
    return this.#views.jsonFor(user, viewer);
  }

  /** Whether the viewer is shown the user as present, with a session on that adapter: what is doubted concerns it then. */
  isShownOn(user: User, viewer: Viewer, adapter: AdapterName): boolean {
    return this.#views.isVisibleTo(user, viewer) && isOn(user, adapter);
  }

  /** The version of that entry. */
  versionFor(user: User, viewer: Viewer): number {
    return versionFor(user, viewer);
  }

  /** What is to be seen of a user by whom it blocks now: as if the user left. */
  freeze(user: User, now: Moment): Frozen {
    // One who is shown offline already looks no different: not even a version may tell of the block.
    if (!isVisible(user.fold)) return { since: user.since, lastSeen: user.lastSeen, v: user.v };
    const v = this.#options.clock.versionAfter(user.v, now.wallMs);
    // A goodbye is a sign of life: with an older one, no other end looks like it.
    return { since: now.wallMs, lastSeen: now.wallMs, v };
  }

  /** From now on the viewer sees the user so. */
  hide(id: string, viewer: string, frozen: Frozen): void {
    this.#blocks.set(id, viewer, frozen);
    const user = this.#users.get(id);
    if (user !== undefined) user.hiddenFrom = this.#blocks.of(id);
  }

  /** Lifts a block: the viewer sees the user as it is, in a version above any that it has seen. */
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

  /** How many sessions are still restored, but for those whose lease over HTTP outlasts the warm time anyway. */
  get restoredCount(): number {
    return this.#restoredCount;
  }

  /**
   * Takes up a user as the last run left it: its sessions count until their user and device are back, or until the
   * later of `warmMs` and the rest of a lease over HTTP. Nothing of the entry changes, so nobody is told. For the start.
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
    // What came before the visible status began is in `lastSeen` already.
    user.visibleFromAt = now.monoMs - (now.wallMs - (user.since ?? now.wallMs));
    user.endedSignAt = -Infinity;
  }

  /** The live session of a source that has no connection of its own: user and device are the session. */
  findSession(id: string, device: string, adapter: AdapterName): Session | undefined {
    const user = this.#users.get(id);
    return user === undefined ? undefined : findSession(user, device, adapter);
  }

  /** How many sessions the user would have with this one, and whether this one would take the place of another. */
  countWith({ user: id, device, status }: NewSession): { readonly count: number; readonly replaces: boolean } {
    const user = this.#users.get(id);
    return user === undefined ? FIRST_SESSION : countWith(user, device, status);
  }

  /** A session begins. It silently takes the place of one of its user and device that is in its grace or restored. */
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

  /** A sign of life that says nothing: it renews the lease, and does nothing else. */
  renew(session: Session, now: Moment): void {
    session.signed(now.monoMs);
  }

  /** A session without a connection may move. */
  heardFrom(session: Session, address: string): void {
    session.address = address;
  }

  /** A heartbeat: renews the lease, and applies what it gives another value. A repetition sets nothing. */
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

  /** A restored session whose source the hub cannot hear for now waits for that long from now, and no longer for the others. */
  waitLonger(session: Session, forMs: number, now: Moment): void {
    const untilMs = now.monoMs + forMs;
    if (session.phase !== 'restored' || untilMs <= Math.max(session.waitEndsAt, this.#warmEndsAt)) return;
    if (this.#isWarm(session)) this.#restoredCount--;
    session.waitEndsAt = untilMs;
    this.#leases.moved(session);
  }

  /** A clean end: counts at once, and takes what is in its grace of the same user and device with it. */
  leave(session: Session, now: Moment): Change | undefined {
    if (session.phase === 'ended') return this.leaveDevice(session.user.id, session.device, now);
    session.lastSignAt = now.monoMs;
    this.#unlink(session);
    for (const waiting of this.#endWaiting(session.user, session.device, now)) this.#note(waiting, 'left', now);
    return this.#refold(session, 'left', now);
  }

  /** A clean end said by a source that holds no session: ends what is in its grace of that user and device. */
  leaveDevice(id: string, device: string, now: Moment): Change | undefined {
    const user = this.#users.get(id);
    if (user === undefined) return undefined;
    const [session, ...others] = this.#endWaiting(user, device, now);
    for (const other of others) this.#note(other, 'left', now);
    return session === undefined ? undefined : this.#refold(session, 'left', now);
  }

  /** An unclean end: the session stays visible for its grace, however much lease was left. A late one says nothing. */
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

  /** Ends a session without a goodbye and without a grace: a target that failed too often, an admin's word. */
  end(session: Session, now: Moment, cause: Loss | 'failed' | 'kicked' = 'failed'): Change | undefined {
    if (session.phase === 'ended') return undefined;
    this.#unlink(session);
    return this.#refold(session, cause, now);
  }

  /**
   * Ends what ran out, of `budget` users at most, so that no look takes long. What ran out in one look ends in one
   * moment: else a visible session would flash up where an invisible one of the same user happened to be looked at first.
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
      // Those of one user stand together: the last of them brings the change.
      const isLast = ended[i + 1]?.user !== session.user;
      const change = isLast ? this.#refold(session, cause, now) : this.#note(session, cause, now);
      if (change !== undefined) changes.push(change);
    }
    const doubted = holds.map(({ adapter, heldUntil, oldestSignAt }) => {
      return { adapter, heldUntil, since: this.#options.stalls.wallOf(oldestSignAt, now) };
    });
    return { changes, lapsed, doubted, isMoreDue };
  }

  /** The sessions of a user as the next run may have to restore them. */
  sessionsOf(user: User, now: Moment): RestoredSession[] {
    const sessions: RestoredSession[] = [];
    for (let s = user.firstSession; s !== null; s = s.next) {
      // A sign of a session that has ended since counts for the user all the same: it goes with the first one.
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
   * Whether a user who is in memory for its sessions alone, but is shown offline, costs its first watcher what one who is gone
   * would: a look in the store and a new entry, so that the time does not tell. If somebody watches the user, it would be in memory without a session, too.
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

  /** Something happened to a session that changed nothing of its user, or nothing yet. */
  #note(session: Session, cause: TransitionCause, now: Moment): undefined {
    const { status } = session.user.fold;
    this.#options.journal.note(now.wallMs, cause, session, status, status);
  }

  /** Something happened to a session: what has become of its user? */
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
    return { user, isShown, cause, session, from: shownBefore.status, at: now.wallMs };
  }

  /** The last sign that came while the user was visible, on the wall clock. */
  #lastSeen(user: User, now: Moment): number | null {
    const signAt = lastSignOf(user);
    const seenAt = signAt < user.visibleFromAt ? null : this.#options.stalls.wallOf(signAt, now);
    return latestSeen(user.lastSeen, seenAt, now.wallMs);
  }
}
