/**
 * One run of three nodes on the in-memory engine in virtual time: real presence cores and real cluster code, random
 * deeds of clients, and faults of the engine, of connections and of nodes. After the faults everything must be right
 * within five seconds, and some things at all times. The same seed gives the same run.
 */
import { noOf, ownPart } from '../../server/cluster/bridge/own-sessions.ts';
import { MemoryEngine, type Fault } from '../../server/cluster/memory/memory-engine.ts';
import type { NodeHost } from '../../server/cluster/node-options.ts';
import { noEvents } from '../../server/cluster/node-events.ts';
import { ClusterNode } from '../../server/cluster/node.ts';
import type { PublicEntry } from '../../server/cluster/record/record.ts';
import { Journal } from '../../server/presence/explain/journal.ts';
import { foldSessions, offlineFold, shownOf } from '../../server/presence/fold.ts';
import type { Presence } from '../../server/presence/presence.ts';
import { findSession, sessionOfNo } from '../../server/presence/sessions/session-list.ts';
import type { Session } from '../../server/presence/sessions/session.ts';
import type { Users } from '../../server/presence/users.ts';
import { VersionClock } from '../../server/presence/version-clock.ts';
import { buildTestCore, codeOf } from '../support/presence-stage.ts';

const START = 1_767_225_600_000;
const BUCKETS = 3;
const GRACE_MS = 2000;
const WARM_MS = 4000;
const LEASE_MS = 25_000;
const HTTP_LEASE_MS = 60_000;
const TICK_MS = 50;
const NODES = 3;
/** A client comes back within its grace, less the time that a change takes. */
const MOST_MOVE_MS = 1200;
const offline = offlineFold(-1);

/** A change is reported this late, at most: during a recovery. */
const LATEST_MS = 6000;
const APART_MS = 40;
const OFFLINE = JSON.stringify({ status: 'offline', code: -1, devices: [], text: '' });

const NO_BLOCKS: ReadonlyMap<string, boolean> = new Map();

type Status = keyof typeof codeOf;

interface Client {
  readonly user: string;
  readonly device: string;
  status: Status;
  text: string;
  /** Undefined while it is not connected. */
  node: SimNode | undefined;
  session: Session | undefined;
  statusAt: number;
  textAt: number;
  isHere: boolean;
  /** Whether its next session continues the one before on another node. Only sessions over HTTP do. */
  isContinued: boolean;
}

