import { describe, expect, it } from 'vitest';
import { pauseAfter } from '../../../../../client/dashboard/hub/tail-socket.ts';
import { readExplanation, readMessage } from '../../../../../client/dashboard/hub/wire.ts';

describe('the pause before the tail comes back', () => {
  it('grows with each try, to ten seconds, and is spread', () => {
    expect(pauseAfter(1006, 0, 0)).toBe(100);
    expect(pauseAfter(1006, 0, 0.5)).toBe(350);
    expect(pauseAfter(1006, 2, 0.5)).toBe(1100);
    expect(pauseAfter(1006, 50, 1)).toBe(10_100);
  });

  it('is long where the hub has no room or was asked too much', () => {
    for (const code of [1013, 4429]) expect(pauseAfter(code, 0, 0)).toBe(5000);
  });
});

describe('what the hub says', () => {
  it('is nothing where it is no JSON', () => {
    expect(readMessage('<html>')).toBeUndefined();
    expect(readExplanation('')).toBeUndefined();
  });
});
