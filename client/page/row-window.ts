/**
 * Which rows of a long list are in the document: all of a short one, so that the browser's own search and print find
 * everyone; of a long one those in sight and some beyond, in steps, so that scrolling rarely renders. Pure.
 */

/** Up to here every row is there. */
export const WHOLE_UP_TO = 150;
const STEP = 4;
const BEYOND = 5;

export interface RowWindow {
  readonly from: number;
  /** Not in it any more. */
  readonly to: number;
}

/** How far the list was scrolled, in steps. */
export function roughly(top: number, rowPx: number): number {
  return Math.floor(top / (rowPx * STEP)) * rowPx * STEP;
}

/** `top` is how far the list's begin is above the upper edge of what is in sight. */
export function rowWindow(count: number, rowPx: number, top: number, heightPx: number): RowWindow {
  if (count <= WHOLE_UP_TO) return { from: 0, to: count };
  const first = Math.floor(roughly(top, rowPx) / rowPx);
  const inSight = Math.ceil(heightPx / rowPx);
  const from = Math.min(Math.max(0, first - BEYOND), Math.max(0, count - inSight - BEYOND));
  return { from, to: Math.min(count, Math.max(first, 0) + inSight + STEP + BEYOND) };
}
