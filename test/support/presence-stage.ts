/**
 * A stage for tests of the core: a `Presence` with a clock that the test moves and a store that is a `Map`.
 * Remembers every change that the core reported. Knows nothing of watchers.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { Moment } from '../../server/lib/time/clock.ts';
import { noStalls } from '../../server/lib/time/stall-clock.ts';
import { Journal } from '../../server/presence/explain/journal.ts';
import { VersionClock } from '../../server/presence/version-clock.ts';
import type { Change, Expired } from '../../server/presence/change.ts';
import { OwnLedger } from '../../server/presence/entries.ts';
import { offlineFold } from '../../server/presence/fold.ts';
import { Presence } from '../../server/presence/presence.ts';
import { findSession } from '../../server/presence/sessions/session-list.ts';
import type { AdapterName, NewSession, SessionUpdate, Session } from '../../server/presence/sessions/session.ts';
import type { Remembered, User } from '../../server/presence/user.ts';
import { Users, type UsersOptions } from '../../server/presence/users.ts';
import type { Viewer } from '../../server/presence/viewer.ts';
import { TestClock } from './clock.ts';

export const GRACE_MS = 800;
export const LEASE_MS = 5_000;
/** How late an expired lease may be found: one tick of the core's wheel. */
export const TICK_MS = 50;

export const codeOf = { online: 1, away: 2, busy: 3, invisible: -1 } as const;

/** Sees everything, regardless of blocks. */
export const admin: Viewer = { user: null, isAdmin: true, follower: null, mayObserve: true };

/** A user who may watch anyone. */
export function observer(user: string): Viewer {
  return { user, isAdmin: false, follower: user, mayObserve: true };
}

/** A user who may watch its friends. */
export function plain(user: string): Viewer {
  return { user, isAdmin: false, follower: user, mayObserve: false };
}

interface TestCoreOptions extends Partial<Pick<UsersOptions, 'hidesLastSeen' | 'recall' | 'recallMany'>> {
  readonly graceMs: number;
  readonly hubClock: VersionClock;
  readonly journal: Journal;
  readonly now: Moment;
  readonly onSessions?: (user: User) => void;
  readonly storeFirsts?: () => void;
}

/** The core of a single hub, as the map joins it. By default with a store that knows nobody. */
export function buildTestCore(options: TestCoreOptions): { users: Users; ledger: OwnLedger; presence: Presence } {
  const { graceMs, hubClock, journal, now, hidesLastSeen = false, onSessions = () => undefined } = options;
  const { recall = () => undefined, recallMany = (users: readonly string[]) => users.map(() => undefined) } = options;
  const offline = offlineFold(-1);
  const { storeFirsts = () => undefined } = options;
  const users = new Users({ offline, hidesLastSeen, recall, recallMany, storeFirsts });
  const ledger = new OwnLedger(hubClock, noStalls, offline);
  const massLapse = { sessions: 100, percent: 20, holdMs: 0, sourceOf: () => undefined };
  const sessionIdOf = (no: number): string => `hub.${no}`;
  const rules = { graceMs, stalls: noStalls, stallGraceMs: 25_000, massLapse };
  return { users, ledger, presence: new Presence({ users, ledger, journal, sessionIdOf, onSessions, ...rules }, now) };
}

export interface StageOptions {
  readonly graceMs?: number;
  readonly hidesLastSeen?: boolean;
  readonly onChange?: (change: Change) => void;
}

export class PresenceStage {
  readonly clock = new TestClock();
  readonly stored = new Map<string, Remembered>();
  readonly journal = new Journal([1, 2], this.clock.now().wallMs);
  readonly ceilings: number[] = [];
  readonly hubClock = new VersionClock(0, (ceiling) => this.ceilings.push(ceiling) > 0);
  readonly changes: Change[] = [];
  /** How often users were stored because one of them was to be shown. */
  storings = 0;
  /** Notes whom the core asks the store for. */
  onRecall: (user: string) => void = () => undefined;
  /** Notes each query for many users. */
  onRecallMany: (users: readonly string[]) => void = () => undefined;
  readonly users: Users;
  readonly ledger: OwnLedger;
  readonly presence: Presence;
  readonly graceMs: number;
  readonly #onChange: (change: Change) => void;