/** What one node reported of a user. */
interface View {
  readonly entry: PublicEntry;
  readonly v: number;
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class SimNode {
  readonly run: ClusterRun;
  readonly name: string;
  readonly presence: Presence;
  readonly users: Users;
  readonly node: ClusterNode;
  readonly views = new Map<string, View>();
  /** What arrives while the process is stopped. */
  readonly pending: (() => void)[] = [];
  readonly goodbyes = new Map<string, { device: string; at: number }[]>();
  isRunning = true;
  isKilled = false;
  /** How long it was stopped: its leases do not count that time. */
  stoppedMs = 0;
  stoppedAt = 0;

  constructor(run: ClusterRun, name: string) {
    this.run = run;
    this.name = name;
    const journal = new Journal([1, 2], START);
    const hubClock = new VersionClock(0, () => true);
    const now = this.moment();
    const onSessions = ({ id }: { id: string }): void => {
      queueMicrotask(() => this.node.scheduleWrite(id));
    };
    ({ presence: this.presence, users: this.users } = buildTestCore({
      graceMs: GRACE_MS,
      hubClock,
      journal,
      now,
      onSessions,
    }));
    let incarnations = 0;
    const engine = run.engine.connect(name, {
      message: (bucket, text) => this.node.message(bucket, text),
      away: () => this.node.away(),
      back: () => this.node.back(),
      directMessage: () => undefined,
    });
    this.node = new ClusterNode({
      engine,
      buckets: BUCKETS,
      offline,
      now: () => run.now,
      random: run.random,
      newInc: () => `${name}-${++incarnations}`,
      url: '',
      leaseMs: 6000,
      graceMs: GRACE_MS,
      warmMs: WARM_MS,
      host: {
        own: (user) => this.own(user),
        usersHere: () => [...this.users.held()].filter(({ firstSession }) => firstSession !== null).map(({ id }) => id),
        report: (user, { entry }, v, isShown) => {
          if (isShown) run.reported(this, user, entry, v);
        },
        onRejoin: () => undefined,
        onOperation: () => undefined,
        onWritten: () => undefined,
        onBegan: (user, device) => void this.presence.leaveDevice(user, device, this.moment()),
        onErased: () => undefined, // nobody is erased here
        onSuperseded: (user, k) => this.#endOverHttp(user, k),
        isPolled: () => false,
        load: () => undefined,
        onOrphan: () => undefined,
        events: noEvents,
        onDirectMessage: () => undefined,
        onDeadSubscription: () => run.engine.setFault(name, 'none'),
      },
    });
  }

  moment(): { wallMs: number; monoMs: number } {
    return { wallMs: START + this.run.now, monoMs: 1000 + this.run.now - this.stoppedMs };
  }

  own(user: string): ReturnType<NodeHost['own']> {
    const { now } = this.run;
    const held = this.users.find(user);
    const part = held === undefined ? { sessions: [], signAgeMs: null } : ownPart(held, this.moment());
    const goodbyes = (this.goodbyes.get(user) ?? [])
      .filter(({ at }) => now - at < 5000)
      .map(({ device, at }) => ({ device, ageMs: now - at }));
    return { ...part, goodbyes, origin: '', blocks: NO_BLOCKS };
  }

  begin(client: Client): void {
    const { user, device, status, text } = client;
    const isHttp = device === 'cron';
    const claim = {
      user,
      device,
      adapter: isHttp ? ('http' as const) : ('ws-json' as const),
      status,
      code: codeOf[status],
      text,
      leaseMs: isHttp ? HTTP_LEASE_MS : LEASE_MS,
      address: '',
      owner: { lapsed: () => undefined },
    };
    const { session } = this.presence.begin(claim, this.moment());
    client.session = session;
    client.node = this;
    // As on a single hub, what a new session says counts as set then, and what a continued one repeats does not.
    if (!client.isContinued) client.statusAt = client.textAt = this.run.now;
  }

  tick(): void {
    this.presence.expire(this.moment(), 1000);
    if (this.run.now % 100 === 0) this.node.tick();
  }

  #endOverHttp(user: string, k: string): void {
    const held = this.users.find(user);
    const session = held && sessionOfNo(held, noOf(k));
    if (session !== undefined) this.presence.end(session, this.moment());
  }
}

export class ClusterRun {
  readonly seed: number;
  readonly random: () => number;
  readonly engine: MemoryEngine;
  readonly nodes: SimNode[] = [];
  readonly users = ['ann', 'bob', 'cem', 'dan'];
  readonly log: string[] = [];
  now = 0;
  clockStepMs = 0;
  #queue: { at: number; no: number; run: () => void }[] = [];
  #events = 0;
  readonly #lastAt = new Map<string, number>();
  readonly #clients: Client[] = [];
  readonly #entryOf = new Map<string, string>();
  /** When the user was last offline in truth. */
  readonly #offlineAt = new Map<string, number>();

