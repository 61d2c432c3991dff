/**
 * What a reader of somebody else's input answers: the value, or a problem that says what is wrong with it and what would
 * do. Bad input is never thrown. Used by the command line, the poll targets and the field names.
 */

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function fail<T>(problem: string): Result<T> {
  return { ok: false, problem };
}

/** Whether the text is a whole number as a person writes it: no sign, no leading zero, no exponent. */
export function isWholeWithin(text: string, min: number, max: number): boolean {
  return /^(0|[1-9]\d{0,14})$/.test(text) && Number(text) >= min && Number(text) <= max;
}
