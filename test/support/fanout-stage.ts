/**
 * A stage for tests of fan-out: the core's stage, friend lists in memory, and sockets that only note what they are
 * sent. A socket may be made slow: it then answers `queued` and hands nothing over until the test drains it.
 */
import type { User } from '../../server/presence/user.ts';
import { noPeers } from '../../server/peers.ts';
import { Delays } from '../../server/fanout/delivery/delays.ts';
import { Fanout } from '../../server/fanout/fanout.ts';
import { Outbox } from '../../server/fanout/delivery/outbox.ts';
import { LARGE_AUDIENCE } from '../../server/fanout/reports.ts';
import { block, unblock } from '../../server/actions/block.ts';
import { InputWait } from '../../server/lib/time/input-wait.ts';
import { TurnBudget } from '../../server/lib/time/turn-budget.ts';
import type { Viewer } from '../../server/presence/viewer.ts';
import type { Edge, ListChanges } from '../../server/roster/port.ts';
import type { Store } from '../../server/storage/port.ts';
import type { SendResult, Socket } from '../../server/sockets/port.ts';
import { hubMessage, type HubMessage } from '../../shared/messages/hub-messages.ts';
import { observer, PresenceStage, type StageOptions } from './presence-stage.ts';

export class FakeSocket implements Socket {
  readonly remoteAddress = '127.0.0.1';
  readonly exceededLimit = undefined;
  /** The peer does not read: everything is queued. */
  isSlow = false;
  /** The engine's bound is reached: everything is dropped. */
  isFull = false;
  isTerminated = false;
  /** Messages that were handed over as bytes. */
  sentAsBytes = 0;
  /** What the peer has received and no test has taken yet. */
  #received: string[] = [];
  #queue: string[] = [];

  send(message: string | Uint8Array): SendResult {
    if (typeof message !== 'string') this.sentAsBytes++;
    const text = typeof message === 'string' ? message : new TextDecoder().decode(message);
    if (this.isFull || this.isTerminated) return 'dropped';
    if (this.isSlow || this.#queue.length > 0) {
      this.#queue.push(text);
      return 'queued';
    }
    this.#received.push(text);
    return 'sent';
  }

  ping(): void {}

  pause(): void {}

  resume(): void {}

  close(): void {}

  terminate(): void {
    this.isTerminated = true;
  }

  /** The peer reads all that was queued. The test emits `drained`. */
  readAll(): void {
    this.#received.push(...this.#queue);
    this.#queue = [];
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  /** Takes the messages received since the last time, held to the contract's form. */
  take(): HubMessage[] {
    return this.takeRaw().map((json) => hubMessage.parse(JSON.parse(json)));
  }

  takeRaw(): string[] {
    const received = this.#received;
    this.#received = [];
    return received;
  }
}

/** Friend lists that remember when each edge was made and ended. */
class ListsInMemory {
  readonly #addedAt = new Map<string, Map<string, number>>();
  readonly #removedAt = new Map<string, Map<string, number>>();
  /** What a roster answers if the tombstones do not reach back that far. */
  forgotBefore = 0;

  load(): undefined {
    return undefined;
  }

