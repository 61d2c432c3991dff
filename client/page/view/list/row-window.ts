/**
 * Selects the rows of a list that are rendered: all rows of a short list, so that the browser's own search and print
 * include everyone; of a long one, those in sight and some beyond, in steps, so that scrolling rarely renders. Pure.
 */

/** Up to this length, every row is rendered. */
export const WHOLE_UP_TO = 150;
const STEP = 4;
const BEYOND = 5;

export interface RowWindow {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** Rounds the scroll position down to a step. */
export function roughly(top: number, rowPx: number): number {
  return Math.floor(top / (rowPx * STEP)) * rowPx * STEP;
}

/** `top` is how far the top of the list is above the visible area. */
export function rowWindow(count: number, rowPx: number, top: number, heightPx: number): RowWindow {
  if (count <= WHOLE_UP_TO) return { from: 0, to: count };
  const first = Math.floor(roughly(top, rowPx) / rowPx);
  const inSight = Math.ceil(heightPx / rowPx);
  const from = Math.min(Math.max(0, first - BEYOND), Math.max(0, count - inSight - BEYOND));
  return { from, to: Math.min(count, Math.max(first, 0) + inSight + STEP + BEYOND) };
}
