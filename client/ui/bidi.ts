/**
 * Keeps other people's words from turning what stands around them: a friend's text may run from right to left, or hold
 * characters that turn the rest of a line. In a document `<bdi>` does it, but not alone: browsers end its isolation early if
 * the text holds the end of an isolate, or of a paragraph. Pure.
 */

/** Embeddings, overrides and isolates, each with its end. They have no width, and no part in any word. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
// eslint-disable-next-line no-control-regex -- Unicode ends a paragraph with these, too
const PARAGRAPH_ENDS = /[\n\r\u001c-\u001e\u0085\u2029]/g;

/** For a `<bdi>`, or another element that isolates its text. */
export function isolable(text: string): string {
  return text.replace(TURNS, '').replace(PARAGRAPH_ENDS, ' ');
}

/** For a sentence without markup, such as an attribute. */
export function isolated(text: string): string {
  return `\u2068${isolable(text)}\u2069`;
}
