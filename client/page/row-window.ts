/**
 * Which rows of a long list are in the document: all of a short one, so that the browser's own search and print find
 * everyone; of a long one those in sight and some beyond, in steps, so that scrolling rarely renders. Pure.
 */

/** Up to here every row is there. */
export const WHOLE_UP_TO = 150;
const STEP = 8;
const BEYOND = 16;

export interface RowWindow {
  readonly from: number;
  /** Not in it any more. */
  readonly to: number;
}

/** `top` is how far the list's begin is above the upper edge of what is in sight. */
export function rowWindow(count: number, rowPx: number, top: number, heightPx: number): RowWindow {
  // Nobody knows how high a row is before there is one.
  if (rowPx <= 0) return { from: 0, to: Math.min(count, BEYOND) };
  if (count <= WHOLE_UP_TO) return { from: 0, to: count };
  const first = Math.floor(top / rowPx / STEP) * STEP;
  const inSight = Math.ceil(heightPx / rowPx);
  const from = Math.min(Math.max(0, first - BEYOND), Math.max(0, count - inSight - BEYOND));
  return { from, to: Math.min(count, Math.max(first, 0) + inSight + STEP + BEYOND) };
}
