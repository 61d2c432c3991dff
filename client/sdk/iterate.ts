/**
 * A view as an async iterator: first what it shows, then each change. Whoever is slow gets the latest of what it missed,
 * merged, never a queue that grows. Called by view.
 */
import { fold, type Entries } from './fold.ts';
import type { PresenceView, ViewChange } from './types.ts';

/** Ends when the view does. */
export async function* iterate(view: PresenceView): AsyncGenerator<ViewChange, void, undefined> {
  const ending = new AbortController();
  let shown: Entries = new Map();
  let isSnapshot = true;
  let isDue = view.isSynced;
  let wake: (() => void) | undefined;
  const heed = (change: ViewChange): void => {
    isDue = true;
    isSnapshot ||= change.isSnapshot;
    wake?.();
  };
  view.on('change', heed, ending);
  view.on('sync', heed, ending);
  view.on('status', () => wake?.(), ending);
  try {
    while (isDue || view.status !== 'closed') {
      if (isDue) {
        const { entries } = view;
        const { changed, removed } = fold(shown, entries.values(), 'whole');
        const change = { entries, changed, removed, isSnapshot };
        shown = entries;
        isDue = isSnapshot = false;
        yield change;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    ending.abort();
  }
}
