/**
 * What one or more views show: the friends of one user, or a set of users. Keeps the entries, and since when they may be
 * behind; tells the views. Knows nothing of connections: watching.ts says what came.
 */
import type { Entry } from '../../shared/entry.ts';
import type { PresenceError } from './error.ts';
import { fold, type Entries, type FoldMode } from './fold.ts';
import type { Listeners } from './listeners.ts';
import type { ViewChange, ViewEvents } from './types.ts';

export class Watched {
  /** Whose friends; undefined for a set of users. */
  readonly owner: string | undefined;
  readonly ids: ReadonlySet<string>;
  readonly views = new Set<Listeners<ViewEvents>>();
  entries: Entries = new Map();
  isSynced = false;
  /** Since when the connection it was told on is gone; null once its snapshot has come on the next. */
  behindSince: number | null = null;
  error: PresenceError | null = null;
  /** Of a list: the last `at`, what is asked for next time is only what is newer. */
  at: number | undefined;
  /** Of a list: no snapshot has come on this connection yet. */
  isPending = true;

  constructor(owner: string | undefined, ids: ReadonlySet<string>) {
    this.owner = owner;
    this.ids = ids;
  }

  /** `isComplete`: with this the view is right as of now. */
  apply(news: Iterable<Entry>, { mode, without, isSnapshot = false, isComplete = false }: Applied = {}): void {
    const folded = fold(this.entries, news, mode, without);
    if (isComplete) {
      this.isSynced = true;
      this.behindSince = null;
      this.error = null;
    }
    this.entries = folded?.entries ?? this.entries;
    const change: ViewChange = { changed: [], removed: [], ...folded, entries: this.entries, isSnapshot };
    for (const view of [...this.views]) {
      if (folded !== undefined) view.emit('change', change);
      if (isComplete) view.emit('sync', change);
    }
  }

  refuse(error: PresenceError): void {
    this.error = error;
    for (const view of [...this.views]) view.emit('error', error);
  }
}

interface Applied {
  readonly mode?: FoldMode;
  readonly without?: Iterable<string> | undefined;
  readonly isSnapshot?: boolean;
  readonly isComplete?: boolean;
}
