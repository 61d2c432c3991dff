/**
 * A watcher of all users, on a node of its own or roaming from node to node: keeps its view over its connections by
 * resuming with its last `at`, and holds each message to what must be true. A roamer asks for a fresh snapshot right
 * after each resume, which must equal what it has.
 */
import type { Random } from '../random.ts';
import { textFrame } from '../ws-frames.ts';
import { WsClient } from '../ws-client.ts';
import type { Crowd } from './crowd.ts';
import { isAsShown, OFFLINE, readMessage, type Entry, type Judge, type Message } from './judge.ts';
import type { Node } from './nodes.ts';
import type { Person } from './person.ts';
import type { Starvation } from './starvation.ts';

export interface WatcherOptions {
  readonly name: string;
  /** Undefined: it roams. */
  readonly home: Node | undefined;
  /** The user in its `hello`; empty: none. */
  readonly viewer: string;
  readonly nodes: readonly Node[];
  readonly crowd: Crowd;
  readonly judge: Judge;
  readonly random: Random;
  readonly starvation: Starvation;
  readonly onGhost: (person: Person, watcher: Watcher) => void;
}

const USERS_A_WATCH = 1000;
const LATE_MS = 5000;
const BEAT_MS = 3000;
/** A watch may wait for 30 s if Redis is away (C13). */
const READY_WITHIN_MS = 32_000;
const STORY = 6;

