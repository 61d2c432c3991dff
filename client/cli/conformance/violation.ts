/** A rule that a hub breaks: the reason that the command prints. Also the comparisons that the checks use. */
import { isDeepStrictEqual } from 'node:util';

export class Violation extends Error {}

const MAX_CHARS = 300;

/** Returns the value as JSON, cut to a line. */
export function shown(value: unknown): string {
  const json = value === undefined ? 'nothing' : JSON.stringify(value);
  return json.length > MAX_CHARS ? `${json.slice(0, MAX_CHARS)}…` : json;
}

/** @throws {Violation} unless both are deeply equal. `what` names the compared part. */
export function mustEqual(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) {
    throw new Violation(`${what} is ${shown(actual)}, and must be ${shown(expected)}`);
  }
}

/** @throws {Violation} with the reason unless the condition holds. */
export function must(condition: boolean, reason: string): void {
  if (!condition) throw new Violation(reason);
}
