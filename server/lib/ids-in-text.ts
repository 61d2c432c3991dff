/**
 * Ids that still stand in the text that named them: where each begins and ends. Made by whoever read the text and used at
 * once: there is one text in hand at a time, and its borders are written over by the next.
 */
export interface IdsInText {
  readonly text: string;
  readonly count: number;
  /** The index of each id's first character, and the one behind its last. */
  readonly begins: Uint16Array;
  readonly ends: Uint16Array;
  /** The list as JSON, as it stands in the text. */
  readonly listJson: string;
}

/**
 * One of them as a text of its own. What `slice` makes of 13 characters or more is a view of the whole text (V8), which may
 * be 16 KiB long and would live as long as whoever keeps the id.
 */
export function ownId({ text, begins, ends }: IdsInText, index: number): string {
  return Buffer.from(text.slice(begins[index], ends[index]), 'latin1').toString('latin1');
}
