/**
 * The form of a user id, a device label and a text, the same in every adapter. This file does not decide who may use
 * them.
 */
import { z } from 'zod';
import { MAX_DEVICE_CHARS, MAX_IDS_PER_MESSAGE, MAX_TEXT_UNITS, MAX_USER_ID_CHARS } from './limits.ts';

const USER_ID = /^[A-Za-z0-9._@:-]{1,128}$/;
// eslint-disable-next-line no-control-regex -- a device label must not contain control characters
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Half of a surrogate pair. It is not a character, and strict readers reject any JSON text that contains it. */
const HALF = /\p{Surrogate}/u;
const HALVES = /\p{Surrogate}/gu;

export function hasHalf(text: string): boolean {
  return HALF.test(text);
}

/** Replaces each half with U+FFFD, for text whose author cannot be notified of the fault. */
export function replaceHalves(text: string): string {
  return text.replace(HALVES, '\ufffd');
}

/** The error message for a bad user id. */
export const USER_ID_FORM = `must be 1 to ${MAX_USER_ID_CHARS} characters out of A-Z a-z 0-9 . _ @ : - (but not "." or "..")`;

/** Returns whether the text is a valid user id. Ids are compared as text: `042` and `42` are two ids. */
export function isUserId(text: string): boolean {
  return USER_ID.test(text) && text !== '.' && text !== '..';
}

/**
 * Returns whether the text is a device label: 1 to 64 characters without control characters or halves of surrogate
 * pairs.
 */
export function isDevice(text: string): boolean {
  return text.length >= 1 && text.length <= MAX_DEVICE_CHARS && !CONTROL.test(text) && !HALF.test(text);
}

export const userId = z
  .string({ error: ({ input }) => (typeof input === 'number' ? describeNumber(input) : USER_ID_FORM) })
  .refine(isUserId, USER_ID_FORM);

/** Does not suggest an unsafe integer as a string, because JSON has already rounded it. */
function describeNumber(id: number): string {
  return Number.isSafeInteger(id)
    ? `must be a string: "${id}", not the number ${id}`
    : 'must be a string, not a number';
}

/** The error message for a bad device label. */
export const DEVICE_FORM = `must be 1 to ${MAX_DEVICE_CHARS} characters without control characters or halves of surrogate pairs`;
export const device = z.string(DEVICE_FORM).refine(isDevice, DEVICE_FORM);

const TEXT_FORM = `must be a string of at most ${MAX_TEXT_UNITS} UTF-16 units, without halves of surrogate pairs`;
// Does not use zod's `max`, which counts an emoji once although it has two units.
export const text = z
  .string(TEXT_FORM)
  .refine((value) => value.length <= MAX_TEXT_UNITS && !HALF.test(value), TEXT_FORM);

interface ListLimits {
  readonly min?: number;
  readonly max?: number;
  /** Whether duplicates count once. The order of first mention is kept. */
  readonly isSet?: boolean;
}

function hasMoreDistinct(values: readonly unknown[], max: number): boolean {
  const seen = new Set<unknown>();
  return values.some((value) => seen.add(value).size > max);
}

/** The element and limits of each list, for code that describes the schemas. */
export const lists = new WeakMap<object, ListLimits & { readonly element: z.ZodType }>();

/**
 * A list of limited size whose elements have a schema. Unlike `z.array`, it checks the size first and stops at the
 * first bad element: a body can contain 100,000 elements, and zod would describe each.
 */
export function list<T>(element: z.ZodType<T>, form: string, limits: ListLimits = {}) {
  const { min = 0, max = Infinity, isSet = false } = limits;
  const isTooLong = (values: readonly unknown[]): boolean =>
    values.length > max && (!isSet || hasMoreDistinct(values, max));
  const any = z.custom<readonly unknown[]>(
    (value) => Array.isArray(value) && value.length >= min && !isTooLong(value),
    { error: form, abort: true },
  );
  lists.set(any, { element, ...limits });
  return any.transform((values, context) => {
    const read: T[] = [];
    const seen = new Set<unknown>();
    for (const [index, value] of values.entries()) {
      if (isSet && seen.size === seen.add(value).size) continue;
      const one = element.safeParse(value);
      if (!one.success) {
        for (const issue of one.error.issues.slice(0, 1)) {
          context.addIssue({ code: 'custom', message: issue.message, path: [index, ...issue.path] });
        }
        return z.NEVER;
      }
      read.push(one.data);
    }
    return read;
  });
}

const LIST_FORM = `must be a list of 1 to ${MAX_IDS_PER_MESSAGE} user ids`;
/** A list of ids in one message. */
export const userIds = list(userId, LIST_FORM, { min: 1, max: MAX_IDS_PER_MESSAGE, isSet: true });

/** An instant or version that a client returns to the hub: an integer from 0 below 2^53. */
const INSTANT_FORM = 'must be a whole number from 0 below 2^53';
export const instant = z.int(INSTANT_FORM).min(0, INSTANT_FORM);
