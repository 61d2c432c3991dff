/**
 * JSON text as a value that still has to be judged. Never throws: where the text is no JSON, the answer is undefined,
 * which no JSON is. Judges no field. Called at every door that JSON comes through.
 */

/** An object of JSON, its fields unread. */
export type Fields = Readonly<Record<string, unknown>>;

/** Lists and objects in each other, at most, in a text of more than `SHORT`. No message of the contract has more than four. */
export const MAX_JSON_DEPTH = 64;
/** Characters that can't hold enough of them to matter. */
const SHORT = 2048;

export function parseJson(json: string): unknown {
  // Deep nesting costs the parser ten times as much for each byte as anything else: 256 KiB of it, 100 ms (2026-11-28).
  if (json.length > SHORT && isTooDeep(json)) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isTooDeep(json: string): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case 0x22: // a string: on to its end
        at = endOfString(json, at);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > MAX_JSON_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
    }
  }
  return false;
}

/** Where the string ends that begins at `start`: at its quote, or behind the text if it has none. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== 0x22) at += json.charCodeAt(at) === 0x5c ? 2 : 1;
  return at;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One JSON object; undefined for any other text. */
export function parseFields(json: string): Fields | undefined {
  const value = parseJson(json);
  return isFields(value) ? value : undefined;
}
