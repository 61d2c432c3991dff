import { expect, it } from 'vitest';
import { defaultMaxSessions } from '../../../server/hub/default-max-sessions.ts';

const MIB = 1024 * 1024;

it('half of the heap is for sessions, a KiB each (S11)', () => {
  expect(defaultMaxSessions(4096 * MIB)).toBe(2_097_152);
  expect(defaultMaxSessions(192 * MIB)).toBe(98_304);
});

it('there is room for one in any heap', () => {
  expect(defaultMaxSessions(0)).toBe(1);
});
