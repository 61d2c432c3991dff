import { describe, expect, it } from 'vitest';
import { readExplanation } from '../../../../../client/dashboard/hub/wire.ts';

describe('what the hub says', () => {
  it('is undefined if it is not JSON', () => {
    expect(readExplanation('<html>')).toBeUndefined();
    expect(readExplanation('')).toBeUndefined();
  });
});
