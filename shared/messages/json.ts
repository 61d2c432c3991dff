/**
 * Parses JSON text without judging its fields. Never throws: if the text is not JSON, the result is undefined, which no
 * JSON text yields.
 */

/** A JSON object whose fields have not been checked. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * The maximum nesting of lists and objects in a text longer than `SHORT`. No message of the contract has more than four
 * levels.
 */
export const MAX_JSON_DEPTH = 64;
/** A text of at most this many characters cannot be nested deeply enough to matter. */
const SHORT = 2048;

export function parseJson(json: string): unknown {
  // Deep nesting costs the parser ten times as much per byte as any other text: 100 ms for 256 KiB (2026-11-28).
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
      case 0x22: // Skips the string.
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

/**
 * Returns the index of the quote that ends the string that begins at `start`, or an index past the text if there is
 * none.
 */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== 0x22) at += json.charCodeAt(at) === 0x5c ? 2 : 1;
  return at;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses one JSON object. Returns undefined for any other text. */
export function parseFields(json: string): Fields | undefined {
  const value = parseJson(json);
  return isFields(value) ? value : undefined;
}
