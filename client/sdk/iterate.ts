/**
 * A view as an async iterator: first the current entries, then each change. A slow consumer gets the merged changes
 * since its last read, never a growing queue. Not a generator, because its `return` would wait for a change that may
 * never come.
 */
import { fold, type Entries } from './fold.ts';
import type { PresenceView, ViewChange } from './types.ts';

type Result = IteratorResult<ViewChange, undefined>;

export interface Changes {
  next(): Promise<Result>;
  return(): Promise<Result>;
}

/** Iterates until the view closes or `return` is called. */
export function iterate(view: PresenceView): Changes {
  const ending = new AbortController();
  const waiting: ((result: Result) => void)[] = [];
  let shown: Entries = new Map();
  let isSnapshot = true;
  let isDue = view.isSynced;

  const take = (): ViewChange => {
    const { entries } = view;
    const { changed, removed } = fold(shown, entries.values(), 'whole');
    const change = { entries, changed, removed, isSnapshot };
    shown = entries;
    isDue = isSnapshot = false;
    return change;
  };
  const end = (): Result => {
    ending.abort();
    isDue = false;
    for (const resolve of waiting.splice(0)) resolve({ done: true, value: undefined });
    return { done: true, value: undefined };
  };
  const look = (): void => {
    if (isDue && waiting.length > 0) waiting.shift()?.({ done: false, value: take() });
    if (!isDue && view.status === 'closed') end();
  };
  const heed = (change: ViewChange): void => {
    isDue = true;
    isSnapshot ||= change.isSnapshot;
    // One message of the hub may cause several events.
    queueMicrotask(look);
  };
  view.on('change', heed, ending);
  view.on('sync', heed, ending);
  view.on('status', look, ending);

  return {
    next: () => {
      if (ending.signal.aborted) return Promise.resolve(end());
      return new Promise((resolve) => {
        waiting.push(resolve);
        look();
      });
    },
    return: () => Promise.resolve(end()),
  };
}
