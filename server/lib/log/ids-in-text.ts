/**
 * Ids within the text that named them, given by where each begins and ends. The arrays are reused for the next text, so
 * an object is valid only until then.
 */
export interface IdsInText {
  readonly text: string;
  readonly count: number;
  /** The index of each id's first character, and the index after its last. */
  readonly begins: Uint16Array;
  readonly ends: Uint16Array;
  /** The list as JSON, as it is in the text. */
  readonly listJson: string;
}

/**
 * Copies one id to a separate string. A `slice` of 13 characters or more is a view of the whole text in V8. The text
 * may be 16 KiB long, and the view would keep it in memory.
 */
export function ownId({ text, begins, ends }: IdsInText, index: number): string {
  return Buffer.from(text.slice(begins[index], ends[index]), 'latin1').toString('latin1');
}
