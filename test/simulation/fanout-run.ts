/**
 * One run of the core and fan-out with three clients, in deeds that fast-check chooses: what each client was sent,
 * played back by the contract's rules, must be the truth whenever everything has been sent: the truth as its viewer may
 * know it. One of them may watch its friends only, one sees more than others.
 */
import fc from 'fast-check';
import type { HubMessage } from '../../shared/messages/hub-messages.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import type { Edge } from '../../server/roster/port.ts';
import type { Viewer } from '../../server/presence/viewer.ts';
import { FanoutStage, type FanoutStageOptions, type Peer } from '../support/fanout-stage.ts';
import { admin, observer, plain } from '../support/presence-stage.ts';
import { coreDeed, CoreRun, same, users, type CoreDeed } from './core-run.ts';
import type { ModelEntry } from './model.ts';
import { Replica } from './replica.ts';

/** Somebody to watch, and everybody watching: where most runs would get to late, or never. */
export const warmUp: readonly FanoutDeed[] = [
  {
    kind: 'edit',
    added: [
      ['a', 'b'],
      ['a', 'c'],
      ['b', 'a'],
      ['b', 'd'],
    ],
    removed: [],
  },
  { kind: 'watchUsers', client: 0, ids: ['b', 'c'] },
  { kind: 'watchFriends', client: 0, owner: 'a' },
  { kind: 'watchFriends', client: 1, owner: 'b' },
  { kind: 'watchUsers', client: 1, ids: ['a', 'c'] },
  { kind: 'watchFriends', client: 2, owner: 'a' },
  { kind: 'watchFriends', client: 2, owner: 'b' },
  { kind: 'stir', user: 'a', times: 1 },
];

/** Who looks through each client. */
const viewers: readonly Viewer[] = [plain('a'), observer('b'), admin];
const CLIENTS = viewers.length;

export type FanoutDeed =
  | CoreDeed
  | { kind: 'edit'; added: [string, string][]; removed: [string, string][] }
  | { kind: 'watchFriends' | 'unwatchFriends'; client: number; owner: string }
  | { kind: 'watchUsers' | 'unwatchUsers'; client: number; ids: string[] }
  | { kind: 'watchSelf'; client: number; user: string }
  | { kind: 'slow' | 'cut'; client: number }
  | { kind: 'resume'; client: number }
  | { kind: 'read'; client: number; isSlowAgain: boolean }
  | { kind: 'block' | 'unblock'; user: string; viewer: string }
  | { kind: 'stir'; user: string; times: number }
  | { kind: 'flush' }
  | { kind: 'stepWall'; ms: number };

const user = fc.constantFrom(...users);
const client = fc.nat(CLIENTS - 1);
const friendship = fc.tuple(fc.constantFrom('a', 'b'), user).filter(([one, other]) => one !== other);
const edges = fc.array(friendship, { maxLength: 3 });

export const fanoutDeed: fc.Arbitrary<FanoutDeed> = fc.oneof(
  { weight: 12, arbitrary: coreDeed },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('edit' as const), added: edges, removed: edges }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('watchFriends', 'watchFriends', 'unwatchFriends'),
      client,
      owner: fc.constantFrom('a', 'b'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('watchUsers', 'watchUsers', 'unwatchUsers'),
      client,
      ids: fc.uniqueArray(user, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('watchSelf' as const), client, user }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('slow', 'slow', 'slow', 'slow', 'cut'), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), client, isSlowAgain: fc.boolean() }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('block', 'block', 'unblock'),
      user: fc.constantFrom('a', 'a', 'a', ...users),
      viewer: fc.constantFrom('a', 'b', 'b', 'b'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('stir' as const), user, times: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stepWall' as const), ms: fc.integer({ min: -5000, max: 5000 }) }),
  },
);

/** What a client wants, and what it has made of what it was sent. */
class Client {
  readonly viewer: Viewer;
  peer: Peer | null;
  readonly replica = new Replica();
  readonly lists = new Set<string>();
  readonly ids = new Set<string>();
  self: string | null = null;

  constructor(viewer: Viewer, peer: Peer) {
    this.viewer = viewer;
    this.peer = peer;
  }

  get mayObserve(): boolean {
    return this.viewer.mayObserve;
  }
}

export class FanoutRun {
  readonly #stage: FanoutStage;
  readonly #core: CoreRun;
  readonly #clients: readonly Client[];
  readonly #hidesLastSeen: boolean;
  readonly #isPaced: boolean;
  /** What each viewer saw of each user in each version, as JSON, by `user>viewer@v`. */
  readonly #seen = new Map<string, string>();
  readonly #lastV = new Map<string, number>();
  /** Frozen entries of lifted blocks that differ from the truth in nothing that is sent, by `user>viewer`. */
  readonly #leftOver = new Map<string, ModelEntry[]>();
  /** Users whose version may have been raised without a change. */
  readonly #lifted = new Set<string>();
  #requestNo = 0;

