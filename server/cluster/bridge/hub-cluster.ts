/**
 * Joins a hub to its cluster: reports the sessions of this hub to the node, and makes users what the cluster agrees
 * on. Presence asks it as its ledger. Knows neither Redis nor sockets.
 */
import type { TransitionCause } from '../../../shared/messages/explain.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { Frozen } from '../../presence/blocks.ts';
import type { Change } from '../../presence/change.ts';
import type { Ledger } from '../../presence/entries.ts';
import type { Fold, Shown } from '../../presence/fold.ts';
import type { Presence } from '../../presence/presence.ts';
import { sessionOfNo, sessionsOf } from '../../presence/sessions/session-list.ts';
import type { Session } from '../../presence/sessions/session.ts';
import type { Remembered, User } from '../../presence/user.ts';
import type { UsersOptions } from '../../presence/users.ts';
import type { Calls } from '../calls.ts';
import type { EngineConnection } from '../engine.ts';
import type { NodeEvents } from '../node-events.ts';
import type { NodeHost } from '../node-options.ts';
import { ClusterNode } from '../node.ts';
import { Orphans } from '../orphans.ts';
import { isErased } from '../record/record.ts';
import { BlockEdits } from './block-edits.ts';
import { Adoption, type AdoptionOptions } from './adoption.ts';
import { ClusterPeers } from './cluster-peers.ts';
import { ClusterTimekeeper } from './cluster-timekeeper.ts';
import { encodeOrigin } from './origins.ts';
import { noOf, ownPart } from './own-sessions.ts';
import { rememberedOf } from './records.ts';

export interface HubClusterOptions {
  readonly clock: Clock;
  /** A clock in milliseconds that never goes back, and does not leave out stalls. */
  readonly nowMs: () => number;
  readonly offline: Shown;
  readonly sessionIdOf: (no: number) => string;
  readonly buckets: number;
  readonly url: string;
  readonly leaseMs: number;
  readonly graceMs: number;
  readonly warmMs: number;
  readonly newInc: () => string;
  readonly connection: EngineConnection;
  readonly calls: Calls;
  /** Whether a live node has the target of this user and device in its file, and so polls it now. */
  readonly isPolled: (user: string, device: string) => boolean;
  readonly events: NodeEvents;
  /** Another node has sent a text. */
  readonly onDirectMessage: (text: string) => void;
  /** Called for the message of an operation of any node. `t`: when it happened, on the engine's clock. */
  readonly onOperation: (op: string, t: number) => void;
  /** Called when views fall behind or catch up, so that watchers can be notified at once. */
  readonly onLate: () => void;
}

/** The parts of the hub that are built after the cluster. */
export interface HubParts extends Omit<AdoptionOptions, 'clock' | 'isOwn' | 'epochOf'> {
  readonly presence: Presence;
  /** This hub has written the record of a user, or found it as it should be: then both are the same. */
  readonly onWritten: NodeHost['onWritten'];
  /** The user is held now because of sessions of nodes that left or died, or is no longer held. */
  readonly onOrphan: (user: User) => void;
  readonly onReleased: (user: User) => void;
  /** Ends a session whose user was erased. */
  readonly kick: (session: Session) => void;
  /**
   * A user whose sessions have ended is to be deleted up to the version `n`, after watchers are sent its last entry.
   * `change`: what led to that entry, if the user is held.
   */
  readonly onErased: (user: string, n: number, change: Change | undefined) => void;
}

const NO_FROZEN: ReadonlyMap<string, Frozen> = new Map();

export class HubCluster implements Ledger {
  readonly node: ClusterNode;
  readonly peers: ClusterPeers;
  readonly timekeeper: ClusterTimekeeper;
  readonly blockEdits = new BlockEdits();
  readonly orphans: Orphans;
  readonly #options: HubClusterOptions;
  readonly #incs: string[] = [];
  /** The last transition of each user whose record is still to be written. */
  readonly #origins = new Map<string, string>();
  readonly #scheduled = new Set<string>();
  #parts: (HubParts & { readonly adoption: Adoption }) | undefined;