  constructor(seed: number) {
    this.seed = seed;
    this.random = randomFrom(seed);
    this.engine = new MemoryEngine({
      clock: () => START + this.now + this.clockStepMs,
      later: (run, connection) => this.#later(run, connection),
    });
    for (let i = 0; i < NODES; i++) this.nodes.push(new SimNode(this, `n${i}`));
    for (const user of this.users) {
      for (const device of ['web', 'phone', 'cron']) {
        this.#clients.push({
          user,
          device,
          status: 'online',
          text: '',
          node: undefined,
          session: undefined,
          statusAt: -APART_MS,
          textAt: -APART_MS,
          isHere: false,
          isContinued: false,
        });
      }
    }
  }

  /** Runs until the end, and throws if anything is wrong. */
  async run(deeds: number): Promise<void> {
    for (const { node } of this.nodes) node.back();
    for (const { node } of this.nodes) for (const user of this.users) void node.load([user])?.catch(() => undefined);
    await this.pass(3000);
    for (let i = 0; i < deeds; i++) {
      this.#deed();
      await this.pass(Math.floor(this.random() * 900));
      if (i % 12 === 11) await this.fault();
    }
    await this.pass(5000);
    this.checkViews('at the end');
  }

  note(text: string): void {
    this.log.push(`${(this.now / 1000).toFixed(2)} ${text}`);
  }

  fail(what: string): never {
    throw new Error(`seed ${this.seed}, ${(this.now / 1000).toFixed(2)} s: ${what}\n${this.log.slice(-60).join('\n')}`);
  }

  reported(node: SimNode, user: string, entry: PublicEntry, v: number): void {
    const before = node.views.get(user);
    this.note(`${node.name} reports ${user} ${entry.status} ${entry.devices.join()} "${entry.text}" v ${v - START}`);
    if (before !== undefined && before.v >= v) this.fail(`${node.name} reported ${user} with an older version`);
    const key = `${user} ${v}`;
    const text = JSON.stringify(entry);
    const same = this.#entryOf.get(key);
    if (same !== undefined && same !== text) this.fail(`two entries of ${key}: ${same} and ${text}`);
    this.#entryOf.set(key, text);
    node.views.set(user, { entry, v });
    const wasThere = before !== undefined && before.entry.status !== 'offline';
    const offlineAgoMs = this.now - (this.#offlineAt.get(user) ?? -Infinity);
    if (entry.status === 'offline' && wasThere && offlineAgoMs > LATEST_MS) {
      this.fail(`${node.name} reported ${user} falsely offline`);
    }
  }

  /** All that has been reported is the truth, on all nodes alike. */
  checkViews(when: string): void {
    for (const user of this.users) {
      const wanted = this.#truth(user);
      const seen = this.nodes
        .filter(({ isKilled, isRunning }) => !isKilled && isRunning)
        .map((node) => ({ node, view: node.views.get(user) }));
      for (const { node, view } of seen) {
        const { status = 'offline', code = -1, devices = [], text = '' } = view?.entry ?? {};
        const is = JSON.stringify({ status, code, devices, text });
        if (is !== wanted)
          this.fail(
            `${when}, ${node.name} (${node.node.inc} ${node.node.state}) shows ${user} as ${is}, not ${wanted}`,
          );
        if (view?.v !== seen[0]?.view?.v && view !== undefined && seen[0]?.view !== undefined)
          this.fail(`${when}, versions of ${user} differ`);
        if (node.node.isStale) this.fail(`${when}, ${node.name} is stale`);
      }
    }
  }

  async pass(ms: number): Promise<void> {
    const until = Math.round(this.now + ms);
    for (;;) {
      const nextTick = Math.floor(this.now / TICK_MS + 1) * TICK_MS;
      const next = this.#queue[0];
      if (next !== undefined && next.at <= Math.min(nextTick, until)) {
        this.#queue.shift();
        this.now = Math.max(this.now, next.at);
        next.run();
      } else if (nextTick <= until) {
        this.now = nextTick;
        for (const node of this.nodes) if (node.isRunning && !node.isKilled) node.tick();
        this.#heartbeats();
        this.#noteOffline();
      } else {
        this.now = until;
        await new Promise((resolve) => setImmediate(resolve));
        return;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async fault(): Promise<void> {
    const node = this.#anyNode();
    const kinds = [
      'cut',
      'answers',
      'messages',
      'pause',
      'flush',
      'failover',
      'stop',
      'cut all',
      'clock',
      'kill',
    ] as const;
    const kind = kinds[Math.floor(this.random() * kinds.length)] ?? 'cut';
    this.note(`FAULT ${kind} ${node.name} (${node.node.inc})`);
    const short = 200 + Math.floor(this.random() * 4000);
    const withDeeds = async (ms: number): Promise<void> => {
      await this.pass(ms / 2);
      this.#deed();
      await this.pass(ms / 2);
    };
    switch (kind) {
      case 'cut':
      case 'answers':
      case 'messages':
        await this.#connectionFault([node], kind, short, withDeeds);
        break;
      case 'cut all':
        await this.#connectionFault(this.nodes, 'cut', short, withDeeds);
        break;
      case 'pause':
        this.engine.pause();
        await withDeeds(short * 4);
        this.engine.resume();
        break;
      case 'flush':
        this.engine.flush();
        break;
      case 'failover':
        this.engine.replicate();
        await withDeeds(short / 4);
        this.engine.failOver();
        break;
      case 'clock':
        this.clockStepMs = Math.floor(this.random() * 3) * 1_800_000;
        break;
      case 'stop':
        await this.#stop(node, short * 5, withDeeds);
        break;
      case 'kill':
        await this.#kill(node);
        break;
      default:
        kind satisfies never;
    }
    this.note(`END ${kind}`);
    await this.pass(5000);
    this.checkViews(`5 s after ${kind}`);
  }

  async #connectionFault(
    nodes: SimNode[],
    fault: Fault,
    ms: number,
    pass: (ms: number) => Promise<void>,
  ): Promise<void> {
    for (const { name } of nodes) this.engine.setFault(name, fault);
    await pass(ms);
    for (const { name } of nodes) {
      this.engine.setFault(name, 'none');
      await this.pass(Math.floor(this.random() * 400));
    }
  }

  async #stop(node: SimNode, ms: number, pass: (ms: number) => Promise<void>): Promise<void> {
    node.isRunning = false;
    node.stoppedAt = this.now;
    // Its clients notice, and go elsewhere or nowhere.
    for (const client of this.#clients) if (client.node === node) this.#lose(client);
    await pass(ms);
    node.isRunning = true;
    node.stoppedMs += this.now - node.stoppedAt;
    // Connections of clients that went elsewhere are found closed.
    for (const session of this.#left(node)) node.presence.end(session, node.moment());
    for (const run of node.pending.splice(0)) run();
    await this.pass(4000);
  }

  async #kill(node: SimNode): Promise<void> {
    const i = this.nodes.indexOf(node);
    node.isKilled = true;
    this.engine.disconnect(node.name);
    for (const client of this.#clients) if (client.node === node) this.#lose(client);
    const next = new SimNode(this, `${node.name.split('x')[0] ?? ''}x${this.now}`);
    this.nodes[i] = next;
    next.node.back();
    for (const user of this.users) void next.node.load([user])?.catch(() => undefined);
    // Until the last ghost is gone.
    await this.pass(11_000 + (this.#clients.some(({ device }) => device === 'cron') ? HTTP_LEASE_MS : 0));
  }

  #left(node: SimNode): Session[] {
    const sessions: Session[] = [];
    for (const { firstSession } of node.users.held()) {
      for (let s = firstSession; s !== null; s = s.next)
        if (!this.#clients.some(({ session }) => session === s)) sessions.push(s);
    }
    return sessions;
  }

  /** The client's connection is gone. It comes back at once, to another node, or stays away. */
  #lose(client: Client): void {
    client.node = client.session = undefined;
    client.isContinued = client.device === 'cron';
    this.#mark(client, false);
    if (this.random() < 0.7 || client.device === 'cron') {
      const { run, at } = { run: () => this.#connect(client), at: this.now + Math.floor(this.random() * MOST_MOVE_MS) };
      this.#mark(client, true);
      this.#schedule(at, run);
    }
  }

  #connect(client: Client): void {
    if (client.node !== undefined || !client.isHere) return;
    if (this.#hasJustSet(client.user)) {
      this.#schedule(this.now + APART_MS, () => this.#connect(client));
      return;
    }
    const node = this.#anyNode();
    this.note(`${client.user}/${client.device} ${client.status} connects to ${node.name}`);
    // Over HTTP, user and device are the session.
    const user = node.users.find(client.user);
    const held = client.device === 'cron' && user !== undefined ? findSession(user, 'cron', 'http') : undefined;
    if (held === undefined) {
      node.begin(client);
      return;
    }
    client.node = node;
    client.session = held;
    node.presence.update(
      held,
      { status: client.status, code: codeOf[client.status], text: client.text },
      node.moment(),
    );
  }

  #mark(client: Client, isHere: boolean): void {
    client.isHere = isHere;
    this.#noteOffline();
  }

  #noteOffline(): void {
    for (const user of this.users) if (this.#truth(user) === OFFLINE) this.#offlineAt.set(user, this.now);
  }

  #deed(): void {
    const client = this.#clients[Math.floor(this.random() * this.#clients.length)] as Client;
    const { node, session } = client;
    const what = this.random();
    if (node === undefined || session === undefined) {
      if (client.isHere) return;
      if (this.#hasJustSet(client.user)) return;
      client.status = this.#status();
      client.text = this.#text();
      client.isContinued = false;
      this.#mark(client, true);
      this.#connect(client);
    } else if (what < 0.3) {
      if (this.#hasJustSet(client.user)) return;
      this.note(`${client.user}/${client.device} says goodbye on ${node.name}`);
      node.goodbyes.set(client.user, [
        ...(node.goodbyes.get(client.user) ?? []),
        { device: client.device, at: this.now },
      ]);
      node.presence.leave(session, node.moment());
      client.node = client.session = undefined;
      this.#mark(client, false);
    } else if (what < 0.6) {
      this.note(`${client.user}/${client.device} loses ${node.name}`);
      if (client.device !== 'cron') {
        node.presence.disconnect(session, node.moment());
        this.#lose(client);
      } else {
        client.node = client.session = undefined; // the next heartbeat comes through another node
        client.isContinued = true;
        this.#connect(client);
      }
    } else if (!this.#hasJustSet(client.user)) {
      const status = this.#status();
      const text = this.random() < 0.5 ? client.text : this.#text();
      this.note(`${client.user}/${client.device} sets ${status} "${text}" on ${node.name}`);
      if (status !== client.status) client.statusAt = this.now;
      if (text !== client.text) client.textAt = this.now;
      client.status = status;
      client.text = text;
      this.#noteOffline();
      node.presence.update(session, { status, code: codeOf[status], text }, node.moment());
    }
  }

  /** Which of two changes on two nodes is later cannot be told within a trip. */
  #hasJustSet(user: string): boolean {
    return this.#clients.some((client) => {
      return client.user === user && this.now - Math.max(client.statusAt, client.textAt) < APART_MS;
    });
  }

  #heartbeats(): void {
    if (this.now % 2000 !== 0) return;
    for (const { node, session } of this.#clients) {
      if (node?.isRunning === true && session !== undefined) node.presence.renew(session, node.moment());
    }
  }

  #status(): Status {
    return (['online', 'away', 'busy', 'invisible'] as const)[Math.floor(this.random() * 4)] ?? 'online';
  }

  #text(): string {
    return ['', 'x', 'y'][Math.floor(this.random() * 3)] ?? '';
  }

  #anyNode(): SimNode {
    const running = this.nodes.filter(({ isRunning, isKilled }) => isRunning && !isKilled);
    return running[Math.floor(this.random() * running.length)] as SimNode;
  }

  #truth(user: string): string {
    let first: Parameters<typeof foldSessions>[0]['firstSession'] = null;
    for (const client of this.#clients) {
      if (client.user !== user || !client.isHere) continue;
      const { device, status, text, statusAt, textAt } = client;
      first = {
        device,
        status,
        code: codeOf[status],
        text,
        statusSetNo: statusAt,
        textSetNo: textAt,
        startedAt: 0,
        next: first,
      };
    }
    const { status, code, devices, text } = shownOf(foldSessions({ id: user, firstSession: first }, offline), offline);
    return JSON.stringify({ status, code, devices, text });
  }

  #later(run: () => void, connection: string): void {
    const at = Math.max(this.now + 1 + Math.floor(this.random() * 4), this.#lastAt.get(connection) ?? 0);
    this.#lastAt.set(connection, at);
    this.#schedule(at, () => {
      const node = this.nodes.find(({ name }) => name === connection);
      if (node?.isRunning === false) node.pending.push(run);
      else if (node?.isKilled !== true) run();
    });
  }

  #schedule(at: number, run: () => void): void {
    const event = { at, no: this.#events++, run };
    let i = this.#queue.length;
    while (i > 0 && (this.#queue[i - 1]?.at ?? 0) > at) i--;
    this.#queue.splice(i, 0, event);
  }
}
