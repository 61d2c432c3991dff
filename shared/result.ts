/**
 * The result of parsing outside input: the value, or a problem that says what is wrong and what is valid. Bad input
 * must never throw.
 */

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function fail<T>(problem: string): Result<T> {
  return { ok: false, problem };
}

/** Whether the text is a whole number in the usual notation: no sign, no leading zero, no exponent. */
export function isWholeWithin(text: string, min: number, max: number): boolean {
  return /^(0|[1-9]\d{0,14})$/.test(text) && Number(text) >= min && Number(text) <= max;
}
