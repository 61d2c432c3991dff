import { describe, expect, it } from 'vitest';
import { readExplanation } from '../../../../../client/dashboard/hub/wire.ts';

describe('what the hub says', () => {
  it('is nothing where it is no JSON', () => {
    expect(readExplanation('<html>')).toBeUndefined();
    expect(readExplanation('')).toBeUndefined();
  });
});