  constructor(options: HubClusterOptions) {
    const { nowMs, offline, buckets, url, leaseMs, graceMs, warmMs, newInc, connection } = options;
    this.#options = options;
    this.node = new ClusterNode({
      engine: connection.engine,
      buckets,
      offline,
      url,
      leaseMs,
      graceMs,
      warmMs,
      now: nowMs,
      random: Math.random,
      host: this.#host(),
      newInc: () => {
        const inc = newInc();
        this.#incs.push(inc);
        return inc;
      },
    });
    this.peers = new ClusterPeers({
      ...options,
      node: this.node,
      findUser: (user) => this.#parts?.users.find(user),
      scheduleWrite: (user) => this.scheduleWriteById(user),
      writeNow: () => this.#writeScheduled(),
      leaveHere: (user, device) => void this.#parts?.presence.leaveDevice(user, device, options.clock.now()),
    });
    this.timekeeper = new ClusterTimekeeper(() => this.node);
    this.orphans = new Orphans(this.node, buckets);
  }

  get adoption(): Adoption {
    if (this.#parts === undefined) throw new Error('the hub is not built yet');
    return this.#parts.adoption;
  }

  /** Joins the cluster with these parts of the hub. */
  start(parts: HubParts): void {
    const adoption = new Adoption({
      ...parts,
      clock: this.#options.clock,
      isOwn: ({ op }) => this.isOwn(op),
      epochOf: (user) => this.node.buckets.chainOf(user).epoch,
    });
    this.#parts = { ...parts, adoption };
    this.#options.connection.connect(this.node);
  }

  /** Nothing in this hub needs the user any more. */
  #released(user: User): void {
    this.#origins.delete(user.id);
    this.#parts?.users.setBlocks(user.id, NO_FROZEN);
    this.#parts?.onReleased(user);
    this.peers.unneeded(user.id);
  }

  /** Whether this node has done the operation. */
  isOwn(op: string): boolean {
    return this.#incs.some((inc) => op.startsWith(`${inc}.`));
  }

  /** Does what is due. Must be called about ten times a second. */
  tick(): void {
    this.node.tick();
    this.peers.tick();
  }

  /** Says goodbye to the other nodes. The sessions of this hub keep the rest of their leases there. */
  async stop(): Promise<void> {
    this.#writeScheduled();
    try {
      await this.node.leave();
    } catch {
      // The store is away, so the others notice by themselves.
    }
    this.#options.connection.stop();
  }

  /** Schedules writing the sessions of a user, after this step. */
  readonly scheduleWrite = (user: User): void => {
    user.isUnsaved = true; // it stays in memory until its last heartbeat is written
    this.scheduleWriteById(user.id);
  };