  constructor({ graceMs = GRACE_MS, hidesLastSeen = false, onChange = () => {} }: StageOptions = {}) {
    this.graceMs = graceMs;
    this.#onChange = onChange;
    const built = buildTestCore({
      graceMs,
      hidesLastSeen,
      hubClock: this.hubClock,
      journal: this.journal,
      now: this.clock.now(),
      onSessions: (user) => (user.isUnsaved = true),
      recall: (user) => {
        this.onRecall(user);
        return this.stored.get(user);
      },
      recallMany: (users) => {
        this.onRecallMany(users);
        return users.map((user) => this.stored.get(user));
      },
      storeFirsts: () => this.#storeFirsts(),
    });
    this.users = built.users;
    this.ledger = built.ledger;
    this.presence = built.presence;
  }

  begin(user: string, claim: Partial<NewSession> = {}): Session {
    const status = claim.status ?? 'online';
    const { session, change } = this.presence.begin(
      {
        user,
        device: 'web',
        adapter: 'ws-json',
        status,
        code: codeOf[status],
        text: undefined,
        leaseMs: LEASE_MS,
        address: '10.0.0.7:5222',
        owner: { lapsed: () => {} },
        ...claim,
      },
      this.clock.now(),
    );
    this.note(change);
    return session;
  }

  /** Says a status with its usual code, or whatever else is given. */
  say(session: Session, said: SessionUpdate): Change | undefined {
    const code = said.code ?? (said.status === undefined ? undefined : codeOf[said.status]);
    return this.note(this.presence.update(session, { ...said, code }, this.clock.now()));
  }

  findSession(user: string, device: string, adapter: AdapterName): Session | undefined {
    const held = this.users.find(user);
    return held === undefined ? undefined : findSession(held, device, adapter);
  }

  renew(session: Session): void {
    this.presence.renew(session, this.clock.now());
  }

  lose(session: Session): Change | undefined {
    return this.note(this.presence.disconnect(session, this.clock.now()));
  }

  leave(session: Session): Change | undefined {
    return this.note(this.presence.leave(session, this.clock.now()));
  }

  leaveDevice(user: string, device: string): Change | undefined {
    return this.note(this.presence.leaveDevice(user, device, this.clock.now()));
  }

  giveUp(session: Session): Change | undefined {
    return this.note(this.presence.end(session, this.clock.now()));
  }

  /** Time passes, and the expiry looks once at its end. */
  pass(ms: number): Expired {
    this.clock.pass(ms);
    const expired = this.presence.expire(this.clock.now(), 100_000);
    for (const change of expired.changes) this.note(change);
    return expired;
  }

  /** Stores every user, and releases those that nothing needs in memory. */
  evict(): void {
    for (const user of [...this.users.held()]) {
      if (user.isUnsaved) this.#store(user);
      this.users.release(user);
    }
  }

  #storeFirsts(): void {
    this.storings++;
    for (const user of this.users.held()) if (user.isUnsaved && !user.isStored) this.#store(user);
  }

  #store(user: User): void {
    this.stored.set(user.id, { since: user.since ?? 0, lastSeen: user.lastSeen, v: user.v });
    user.isUnsaved = false;
    user.isStored = true;
  }

  entry(user: string): Entry {
    return this.users.entryOf(this.users.peek(user));
  }

  /** The entry as somebody sees it. */
  entryFor(user: string, viewer: Viewer): Entry {
    return JSON.parse(this.users.entryJsonFor(this.users.peek(user), viewer)) as Entry;
  }

  /** Remembers a change and hands it on. */
  note(change: Change | undefined): Change | undefined {
    if (change !== undefined) {
      this.changes.push(change);
      this.#onChange(change);
    }
    return change;
  }
}
