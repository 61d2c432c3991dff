/**
 * The list of friends. It is as high as all of its rows, but renders only those that row-window selects. It is one tab
 * stop; arrows, Home, End and Page keys move within it, and a focused row keeps the focus when the order changes.
 */
import type { RefObject, TargetedFocusEvent, TargetedKeyboardEvent } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Entry } from '../../../sdk/index.ts';
import { FriendRow } from './friend-row.tsx';
import { roughly, rowWindow, WHOLE_UP_TO, type RowWindow } from './row-window.ts';

const ROW_REM = 4.5;

interface FriendListProps {
  readonly rows: readonly Entry[];
  /** The search that `rows` match. A new search scrolls to its first row. */
  readonly search: string;
  readonly isBehind: boolean;
  readonly now: number;
  readonly onOpen: (user: string) => void;
}

export function FriendList({ rows, search, isBehind, now, onOpen }: FriendListProps) {
  const list = useRef<HTMLUListElement>(null);
  const { rowPx, from, to } = useRowWindow(list, rows.length);
  const shownSearch = useRef(search);
  useLayoutEffect(() => {
    if (search !== shownSearch.current) scrollTo(list.current, 0, rowPx);
    shownSearch.current = search;
  }, [search]);
  const { active, onFocus, onBlur, onKeyDown } = useWalk(list, rows, rowPx);
  const shown = rows.slice(from, to).map((entry, place) => ({ entry, index: from + place }));
  const activeIndex = active === undefined ? -1 : rows.findIndex(({ user }) => user === active);
  const activeEntry = rows[activeIndex];
  // Rendered even if it is out of sight, because it has the focus or will get it.
  if (activeEntry !== undefined && activeIndex < from) shown.unshift({ entry: activeEntry, index: activeIndex });
  if (activeEntry !== undefined && activeIndex >= to) shown.push({ entry: activeEntry, index: activeIndex });
  const isLong = rows.length > WHOLE_UP_TO;
  const tabStop = activeEntry?.user ?? rows[0]?.user;
  return (
    <ul
      ref={list}
      id="friends"
      aria-label="Friends"
      style={{ height: `${rows.length * rowPx}px`, '--row': `${rowPx}px` }}
      onFocusIn={onFocus}
      onFocusOut={onBlur}
      onKeyDown={onKeyDown}
    >
      {shown.map(({ entry, index }) => (
        <FriendRow
          key={entry.user}
          entry={entry}
          index={index}
          count={rows.length}
          topPx={index * rowPx}
          isGliding={!isLong}
          isBehind={isBehind}
          isTabStop={entry.user === tabStop}
          now={now}
          onOpen={onOpen}
        />
      ))}
    </ul>
  );
}

type ListRef = RefObject<HTMLUListElement>;

/** Follows the scroll position and size of the window. Renders again only if other rows come into sight. */
function useRowWindow(list: ListRef, count: number): RowWindow & { readonly rowPx: number } {
  const [place, setPlace] = useState(() => ({ rowPx: rowHeight(), top: 0, heightPx: innerHeight }));
  const look = useCallback((): void => {
    if (list.current === null) return;
    const rowPx = rowHeight();
    const top = roughly(-list.current.getBoundingClientRect().top, rowPx);
    const heightPx = innerHeight;
    setPlace((last) =>
      last.rowPx === rowPx && last.top === top && last.heightPx === heightPx ? last : { rowPx, top, heightPx },
    );
  }, [list]);
  useLayoutEffect(look, [look]);
  useEffect(() => {
    let frame: number | undefined;
    const soon = (): void => {
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        look();
      });
    };
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', soon);
    return () => {
      if (frame !== undefined) cancelAnimationFrame(frame);
      removeEventListener('scroll', soon);
      removeEventListener('resize', soon);
    };
  }, [look]);
  return { rowPx: place.rowPx, ...rowWindow(count, place.rowPx, place.top, place.heightPx) };
}

/** Returns the height in pixels. It depends on the root font size, with which text scales. */
function rowHeight(): number {
  return ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

interface Walk {
  readonly active: string | undefined;
  readonly onFocus: (event: TargetedFocusEvent<HTMLUListElement>) => void;
  readonly onBlur: (event: TargetedFocusEvent<HTMLUListElement>) => void;
  readonly onKeyDown: (event: TargetedKeyboardEvent<HTMLUListElement>) => void;
}

function useWalk(list: ListRef, rows: readonly Entry[], rowPx: number): Walk {
  const [active, setActive] = useState<string>();
  const hasFocus = useRef(false);
  /** A row that moves in the document loses the focus during a render. Such a blur must be ignored. */
  const isRendering = useRef(false);
  isRendering.current = true;
  /** The last index of the focused row. If that friend is removed, the next row gets the focus. */
  const lastIndex = useRef(0);
  const rowOf = (user: string): HTMLElement | null | undefined =>
    list.current?.querySelector<HTMLElement>(`li[data-user="${CSS.escape(user)}"] button`);

  useLayoutEffect(() => {
    isRendering.current = false;
    if (active === undefined || !hasFocus.current) return;
    const index = rows.findIndex(({ user }) => user === active);
    if (index < 0) {
      setActive(rows[Math.min(lastIndex.current, rows.length - 1)]?.user);
      return;
    }
    lastIndex.current = index;
    const row = rowOf(active);
    if (row !== document.activeElement && (document.activeElement ?? document.body) === document.body) {
      row?.focus({ preventScroll: true });
    }
  });

  return {
    active,
    onFocus: ({ target }) => {
      const user = target instanceof Element ? target.closest<HTMLElement>('li')?.dataset['user'] : undefined;
      hasFocus.current = true;
      if (user !== undefined) setActive(user);
    },
    onBlur: ({ relatedTarget }) => {
      if (isRendering.current) return;
      hasFocus.current = relatedTarget instanceof Node && list.current?.contains(relatedTarget) === true;
    },
    onKeyDown: (event) => {
      const index = rows.findIndex(({ user }) => user === active);
      const page = Math.max(1, Math.floor((innerHeight * 0.7) / Math.max(1, rowPx)));
      const next = nextIndex(event.key, index, page, rows.length);
      const user = next === undefined ? undefined : rows[next]?.user;
      if (next === undefined || user === undefined) return;
      event.preventDefault();
      setActive(user);
      hasFocus.current = true;
      const row = rowOf(user);
      if (row !== null && row !== undefined) row.focus({ preventScroll: true });
      else (document.activeElement as HTMLElement | null)?.blur();
      hasFocus.current = true;
      scrollTo(list.current, next * rowPx, rowPx);
    },
  };
}

function nextIndex(key: string, index: number, page: number, count: number): number | undefined {
  const clamp = (wanted: number): number => Math.min(count - 1, Math.max(0, wanted));
  switch (key) {
    case 'ArrowDown':
      return clamp(index + 1);
    case 'ArrowUp':
      return clamp(index - 1);
    case 'PageDown':
      return clamp(index + page);
    case 'PageUp':
      return clamp(index - page);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return undefined;
  }
}

/** Scrolls a row into sight below the sticky toolbar, no further than needed. */
function scrollTo(list: HTMLUListElement | null, topPx: number, rowPx: number): void {
  if (list === null) return;
  const stuckPx = document.querySelector('.toolbar')?.getBoundingClientRect().bottom ?? 0;
  const top = list.getBoundingClientRect().top + topPx;
  if (top < stuckPx) scrollBy({ top: top - stuckPx, behavior: 'instant' });
  else if (top + rowPx > innerHeight) scrollBy({ top: top + rowPx - innerHeight + 8, behavior: 'instant' });
}