  friendsOf(user: string): readonly string[] {
    return [...(this.#addedAt.get(user)?.keys() ?? [])].sort();
  }

  changesSince(user: string, sinceMs: number): ListChanges | undefined {
    if (sinceMs < this.forgotBefore) return undefined;
    const after = (edges: Map<string, number> | undefined): string[] =>
      [...(edges ?? [])].filter(([, at]) => at > sinceMs).map(([friend]) => friend);
    return { added: after(this.#addedAt.get(user)), removed: after(this.#removedAt.get(user)) };
  }

  add({ user, friend }: Edge, atMs: number): boolean {
    return this.#move(this.#removedAt, this.#addedAt, user, friend, atMs);
  }

  remove({ user, friend }: Edge, atMs: number): boolean {
    if (!this.#addedAt.get(user)?.has(friend)) return false;
    return this.#move(this.#addedAt, this.#removedAt, user, friend, atMs);
  }

  #move(
    from: Map<string, Map<string, number>>,
    to: Map<string, Map<string, number>>,
    user: string,
    friend: string,
    atMs: number,
  ): boolean {
    from.get(user)?.delete(friend);
    const edges = to.get(user) ?? new Map<string, number>();
    to.set(user, edges);
    if (edges.has(friend)) return false;
    edges.set(friend, atMs);
    return true;
  }
}

export interface Peer {
  readonly socket: FakeSocket;
  readonly outbox: Outbox;
}

export interface FanoutStageOptions extends Omit<StageOptions, 'onChange'> {
  readonly certainFrom?: number;
  readonly maxQueuedBytes?: number;
  /** The loop comes round when the test says so; otherwise there is always room in its turn. */
  readonly countsTurns?: boolean;
  /** How often a user is reported at most; 0, for tests of other things: at each flush. */
  readonly reportEveryMs?: number;
  /** From how many watchers on a user is sent in steps; a small one, for tests of other things than the number. */
  readonly largeAudience?: number;
}

export class FanoutStage {
  readonly core: PresenceStage;
  readonly delays = new Delays(new InputWait());
  readonly lists = new ListsInMemory();
  readonly turns: TurnBudget;
  readonly fanout: Fanout;
  /** Blocks and unblocks, each of a user against another one. */
  readonly blocks: Readonly<Record<'block' | 'unblock', (user: string, other: string) => Promise<unknown>>>;
  /** Storage takes no block. */
  storageFails = false;
  /** When the entry of somebody whom nobody follows was last forgotten. */
  forgottenAt = 0;
  /** The entries delivered, by flush. */
  readonly deliveries: number[] = [];
  readonly #maxQueuedBytes: number;
  #afterTurn: (() => void)[] = [];

  constructor(options: FanoutStageOptions = {}) {
    const afterTurn = (run: () => void): void => {
      if (options.countsTurns === true) this.#afterTurn.push(run);
      else run();
    };
    this.turns = new TurnBudget(afterTurn);
    this.#maxQueuedBytes = options.maxQueuedBytes ?? Infinity;
    this.core = new PresenceStage({ ...options, onChange: (change) => this.fanout.reports.changed(change) });
    this.fanout = new Fanout({
      presence: this.core.users,
      staleNotifier: { isOn: false, before: () => undefined, closed: () => undefined },
      clock: this.core.clock,
      timekeeper: {
        sentUpTo: () => this.core.hubClock.sentUpTo(this.core.clock.wallMs),
        canAnswer: (since) =>
          since >= (options.certainFrom ?? 0) && since <= this.core.hubClock.now(this.core.clock.wallMs),
        mayHaveForgotten: (since) => since <= this.forgottenAt,
      },
      turns: this.turns,
      friends: this.lists,
      delays: this.delays,
      reportEveryMs: options.reportEveryMs ?? 0,
      largeAudience: options.largeAudience ?? LARGE_AUDIENCE,
      peers: noPeers,
      nowMs: () => this.core.clock.monoMs,
      afterTurn,
      onDelivered: (entries) => this.deliveries.push(entries),
    });
    const take = (): void => {
      if (this.storageFails) throw new Error('storage fails');
    };
    const store: Pick<Store, 'block' | 'unblock'> = { block: take, unblock: take };
    const { users, ledger, clock } = this.core;
    const { reports } = this.fanout;
    const keep = (user: User): void => {
      user.isUnsaved = true;
    };
    const blocks = { store, users, keep, ledger, reports, clock, limits: { maxFriends: 10_000 } };
    this.blocks = {
      block: (user, other) => block(blocks, user, other),
      unblock: (user, other) => unblock(blocks, user, other),
    };
  }

  open(viewer: Viewer = observer('watcher')): Peer {
    const socket = new FakeSocket();
    const outbox = new Outbox(socket, { maxQueuedBytes: this.#maxQueuedBytes, clock: this.core.clock });
    outbox.viewer = viewer;
    return { socket, outbox };
  }

  /** Commits edges and reports to fan-out what really changed: at once, if a turn has room for that. */
  edit(added: readonly Edge[], removed: readonly Edge[] = []): Promise<void> {
    const atMs = this.core.hubClock.now(this.core.clock.wallMs);
    const owners = [...added, ...removed].map(({ user }) => user);
    return this.fanout.beginListEdit(atMs, owners).stored({
      removed: removed.filter((edge) => this.lists.remove(edge, atMs)),
      added: added.filter((edge) => this.lists.add(edge, atMs)),
    });
  }

  /** Runs one turn of the event loop, and what waited for it. */
  async nextTurn(): Promise<void> {
    const runs = this.#afterTurn;
    this.#afterTurn = [];
    for (const run of runs) run();
    await new Promise((resolve) => setImmediate(resolve));
  }

  befriend(user: string, ...friends: string[]): void {
    void this.edit(friends.map((friend) => ({ user, friend })));
  }

  unfriend(user: string, ...friends: string[]): void {
    void this.edit(
      [],
      friends.map((friend) => ({ user, friend })),
    );
  }

  /** The peer reads everything, and the engine says so. */
  drain({ socket, outbox }: Peer): void {
    socket.readAll();
    this.fanout.drained(outbox);
  }
}
