/** Costs of frames in addition to their size, in units of a usual frame (5 to 8 µs). Pure. */

/** Verifying a token takes 160 µs. */
export const TOKEN_COST = 25;

const LESS_THAN = 0x3c;
const EQUALS = 0x3d;
const AMPERSAND = 0x26;
/** Elements, attributes and references of a usual frame. */
const FREE_MARKUP = 32;
/** Each takes up to 3 µs. */
const MARKUP_A_UNIT = 4;

/** Cost of parsing a frame. 8 KiB take 0.2 ms as one text, and 5 ms as 850 elements with an attribute each. */
export function markupCost(frame: Buffer): number {
  let markup = 0;
  for (const byte of frame) if (byte === LESS_THAN || byte === EQUALS || byte === AMPERSAND) markup++;
  return Math.ceil(Math.max(0, markup - FREE_MARKUP) / MARKUP_A_UNIT);
}