  constructor(options: FanoutStageOptions = {}) {
    this.#hidesLastSeen = options.hidesLastSeen === true;
    this.#isPaced = (options.reportEveryMs ?? 0) > 0;
    this.#stage = new FanoutStage(options);
    this.#core = new CoreRun(this.#stage.core);
    this.#clients = viewers.map((viewer) => new Client(viewer, this.#stage.open(viewer)));
  }

  apply(deed: FanoutDeed): void {
    switch (deed.kind) {
      case 'edit':
        this.#edit(deed.added.map(edge), deed.removed.map(edge));
        break;
      case 'block':
      case 'unblock':
        if (deed.user !== deed.viewer) this.#setBlock(deed.kind, deed.user, deed.viewer);
        break;
      case 'stir':
        this.#stir(deed.user, deed.times);
        break;
      case 'flush':
        // With a pace, a flush leaves what is not due yet; in steps, it leaves what exceeds a turn.
        if (this.#isPaced) this.#stage.fanout.reports.flushAll();
        else
          do this.#stage.fanout.flush();
          while (!this.#stage.fanout.reports.pending.isEmpty);
        break;
      case 'stepWall':
        this.#core.stepWall(deed.ms);
        break;
      case 'watchFriends':
      case 'unwatchFriends':
      case 'watchUsers':
      case 'unwatchUsers':
      case 'watchSelf':
      case 'slow':
      case 'read':
      case 'cut':
      case 'resume':
        this.#withClient(this.#clients[deed.client]!, deed);
        break;
      default:
        this.#core.apply(deed);
    }
    this.#checkViews();
    for (const client of this.#clients) this.#receive(client);
    if (deed.kind === 'flush') for (const client of this.#clients) this.#checkTruth(client);
  }

  /** Everybody reads and resumes, everything is sent, and all is true; then all close, and nobody is held for nothing. */
  end(): void {
    for (let client = 0; client < CLIENTS; client++) {
      this.apply({ kind: 'resume', client });
      this.apply({ kind: 'read', client, isSlowAgain: false });
    }
    this.apply({ kind: 'flush' });
    for (const client of this.#clients) {
      if (!this.#isUpToDate(client)) throw new Error('a client that reads is behind');
      this.#stage.fanout.close(client.peer!.outbox);
    }
    this.#stage.fanout.dropIdleLists();
    this.#core.end();
    same([...this.#stage.core.users.held()].length, 0, 'users held at the end');
  }

  #edit(added: Edge[], removed: Edge[]): void {
    // Whether it is connected or not: who is no friend any more is not to be watched, be it one again at once.
    const ended = removed.filter(({ user, friend }) => this.#stage.lists.friendsOf(user).includes(friend));
    for (const { user, friend } of ended) {
      for (const { viewer, ids } of this.#clients) if (viewer.user === user && !viewer.mayObserve) ids.delete(friend);
    }
    void this.#stage.edit(added, removed);
  }

  /** So many changes, each sent on its own: more than one a slow client will never receive. */
  #stir(user: string, times: number): void {
    for (let n = 0; n < times; n++) {
      const text = `${user} ${++this.#requestNo}`;
      const claim = { user, device: 'stirrer', status: 'online', code: 1, text, leaseMs: 3000 } as const;
      this.#core.apply({ kind: 'begin', claim, adapter: 'http' });
      this.#stage.fanout.flush();
    }
  }

  #mayWatch({ viewer }: Client, id: string): boolean {
    const { user, mayObserve } = viewer;
    return mayObserve || user === null || user === id || this.#stage.lists.friendsOf(user).includes(id);
  }

  #setBlock(kind: 'block' | 'unblock', user: string, viewer: string): void {
    const { model } = this.#core;
    const before = model.entryFor(user, viewer);
    void this.#stage.blocks[kind](user, viewer);
    model[kind](user, viewer);
    this.#core.check();
    if (kind === 'block') return;
    this.#lifted.add(user);
    if (model.entryOf(user).status !== 'offline') return;
    const key = `${user}>${viewer}`;
    this.#leftOver.set(key, [...(this.#leftOver.get(key) ?? []), before]);
  }

  /** Whatever anybody sees is what the model says, and one version means one entry. */
  #checkViews(): void {
    for (const user of users) {
      for (const viewer of viewers) {
        const entry = this.#stage.core.entryFor(user, viewer);
        const wanted = this.#shownTo(viewer, this.#core.model.entryFor(user, viewer.user));
        same(this.#core.inOrder(plainEntry(entry)), this.#core.inOrder(wanted), `${user} as ${viewer.user} sees it`);
        const key = `${user}>${viewer.user}`;
        if (entry.status !== 'offline') this.#leftOver.delete(key);
        const { users } = this.#stage.core;
        same(users.versionFor(users.peek(user), viewer), entry.v, 'version');
        if (entry.v < (this.#lastV.get(key) ?? 0)) throw new Error(`version of ${key} went back`);
        this.#lastV.set(key, entry.v);
        const seen = this.#seen.get(`${key}@${entry.v}`);
        if (seen !== undefined) same(entry, JSON.parse(seen), `${key}: one version, two entries`);
        else this.#seen.set(`${key}@${entry.v}`, JSON.stringify(entry));
      }
    }
  }

  #shownTo(viewer: Viewer, entry: ModelEntry): ModelEntry {
    if (!this.#hidesLastSeen || viewer.isAdmin) return entry;
    return { ...entry, lastSeen: null, since: entry.status === 'offline' ? null : entry.since };
  }

  #withClient(client: Client, deed: Extract<FanoutDeed, { client: number }>): void {
    if (deed.kind === 'resume') {
      if (client.peer === null) this.#resume(client);
      return;
    }
    if (client.peer === null) return;
    const { fanout } = this.#stage;
    const { outbox, socket } = client.peer;
    switch (deed.kind) {
      case 'watchFriends':
        if (!client.mayObserve && client.viewer.user !== deed.owner) break;
        client.lists.add(deed.owner);
        fanout.watchFriends(outbox, deed.owner, undefined, this.#ask(client, undefined));
        break;
      case 'watchUsers':
        if (!deed.ids.every((id) => this.#mayWatch(client, id))) break;
        for (const id of deed.ids) client.ids.add(id);
        fanout.watchUsers(outbox, deed.ids, undefined, this.#ask(client, undefined));
        break;
      case 'unwatchFriends':
        client.lists.delete(deed.owner);
        fanout.unwatchFriends(outbox, deed.owner, undefined);
        break;
      case 'unwatchUsers':
        for (const id of deed.ids) client.ids.delete(id);
        fanout.unwatchUsers(outbox, deed.ids, undefined);
        break;
      case 'watchSelf':
        if (client.self !== null) break; // asked for once, with the hello
        client.self = deed.user;
        fanout.watchSelf(outbox, deed.user);
        break;
      case 'slow':
        socket.isSlow = true;
        break;
      case 'read':
        socket.isSlow = deed.isSlowAgain;
        this.#stage.drain(client.peer);
        break;
      case 'cut': // what it had not read is lost
        fanout.close(outbox);
        client.peer = null;
        break;
      default:
        deed satisfies never;
    }
  }

  /** The client comes back on a new connection, and asks for what is newer than what it has. */
  #resume(client: Client): void {
    const peer = this.#stage.open(client.viewer);
    const { fanout } = this.#stage;
    const { replica } = client;
    client.peer = peer;
    replica.reconnected();
    replica.keepOnly(client.lists, client.ids);
    if (client.self !== null) fanout.watchSelf(peer.outbox, client.self);
    for (const owner of client.lists) {
      const since = replica.listAt.get(owner);
      fanout.watchFriends(peer.outbox, owner, since, this.#ask(client, since));
    }
    for (const id of client.ids) {
      const since = replica.idAt.get(id);
      fanout.watchUsers(peer.outbox, [id], since, this.#ask(client, since));
    }
  }

  #ask({ replica }: Client, since: number | undefined): number {
    replica.asked.set(++this.#requestNo, since);
    return this.#requestNo;
  }

  #receive({ peer, replica }: Client): void {
    for (const json of peer?.socket.takeRaw() ?? []) replica.receive(JSON.parse(json) as HubMessage);
  }

  #isUpToDate({ peer }: Client): boolean {
    return peer !== null && peer.socket.queuedCount === 0 && !peer.outbox.isBehind;
  }

  #checkTruth(client: Client): void {
    if (!this.#isUpToDate(client)) return;
    const { replica } = client;
    const { core, lists } = this.#stage;
    same([...replica.lists.keys()].sort(), [...client.lists].sort(), 'lists watched');
    same([...replica.ids].sort(), [...client.ids].sort(), 'ids watched');
    for (const [owner, list] of replica.lists) same([...list].sort(), lists.friendsOf(owner), `friends of ${owner}`);
    for (const id of users) if (replica.covers(id)) this.#checkEntry(client, id);
    if (client.self === null) return;
    const { status, text, devices } = core.users.peek(client.self).fold;
    same(replica.self, JSON.stringify({ status, ...(text === '' ? {} : { text }), devices }), 'self');
  }

  #checkEntry({ viewer, replica }: Client, id: string): void {
    const truth = this.#stage.core.entryFor(id, viewer);
    const known = replica.entries.get(id)!;
    if (known.v > truth.v || (known.v < truth.v && !this.#lifted.has(id))) throw new Error(`wrong version of ${id}`);
    const leftOvers = this.#leftOver.get(`${id}>${viewer.user}`) ?? [];
    const inOrder = (entry: ModelEntry): string => JSON.stringify(this.#core.inOrder(entry));
    const isLeftOver = leftOvers.some((entry) => inOrder(this.#shownTo(viewer, entry)) === inOrder(plainEntry(known)));
    if (!isLeftOver) same({ ...known, v: 0 }, { ...truth, v: 0 }, `what is known of ${id}`);
  }
}

function plainEntry({ status, code, devices, text = '', since, lastSeen }: Entry): ModelEntry {
  return { status, code, devices, text, since, lastSeen };
}

function edge([user, friend]: [string, string]): Edge {
  return { user, friend };
}
