/**
 * A view: what an app holds of one watch. Reads what is watched, hands on its events, and iterates: whoever is slow gets
 * the latest of what it missed, merged, never a queue that grows.
 */
import type { Entry } from '../../shared/entry.ts';
import type { PresenceError } from './error.ts';
import { Listeners } from './listeners.ts';
import type { ConnectionStatus, PresenceView, ViewChange, ViewEvents } from './types.ts';
import type { Watched } from './watched.ts';

interface Owner {
  status(): ConnectionStatus;
  staleSince(): number | null;
  onClose(): void;
}

export class View implements PresenceView {
  readonly #watched: Watched;
  readonly #owner: Owner;
  readonly #listeners = new Listeners<ViewEvents>();
  readonly #iterations = new Set<Iteration>();
  readonly on = this.#listeners.on;
  #isClosed = false;

  constructor(watched: Watched, owner: Owner) {
    this.#watched = watched;
    this.#owner = owner;
    watched.views.add(this.#listeners);
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#watched.entries;
  }

  get isSynced(): boolean {
    return this.#watched.isSynced;
  }

  get staleSince(): number | null {
    return this.#owner.staleSince();
  }

  get status(): ConnectionStatus {
    return this.#isClosed ? 'closed' : this.#owner.status();
  }

  get error(): PresenceError | null {
    return this.#watched.error;
  }

  get(user: string): Entry | undefined {
    return this.#watched.entries.get(user);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watched.views.delete(this.#listeners);
    this.#listeners.clear();
    for (const iteration of this.#iterations) iteration.end();
    this.#owner.onClose();
  }

  tellStatus(): void {
    this.#listeners.emit('status', { status: this.status, staleSince: this.staleSince });
  }

  [Symbol.asyncIterator](): AsyncIterator<ViewChange> {
    const iteration = new Iteration(() => {
      off();
      this.#iterations.delete(iteration);
    });
    const off = this.on('change', (change) => iteration.add(change));
    this.#iterations.add(iteration);
    const { entries, isSynced } = this;
    if (isSynced) iteration.add({ entries, changed: [...entries.values()], removed: [], isSnapshot: true });
    if (this.#isClosed) iteration.end();
    return iteration;
  }
}

class Iteration implements AsyncIterator<ViewChange> {
  readonly #onEnd: () => void;
  #next: ViewChange | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  add(change: ViewChange): void {
    this.#next = this.#next === undefined ? change : merge(this.#next, change);
    this.#wake?.();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<ViewChange>> {
    while (this.#next === undefined && !this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve));
    const value = this.#next;
    this.#next = undefined;
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  async return(): Promise<IteratorResult<ViewChange>> {
    this.#next = undefined;
    this.end();
    return { done: true, value: undefined };
  }
}

/** Two changes as one: each user once, as it is at the end. */
function merge(earlier: ViewChange, { entries, changed, removed, isSnapshot }: ViewChange): ViewChange {
  const touched = new Set([...earlier.changed, ...changed].map(({ user }) => user));
  const gone = new Set([...earlier.removed, ...removed]);
  return {
    entries,
    changed: [...touched].flatMap((user) => entries.get(user) ?? []),
    removed: [...gone].filter((user) => !entries.has(user)),
    isSnapshot: earlier.isSnapshot || isSnapshot,
  };
}