  scheduleWriteById(user: string): void {
    if (this.#scheduled.size === 0) queueMicrotask(() => this.#writeScheduled());
    this.#scheduled.add(user);
  }

  settle(user: User, _fold: Fold, _now: unknown, session: Session, cause: TransitionCause): undefined {
    const source = { adapter: session.adapter, session: this.#options.sessionIdOf(session.no) };
    this.#origins.set(user.id, encodeOrigin(cause, source));
    this.scheduleWrite(user);
  }

  /** What `Users` needs of the cluster. */
  get reads(): Pick<UsersOptions, 'recall' | 'recallMany' | 'isNeeded' | 'onReleased'> {
    return {
      recall: (user, isHeld) => this.#recall(user, isHeld),
      recallMany: (users, isHeld) => users.map((user) => this.#recall(user, isHeld)),
      isNeeded: ({ id }) => this.orphans.has(id),
      onReleased: (user) => this.#released(user),
    };
  }

  /** What the cluster knows of a user. If that is not known here, it is asked for, and reported as a change. */
  #recall(user: string, isHeld: (user: string) => boolean): Remembered | undefined {
    const { replicas } = this.node;
    const replica = replicas.get(user);
    this.peers.unneeded(user);
    if (replica?.isKnown !== true) this.node.load([user])?.catch(() => undefined);
    const record = replica?.record;
    if (replica === undefined || record === undefined || isErased(record)) return undefined;
    if (!isHeld(user)) this.#parts?.users.setBlocks(user, this.adoption.shownHidden(user, record));
    return rememberedOf(user, record, replicas.versionOf(replica), this.#options.offline);
  }

  #host(): NodeHost {
    return {
      ...this.#options,
      own: (user) => this.#own(user),
      usersHere: () => this.#usersHere(),
      report: (user, record, v) => {
        if (isErased(record)) {
          return this.#parts?.onErased(user, record.n, this.adoption.erase(user, v));
        }
        this.blockEdits.written(user, record.hidden);
        if (record.origin === this.#origins.get(user)) this.#origins.delete(user);
        this.#parts?.adoption.adopt(user, record, v);
      },
      onBegan: (user, device) =>
        void this.#parts?.presence.leaveDevice(user, device, this.#options.clock.now(), 'returned'),
      onErased: (user) => this.#endErased(user),
      onSuperseded: (user, key) => this.#endSuperseded(user, key),
      onWritten: (user, before, after) => this.#parts?.onWritten(user, before, after),
      load: (users) => this.peers.hold(users),
      onOrphan: (user, isOrphan) => this.#noteOrphan(user, isOrphan),
      onRejoin: () => this.#endWaiting(),
      onDeadSubscription: () => void this.#options.connection.replacePush(),
    };
  }

  #noteOrphan(id: string, isOrphan: boolean): void {
    if (this.#parts === undefined || !this.orphans.set(id, isOrphan)) return;
    const { users, onOrphan } = this.#parts;
    const user = isOrphan ? users.acquire(id) : users.find(id);
    if (user === undefined) return;
    if (isOrphan) onOrphan(user);
    else users.release(user);
  }

  #own(id: string): ReturnType<NodeHost['own']> {
    const user = this.#parts?.users.find(id);
    const nowMs = this.#options.nowMs();
    const part = user === undefined ? { sessions: [], signAgeMs: null } : ownPart(user, this.#options.clock.now());
    const goodbyes = this.peers.goodbyesOf(id).map(({ device, atMs }) => ({ device, ageMs: nowMs - atMs }));
    const origin = this.#origins.get(id) ?? '';
    return { ...part, goodbyes, origin, blocks: this.blockEdits.of(id) };
  }

  *#usersHere(): Generator<string> {
    for (const { id, firstSession } of this.#parts?.users.held() ?? []) if (firstSession !== null) yield id;
  }

  #writeScheduled(): void {
    const users = [...this.#scheduled];
    this.#scheduled.clear();
    for (const user of users) {
      this.node.scheduleWrite(user);
      this.peers.unneeded(user);
      void this.node.publisher.written(user)?.then(() => this.#written(user));
    }
  }

  #written(id: string): void {
    if (this.#scheduled.has(id) || this.node.publisher.isWriting(id)) return;
    // An edit that the record held before changes nothing, so nothing is reported. Kept, it would undo a later one.
    this.blockEdits.written(id, this.node.replicas.get(id)?.record?.hidden ?? NO_FROZEN);
    const users = this.#parts?.users;
    const user = users?.find(id);
    if (user === undefined) return;
    user.isUnsaved = false;
    users?.release(user);
  }

  /** Nothing that this hub still wanted to write of the user is written. */
  #endErased(id: string): void {
    const user = this.#parts?.users.find(id);
    if (user !== undefined) for (const session of sessionsOf(user)) this.#parts?.kick(session);
    this.blockEdits.forget(id);
    this.#origins.delete(id);
    this.peers.forgetGoodbyes(id);
  }

  /** The session goes on on another node. */
  #endSuperseded(user: string, key: string): void {
    const held = this.#parts?.users.find(user);
    const session = held && sessionOfNo(held, noOf(key));
    if (session !== undefined) this.#parts?.presence.end(session, this.#options.clock.now(), 'returned');
  }

  /** The users of these sessions had time to return elsewhere, and other nodes have ended the remaining sessions. */
  #endWaiting(): void {
    const now = this.#options.clock.now();
    for (const user of this.#parts?.users.held() ?? []) {
      const waiting = sessionsOf(user).filter(({ phase }) => phase !== 'live');
      for (const session of waiting) this.#parts?.presence.end(session, now, 'grace_over');
    }
  }
}
