/** Words by which one person could disturb how another person's line is read, and how to see whether they do. */
import type { Locator } from 'playwright-core';

/** Each begins with what turns a line, or ends what keeps it apart. `words` stands in each of them. */
export const TURNING = {
  'right-to-left letters': 'שלום words',
  'an override': '\u202ewords',
  'the end of an isolate, and an override': '\u2069\u202ewords',
  'the end of a paragraph, and an override': 'a\u2029\u202ewords',
  'the beginning of an isolate': 'words\u2067',
} as const;

/** The words as they are seen, line by line from left to right. Each must stand once in the element, in one text node. */
export async function asSeen(element: Locator, words: readonly string[]): Promise<readonly string[]> {
  const places = await element.evaluate((root, wanted) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found: { readonly word: string; readonly left: number; readonly top: number; readonly bottom: number }[] = [];
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      for (const word of wanted) {
        const at = (node.nodeValue ?? '').indexOf(word);
        if (at < 0) continue;
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        const { left, top, bottom } = range.getBoundingClientRect();
        found.push({ word, left, top, bottom });
      }
    }
    return found;
  }, words);
  const isAbove = (a: (typeof places)[number], b: (typeof places)[number]) => a.bottom <= b.top;
  return places.sort((a, b) => (isAbove(a, b) ? -1 : isAbove(b, a) ? 1 : a.left - b.left)).map(({ word }) => word);
}
