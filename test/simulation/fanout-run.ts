/**
 * One run of the core and fan-out with three clients, in deeds that fast-check chooses: what each client was sent,
 * played back by the contract's rules, must be the truth whenever everything has been told.
 */
import fc from 'fast-check';
import type { HubMessage } from '../../shared/hub-messages.ts';
import { FanoutStage, type Peer } from '../support/fanout-stage.ts';
import { coreDeed, CoreRun, same, users, type CoreDeed } from './core-run.ts';
import { Replica } from './replica.ts';

const CLIENTS = 3;

export type FanoutDeed =
  | CoreDeed
  | { kind: 'edit'; added: [string, string][]; removed: [string, string][] }
  | { kind: 'watchFriends' | 'unwatchFriends'; client: number; owner: string }
  | { kind: 'watchUsers' | 'unwatchUsers'; client: number; ids: string[] }
  | { kind: 'watchSelf'; client: number; user: string }
  | { kind: 'slow' | 'cut'; client: number }
  | { kind: 'resume'; client: number }
  | { kind: 'read'; client: number; isSlowAgain: boolean }
  | { kind: 'flush' }
  | { kind: 'stepWall'; ms: number };

const user = fc.constantFrom(...users);
const client = fc.nat(CLIENTS - 1);
const edges = fc.array(fc.tuple(fc.constantFrom('a', 'b'), user), { maxLength: 3 });

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
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('slow', 'slow', 'cut'), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), client, isSlowAgain: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stepWall' as const), ms: fc.integer({ min: -5000, max: 5000 }) }),
  },
);

/** What a client wants, and what it has made of what it was sent. */
class Client {
  peer: Peer | null;
  readonly replica = new Replica();
  readonly lists = new Set<string>();
  readonly ids = new Set<string>();
  self: string | null = null;

  constructor(peer: Peer) {
    this.peer = peer;
  }
}

export class FanoutRun {
  readonly #stage = new FanoutStage();
  readonly #core = new CoreRun(this.#stage.core);
  readonly #clients = Array.from({ length: CLIENTS }, () => new Client(this.#stage.open()));
  #requestNo = 0;

  apply(deed: FanoutDeed): void {
    switch (deed.kind) {
      case 'edit':
        this.#stage.edit(deed.added.map(edge), deed.removed.map(edge));
        break;
      case 'flush':
        this.#stage.fanout.flush();
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
    for (const client of this.#clients) this.#receive(client);
    if (deed.kind === 'flush') for (const client of this.#clients) this.#checkTruth(client);
  }

  /** Everybody reads and resumes, everything is told, and all is true; then all close, and nobody is held for nothing. */
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
    this.#core.end();
    same([...this.#stage.core.presence.heldUsers()].length, 0, 'users held at the end');
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
        client.lists.add(deed.owner);
        fanout.watchFriends(outbox, deed.owner, undefined, this.#ask(client, undefined));
        break;
      case 'watchUsers':
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
    const peer = this.#stage.open();
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
    for (const id of users) {
      if (replica.covers(id)) same(replica.entries.get(id), core.entry(id), `what is known of ${id}`);
    }
    if (client.self === null) return;
    const { status, text, devices } = core.presence.look(client.self).fold;
    same(replica.self, JSON.stringify({ status, ...(text === '' ? {} : { text }), devices }), 'self');
  }
}

function edge([user, friend]: [string, string]): { user: string; friend: string } {
  return { user, friend };
}
