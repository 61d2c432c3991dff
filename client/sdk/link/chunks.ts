/**
 * Splits ids into chunks that fit into messages: limited in number, and in characters, so that no message is too large
 * for the hub. Pure.
 */

/** The contract's limit. A test checks that they are equal. */
export const MAX_IDS = 1000;
/** Ids are ASCII, so a character is a byte. Leaves room for the rest of a message of at most 16 KiB. */
export const MAX_CHARS = 15_000;

export function inChunks(ids: Iterable<string>): string[][] {
  const chunks: string[][] = [];
  let chunk: string[] = [];
  let chars = 0;
  for (const id of ids) {
    // Two quotes and a comma.
    chars += id.length + 3;
    if (chunk.length === 0 || chunk.length === MAX_IDS || chars > MAX_CHARS) {
      chunks.push((chunk = []));
      chars = id.length + 3;
    }
    chunk.push(id);
  }
  return chunks;
}
