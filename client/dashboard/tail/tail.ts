/**
 * The state of the tail view: a few new rows per frame however many arrive, paused while the operator reads, and the
 * number of changes that were left out. Draws nothing.
 */
import { createSignal, type Signal } from '../signal.ts';
import type { TailedChange } from '../hub/wire.ts';
import { mixIn, NO_FILTER, TailRows, type TailFilter, type TailRow } from './tail-rows.ts';

/** The limit of new rows per frame, because a whole screen of them at once takes 40 ms, half of it layout. */
const NEW_A_FRAME = 12;

export interface TailShown {
  readonly rows: readonly TailRow[];
  readonly filter: TailFilter;
  readonly causes: readonly string[];
  readonly adapters: readonly string[];
  readonly isHeld: boolean;
  /** Changes that arrived during the pause. */
  readonly newer: number;
  /** Changes that the hub left out because there were too many. */
  readonly skipped: number;
}

export interface Tail {
  readonly shown: Signal<TailShown>;
  add(changes: readonly TailedChange[], skipped: number): void;
  readonly setFilter: (filter: TailFilter) => void;
  hold(isHeld: boolean): void;
}

/** @param onMatch receives the part of a user id for the hub to match, once the operator stops typing. */
export function createTail(onMatch: (match: string) => void): Tail {
  const rows = new TailRows();
  const shown = createSignal<TailShown>({
    ...{ rows: [], filter: NO_FILTER, causes: [], adapters: [], isHeld: false, newer: 0, skipped: 0 },
  });
  let wanted: readonly TailRow[] = [];
  let skippedSoFar = 0;
  let heldAt = 0;
  let frame: number | undefined;
  let typing: ReturnType<typeof setTimeout> | undefined;

  const publish = (isFresh: boolean): void => {
    const { isHeld, rows: before } = shown.get();
    const mayMove = isFresh || !isHeld;
    if (mayMove) wanted = rows.rows;
    const next = mixIn(wanted, before, NEW_A_FRAME);
    if (next !== wanted) soon();
    shown.set({
      rows: next,
      filter: rows.filter,
      causes: rows.causes,
      adapters: rows.adapters,
      isHeld,
      newer: isHeld ? rows.count - heldAt : 0,
      skipped: skippedSoFar,
    });
  };
  const soon = (): void => {
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      publish(false);
    });
  };
  return {
    shown,
    add: (changes, skipped) => {
      rows.add(changes);
      skippedSoFar += skipped;
      soon();
    },
    setFilter: (filter) => {
      const isOtherUser = filter.user !== rows.filter.user;
      rows.setFilter(filter);
      publish(true);
      if (!isOtherUser) return;
      clearTimeout(typing);
      typing = setTimeout(() => {
        onMatch(filter.user);
      }, 250);
    },
    hold: (isHeld) => {
      if (isHeld === shown.get().isHeld) return;
      heldAt = rows.count;
      shown.set({ ...shown.get(), isHeld });
      publish(false);
    },
  };
}
