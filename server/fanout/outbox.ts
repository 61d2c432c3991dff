/**
 * One connection's way out: who looks, what waits to be told, and how much the peer can take. While it reads, changes go
 * out with the next flush; while it does not, only WHO changed is kept, so a slow reader costs a reference for each user
 * it watches, never a queue of old news. Its own requests may still fill memory, so their answers are counted.
 * Joins fragments; knows nothing of why somebody is told.
 */
import type { Clock } from '../lib/clock.ts';
import { SmallSet } from '../lib/small-set.ts';
import type { Socket } from '../sockets/port.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { WatchedList } from './watched-list.ts';

export interface OutboxOptions {
  /** Bytes of answers that may wait for a peer that does not read. */
  readonly maxQueuedBytes: number;
  readonly clock: Clock;
}

/** What is kept while the peer reads slower than we write. */
interface Behind {
  /** Monotonic milliseconds. */
  readonly sinceAt: number;
  /** Who changed since the last of it was told. */
  changed: Set<User>;
  /** Somebody changed twice, or too many changed: some change will never be told. */
  isOverwritten: boolean;
  /** Answers that wait behind what made the peer slow. */
  queuedBytes: number;
}

export interface OutboxOwner {
  /**
   * More than the allowed bytes of answers wait, or the engine takes nothing more: from now on nothing is sent. Called
   * once, in a turn of its own.
   */
  overflowed(): void;
  /** The hub does work for the peer beyond the message itself: counts it against the peer's rate. */
  charge(units: number): void;
}

/** Users who changed that are remembered for a peer that does not read. If more change, it gets new snapshots instead. */
export const MAX_CHANGED_KEPT = 1000;

const utf8 = new TextEncoder();
const nobody: Viewer = { user: null, isAdmin: false, follower: null, mayObserve: false };

export class Outbox {
  /** Who looks through this connection: set by whoever learns it. */
  viewer: Viewer = nobody;
  /** Who speaks through it; while nobody does, an overflow cuts the socket. */
  owner: OutboxOwner | null = null;
  readonly #socket: Socket;
  readonly #options: OutboxOptions;
  /** Whom it watches by id. */
  readonly users = new SmallSet<User>();
  /** Whose friends it watches. */
  readonly circles = new SmallSet<WatchedList>();
  /** Whose own fold it is told, if it asked. */
  self: User | null = null;
  lastSelfJson = '';
  /** The number of the last change given to it: overlapping watches are told once. */
  toldNo = 0;
  /** The number of the last walk that found something held back from it: see `HeldBack.noteOwed`. */
  owedNo = 0;
  /** Watches that are owed a new snapshot, in order; null for none, as always while the peer keeps up. */
  owed: Set<WatchedList | User> | null = null;
  /** What is owed goes on in a later turn. */
  isAwaitingTurn = false;
  #fragments = '';
  #fragmentCount = 0;
  #behind: Behind | null = null;
  #isOver = false;

  constructor(socket: Socket, options: OutboxOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** The peer does not keep up: nothing is sent of our own accord. */
  get isBehind(): boolean {
    return this.#behind !== null;
  }

  /** Since when the peer has not kept up, without a break; monotonic milliseconds. */
  get behindSinceAt(): number | null {
    return this.#behind === null ? null : this.#behind.sinceAt;
  }

  /** Users by id, and lists. */
  get watchCount(): number {
    return this.users.size + this.circles.size;
  }

  /** Takes one change. @returns whether this is the first since the last `flush`. */
  add(user: User, entryJson: string): boolean {
    if (this.#behind !== null) {
      const { changed } = this.#behind;
      const before = changed.size;
      if (before >= MAX_CHANGED_KEPT || changed.add(user).size === before) this.#behind.isOverwritten = true;
      return false;
    }
    this.#fragmentCount++;
    if (this.#fragments !== '') {
      this.#fragments += ',' + entryJson;
      return false;
    }
    this.#fragments = entryJson;
    return true;
  }

  /** Sends what `add` collected. @returns entries delivered. */
  flush(messages: FlushMessages): number {
    const delivered = this.#fragmentCount;
    const fragments = this.#fragments;
    this.#fragments = '';
    this.#fragmentCount = 0;
    if (delivered === 0) return 0;
    if (this.owed !== null) this.push(presenceJson(fragments, undefined));
    else if (delivered === 1) this.push(messages.ofOne(fragments));
    else this.push(messages.of(fragments));
    return delivered;
  }

  /** Hands over who changed while the peer did not read, perhaps with some that it watches no more; it is still behind. */
  takeChanged(): ReadonlySet<User> {
    if (this.#behind === null) return new Set();
    const { changed } = this.#behind;
    this.#behind.changed = new Set();
    return changed;
  }

  /** The peer reads again. @returns whether some change will never be told. */
  caughtUp(): boolean {
    const isOverwritten = this.#behind?.isOverwritten === true;
    this.#behind = null;
    return isOverwritten;
  }

  /** Sends an answer, or what must keep its place among them, even to a peer that is behind: clients cause these. */
  reply(json: string): void {
    if (this.#behind !== null) {
      this.#behind.queuedBytes += Buffer.byteLength(json);
      if (this.#behind.queuedBytes > this.#options.maxQueuedBytes) this.#overflow();
    }
    this.push(json);
  }

  /** Sends what the peer did not ask for. */
  push(message: string | Uint8Array): void {
    if (this.#isOver) return;
    const result = this.#socket.send(message);
    if (result === 'queued') this.#fallBehind();
    else if (result === 'dropped') this.#dropped();
  }

  #fallBehind(): void {
    this.#behind ??= {
      sinceAt: this.#options.clock.now().monoMs,
      changed: new Set(),
      isOverwritten: false,
      queuedBytes: 0,
    };
  }

  /** The engine's own bound is far above any snapshot: who is behind asks on and on and reads nothing; others have left. */
  #dropped(): void {
    if (this.#behind !== null) this.#overflow();
    else queueMicrotask(() => this.#socket.terminate());
  }

  #overflow(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Not now: the end of this connection takes it out of the very lists that may be being walked.
    queueMicrotask(() => {
      if (this.owner === null) this.#socket.terminate();
      else this.owner.overflowed();
    });
  }
}

/**
 * The messages of one flush. Most connections are told of one user alone, and those who watch the same user stand together:
 * from the second on they are sent the same bytes, where a text would be glued and encoded for each of them again. 7.7 µs a
 * delivery instead of 8.7, with 50 who watch each user (2026-11-27, Node 20.20); fanout.test.ts holds the bytes to the text.
 */
export class FlushMessages {
  readonly at: number | undefined;
  #entryJson = '';
  #bytes: Uint8Array | null = null;

  /** `at`: undefined to leave it out. */
  constructor(at: number | undefined) {
    this.at = at;
  }

  of(fragments: string): string {
    return presenceJson(fragments, this.at);
  }

  ofOne(entryJson: string): string | Uint8Array {
    if (entryJson === this.#entryJson) return (this.#bytes ??= utf8.encode(this.of(entryJson)));
    this.#entryJson = entryJson;
    this.#bytes = null;
    return this.of(entryJson);
  }
}

/** `at` is left out while some watch is owed a snapshot: it would not hold for that one. */
export function presenceJson(fragments: string, at: number | undefined): string {
  return `{"type":"presence","entries":[${fragments}]${at === undefined ? '' : `,"at":${at}`}}`;
}
