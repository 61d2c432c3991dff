/**
 * One connection's way out: what waits to be told to it, and how much it can take. While the peer reads, changes go out
 * with the next flush; while it does not, only WHO changed is kept, so a slow reader costs a reference for each user it
 * watches, never a queue of old news. Joins fragments; knows nothing of why somebody is told.
 */
import type { Socket } from '../sockets/port.ts';
import type { User } from '../presence/user.ts';
import type { Circle } from './circle.ts';

export class Outbox {
  readonly #socket: Socket;
  /** Whom it watches by id. */
  readonly users = new Set<User>();
  /** Whose friends it watches. */
  readonly circles = new Set<Circle>();
  /** Whose own fold it is told, if it asked. */
  self: User | null = null;
  lastSelfJson = '';
  /** The number of the last change given to it: overlapping watches are told once. */
  toldNo = 0;
  #fragments = '';
  #fragmentCount = 0;
  /** Set while the peer reads slower than we write: who changed since. */
  #behind: Set<User> | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The peer does not keep up: nothing is sent of our own accord. */
  get isBehind(): boolean {
    return this.#behind !== null;
  }

  /** Whether any watch of this connection covers the user. */
  covers(user: User): boolean {
    if (this.users.has(user)) return true;
    for (const circle of this.circles) if (circle.friends.has(user)) return true;
    return false;
  }

  /** Takes one change. @returns whether this is the first since the last `flush`. */
  add(user: User, entryJson: string): boolean {
    if (this.#behind !== null) {
      this.#behind.add(user);
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
  flush(at: number): number {
    const delivered = this.#fragmentCount;
    const fragments = this.#fragments;
    this.#fragments = '';
    this.#fragmentCount = 0;
    if (delivered > 0) this.#send(`{"type":"presence","entries":[${fragments}],"at":${at}}`);
    return delivered;
  }

  /** Forgets what is pending of a user that no watch covers any more. */
  forget(user: User): void {
    this.#behind?.delete(user);
  }

  /** Hands over who changed while the peer did not read. */
  takeBehind(): Iterable<User> {
    const behind = this.#behind ?? [];
    if (this.#behind !== null) this.#behind = new Set();
    return behind;
  }

  /** The peer reads again. */
  caughtUp(): void {
    this.#behind = null;
  }

  /** Sends an answer, or what must keep its place among them, even to a peer that is behind: clients cause these. */
  send(json: string): void {
    this.#send(json);
  }

  #send(json: string): void {
    const result = this.#socket.send(json);
    if (result === 'queued') this.#behind ??= new Set();
    // The engine's own bound is far above any snapshot: this peer asks on and on and reads nothing. Cut it once this
    // round of telling is over: its end takes it out of the very lists that are being walked.
    else if (result === 'dropped') queueMicrotask(() => this.#socket.terminate());
  }
}
