import { expect, it } from 'vitest';
import { sessionsThatFit } from '../../../server/hub/session-room.ts';

const MIB = 1024 * 1024;

it('half of the heap is for sessions, a KiB each (S11)', () => {
  expect(sessionsThatFit(4096 * MIB)).toBe(2_097_152);
  expect(sessionsThatFit(192 * MIB)).toBe(98_304);
});

it('there is room for one in any heap', () => {
  expect(sessionsThatFit(0)).toBe(1);
});
