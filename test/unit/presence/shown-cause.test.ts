import { expect, test } from 'vitest';
import { shownCause } from '../../../server/presence/shown-cause.ts';

test.each([
  ['came', 'offline', 'online', 'began'],
  ['returned', 'away', 'online', 'set'],
  ['set', 'online', 'busy', 'set'],
  ['left', 'online', 'offline', 'bye'],
  ['left', 'busy', 'online', 'bye'],
  ['lost', 'online', 'offline', 'closed'],
  ['grace_over', 'online', 'offline', 'closed'],
  ['lapsed', 'online', 'offline', 'lapsed'],
  ['failed', 'online', 'offline', 'lapsed'],
  ['not_back', 'online', 'offline', 'lapsed'],
  ['kicked', 'online', 'offline', 'kicked'],
] as const)('%s from %s to %s is reported as %s', (cause, from, to, reported) => {
  expect(shownCause(cause, from, to)).toBe(reported);
});

test.each([
  ['set', 'online'],
  ['came', 'busy'],
  ['returned', 'away'],
] as const)('becoming invisible by %s is a goodbye to others', (cause, from) => {
  expect(shownCause(cause, from, 'offline')).toBe('bye');
});

test.each(['set', 'left', 'lapsed', 'kicked', 'grace_over', 'token_ran_out'] as const)(
  'becoming visible again by %s of the invisible session is a beginning',
  (cause) => {
    expect(shownCause(cause, 'offline', 'online')).toBe('began');
  },
);