export class Watcher {
  readonly name: string;
  readonly view = new Map<string, Entry>();
  resumes = 0;
  /** Entries that it was sent. */
  changes = 0;
  partial = 0;
  isStale = false;
  isReady = false;
  /** Number of `stale` messages, and the fault of the last one. */
  staleReports = 0;
  node: Node | undefined;
  readonly #options: WatcherOptions;
  readonly #people: ReadonlyMap<string, Person>;
  readonly #parts: readonly (readonly string[])[];
  /** The last `at` of each part. */
  readonly #ats: number[] = [];
  readonly #stories = new Map<string, string[]>();
  readonly #wrongSince = new Map<string, number>();
  readonly #reported = new Set<string>();
  /** Versions that this connection was sent. */
  readonly #versions = new Map<string, number>();
  #client: WsClient | undefined;
  #timers: NodeJS.Timeout[] = [];
  #answers = 0;
  #connectedAtMs = 0;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.name = options.name;
    const { people } = options.crowd;
    this.#people = new Map(people.map((person) => [person.user, person]));
    const users = people.map(({ user }) => user);
    this.#parts = Array.from({ length: Math.ceil(users.length / USERS_A_WATCH) }, (_, part) =>
      users.slice(part * USERS_A_WATCH, (part + 1) * USERS_A_WATCH),
    );
  }

  get viewer(): string {
    return this.#options.viewer;
  }

  start(): void {
    this.#timers.push(setInterval(() => this.#client?.send(textFrame({ type: 'heartbeat' })), BEAT_MS));
    this.#connect();
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#client?.end('reset');
    this.#client = undefined;
  }

  /** Cuts it at this moment; it resumes on another node. */
  roam(): void {
    this.#leave();
    this.#connect();
  }

  /** What it must show of a person; undefined if that is not certain. */
  truth(person: Person, firmBefore: number): { status: string; isRight: boolean } | undefined {
    if (person.firmAtMs > firmBefore) return undefined;
    const { user } = person;
    let { shown } = person;
    if (this.#options.viewer !== '') {
      const blocked = this.#options.crowd.blocked.get(user) ?? 'no';
      if (blocked === 'unsure') return undefined;
      if ((this.#options.crowd.blockedAtMs.get(user) ?? 0) > firmBefore) return undefined;
      if (blocked === 'yes') shown = OFFLINE;
    }
    return { status: JSON.stringify(shown), isRight: isAsShown(this.view.get(user), shown) };
  }

  /** A few times a second: what has been wrong for too long without `stale`. */
  look(now: number): void {
    if (!this.isSure) {
      this.#wrongSince.clear();
      return;
    }
    for (const person of this.#options.crowd.people) {
      const truth = this.truth(person, now);
      const { user } = person;
      if (truth === undefined || truth.isRight) {
        this.#wrongSince.delete(user);
        this.#reported.delete(user);
        continue;
      }
      const since = this.#wrongSince.get(user) ?? now;
      this.#wrongSince.set(user, since);
      if (this.isStale || now - since < LATE_MS || this.#reported.has(user)) continue;
      if (now - since < LATE_MS + this.#options.starvation.since(since)) continue;
      this.#reported.add(user);
      this.#options.judge.fail('late without stale', user, () => [`must be ${truth.status}`, ...this.story(user)]);
    }
  }

  /** Whether what it shows can be judged: not on a node that does not run. */
  get isSure(): boolean {
    const { node } = this;
    if (!this.isReady || node === undefined || node.state === 'stopped' || node.state === 'down') return false;
    return performance.now() - Math.max(node.stateSinceMs, this.#connectedAtMs) > LATE_MS;
  }

  story(user: string): string[] {
    return [
      `watcher ${this.name} on ${this.node?.name ?? '-'}${this.isStale ? ' (stale)' : ''} had: ${(this.#stories.get(user) ?? []).join(' | ')}`,
      `deeds: ${(this.#people.get(user)?.diary ?? []).join(' | ')}`,
    ];
  }

  #choose(): Node | undefined {
    const { home, nodes, random } = this.#options;
    if (home !== undefined) return home.state === 'up' || home.state === 'cut' ? home : undefined;
    const open = nodes.filter((node) => node.state === 'up' && node !== this.node);
    return open.length > 0 ? random.pick(open) : undefined;
  }

  #leave(): void {
    this.#client?.end('reset');
    this.#client = undefined;
    this.isReady = false;
  }

  #again(): void {
    this.#leave();
    setTimeout(() => {
      if (this.#client === undefined) this.#connect();
    }, 300);
  }

  #connect(): void {
    const node = this.#choose();
    if (node === undefined) return this.#again();
    const { viewer } = this.#options;
    this.node = node;
    this.isStale = false;
    this.#answers = 0;
    this.#versions.clear();
    const isRoamer = this.#options.home === undefined;
    const watches = this.#parts.flatMap((users, part) => {
      const at = this.#ats[part];
      const watch = { type: 'watch', users, id: part };
      const fresh = { type: 'watch', users, id: `fresh ${part}` };
      return [at === undefined ? watch : { ...watch, since: at }, ...(isRoamer ? [fresh] : [])];
    });
    const hello = { type: 'hello', observe: true, ...(viewer === '' ? {} : { user: viewer }) };
    const client = new WsClient({
      port: node.place.port,
      firstFrames: [hello, ...watches].map(textFrame),
      onText: (text) => {
        if (this.#client === client) this.#read(readMessage(text), text);
      },
      onEnd: () => {
        if (this.#client === client) this.#again();
      },
    });
    this.#client = client;
    setTimeout(() => {
      if (this.#client === client && !this.isReady && node.state !== 'stopped') this.#again();
    }, READY_WITHIN_MS);
  }

  #read(message: Message, text: string): void {
    const { judge, home } = this.#options;
    if (message.type === 'stale') {
      this.isStale = true;
      this.staleReports += 1;
    } else if (message.type === 'fresh') this.isStale = false;
    else if (message.type === 'reconnect') {
      if (home === undefined) this.roam();
    } else if (message.type === 'snapshot') this.#snapshot(message);
    else if (message.type === 'presence') {
      for (const entry of message.entries ?? []) this.#take(entry);
      if (message.at !== undefined) this.#ats.fill(message.at);
    } else if (message.type === 'error' && message.code !== 'unavailable')
      judge.fail('an error to a watcher', '', () => [text]);
  }

  #snapshot(message: Message): void {
    const { entries = [], re, at = 0, since } = message;
    const isFresh = typeof re === 'string';
    if (isFresh) this.#compare(entries);
    if (!isFresh && since !== undefined) this.partial += 1;
    const isFull = since === undefined;
    for (const entry of entries) this.#take(entry, isFull);
    this.#ats[typeof re === 'number' ? re : Number(String(re).split(' ')[1])] = at;
    this.#answers += 1;
    const expected = this.#parts.length * (this.#options.home === undefined ? 2 : 1);
    if (this.#answers !== expected) return;
    this.isReady = true;
    this.#connectedAtMs = performance.now();
    this.resumes += 1;
  }

  /** A fresh snapshot right after a resume. */
  #compare(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const before = this.view.get(entry.user);
      if (JSON.stringify(before) === JSON.stringify(entry)) continue;
      // The node before this one was ahead: its changes arrive here too.
      if (before !== undefined && before.v > entry.v) continue;
      // A lifted block changes the version and the dates, and is reported only if the user is visible (I16, I21).
      const isBlocker = this.#people.get(entry.user)?.mayBlock === true;
      const { v, since, lastSeen } = entry;
      if (isBlocker && JSON.stringify({ ...before, since, lastSeen, v }) === JSON.stringify(entry)) continue;
      this.#options.judge.fail('a resume is not a fresh snapshot', entry.user, () => [
        `resumed: ${JSON.stringify(before)}`,
        `fresh:   ${JSON.stringify(entry)}`,
        ...this.story(entry.user),
      ]);
    }
  }

  #take(entry: Entry, isFull = false): void {
    const { judge, viewer, crowd, onGhost } = this.#options;
    const { user, v, status } = entry;
    const story = (): string[] => this.story(user);
    this.changes += 1;
    const before = this.view.get(user);
    const lines = this.#stories.get(user) ?? [];
    lines.push(
      `${judge.clock()} ${this.node?.name ?? ''} ${isFull ? 'full ' : ''}${status} ${entry.text ?? ''} v ${v}`,
    );
    if (lines.length > STORY) lines.shift();
    this.#stories.set(user, lines);
    const version = this.#versions.get(user) ?? 0;
    if (v < version) judge.fail('a version that shrank', user, () => [`${v} after ${version}`, ...story()]);
    this.#versions.set(user, v);
    if (before !== undefined && !isFull && v < before.v)
      judge.fail('a version that shrank over a resume', user, () => [`${v} after ${before.v}`, ...story()]);
    judge.saw(viewer, entry, story);
    this.view.set(user, entry);
    const person = this.#people.get(user);
    if (person === undefined) return;
    if (viewer !== '' && status !== 'offline' && crowd.blocked.get(user) === 'yes')
      judge.fail('shown after the 204 of its block', user, story);
    if (status !== 'offline' || before === undefined || before.status === 'offline') return;
    if (person.ghostSinceMs > 0) onGhost(person, this);
    if (viewer === '' && person.isFalselyOffline(performance.now())) judge.fail('falsely offline', user, story);
  }
}
