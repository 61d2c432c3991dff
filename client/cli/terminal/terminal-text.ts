/**
 * Text for a terminal: removes control characters from text of others, and measures widths in columns. Pure.
 * Everything that a hub or its users send passes through `harmless` or `jsonLine` before it is printed.
 */

/**
 * Control and formatting characters (including text direction), line separators and lone surrogates, except for the
 * joiner in emoji.
 */
const UNSAFE = /(?!\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** Characters that terminals show in two columns: the East Asian blocks, and emoji with emoji presentation. */
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Right-to-left letters and the digits that belong to them. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATE = '\u2068';
const ISOLATE_END = '\u2069';

/** Escapes characters that could move the cursor, color a line or change its direction. */
export function harmless(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Prints JSON on one line, with the same characters escaped as JSON escapes them. */
export function jsonLine(value: unknown): string {
  const escaped = (character: string): string =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join('');
  return JSON.stringify(value).replace(UNSAFE, escaped);
}

/**
 * Makes text harmless and isolates it from the rest of its line, because a terminal that reorders right-to-left text
 * also reorders the digits and signs beside it. Other text stays as it is, because some terminals show isolates as
 * signs.
 */
export function isolated(text: string): string {
  const safe = harmless(text);
  return RIGHT_TO_LEFT.test(safe) ? `${ISOLATE}${safe}${ISOLATE_END}` : safe;
}

export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOfGrapheme(segment);
  return width;
}

/** Returns exactly `width` columns: padded with spaces, or cut with an ellipsis. */
export function fit(text: string, width: number): string {
  if (width <= 0) return '';
  const whole = widthOf(text);
  if (whole <= width) return text + ' '.repeat(width - whole);
  let taken = '';
  let used = 0;
  let end = '';
  for (const { segment } of graphemes.segment(text)) {
    const next = used + widthOfGrapheme(segment);
    if (next > width - 1) break;
    taken += segment;
    used = next;
    if (segment === ISOLATE) end = ISOLATE_END;
    else if (segment === ISOLATE_END) end = '';
  }
  return `${taken}…${end}${' '.repeat(width - 1 - used)}`;
}

function widthOfGrapheme(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2;
  return /^[\p{M}\u2068\u2069]/u.test(grapheme) ? 0 : 1;
}
