/**
 * JSON text as a value that still has to be judged. Never throws: where the text is no JSON, the answer is undefined,
 * which no JSON is. Judges no field. Called at every door that JSON comes through.
 */

/** An object of JSON, its fields unread. */
export type Fields = Readonly<Record<string, unknown>>;

export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One JSON object; undefined for any other text. */
export function parseFields(json: string): Fields | undefined {
  const value = parseJson(json);
  return isFields(value) ? value : undefined;
}
