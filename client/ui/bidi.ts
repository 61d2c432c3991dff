/**
 * Keeps text of other people from changing the direction of its surroundings: it may run from right to left, or contain
 * characters that reorder the rest of a line. `<bdi>` alone is not enough: browsers end its isolation early if the text
 * contains the end of an isolate or of a paragraph. Pure.
 */

/** Embeddings, overrides and isolates, with their ends. They have no width and are part of no word. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
// eslint-disable-next-line no-control-regex -- Unicode ends a paragraph with these too
const PARAGRAPH_ENDS = /[\n\r\u001c-\u001e\u0085\u2029]/g;

/** Cleans text for a `<bdi>`, or another element that isolates its text. */
export function isolable(text: string): string {
  return text.replace(TURNS, '').replace(PARAGRAPH_ENDS, ' ');
}

/** Isolates text for a sentence without markup, such as an attribute. */
export function isolated(text: string): string {
  return `\u2068${isolable(text)}\u2069`;
}
