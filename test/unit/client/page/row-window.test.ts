/** Which rows are in the document: whatever is in sight, and never many. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { roughly, rowWindow, WHOLE_UP_TO } from '../../../../client/page/view/list/row-window.ts';

test('a short list is there as a whole', () => {
  expect(rowWindow(WHOLE_UP_TO, 72, 9000, 800)).toEqual({ from: 0, to: WHOLE_UP_TO });
});

test('of a long one all that is in sight is there, wherever it is scrolled to, and little else', () => {
  const rowPx = 72;
  fc.assert(
    fc.property(
      fc.integer({ min: WHOLE_UP_TO + 1, max: 10_000 }),
      fc.integer({ min: -2_000, max: 800_000 }),
      fc.integer({ min: 100, max: 3_000 }),
      (count, top, heightPx) => {
        // What the page knows of the place is rough, and must do.
        const { from, to } = rowWindow(count, rowPx, roughly(top, rowPx), heightPx);
        const first = Math.max(0, Math.floor(top / rowPx));
        const last = Math.min(count, Math.ceil((top + heightPx) / rowPx));
        if (first < last) expect(from <= first && last <= to).toBe(true);
        expect(to - from).toBeLessThanOrEqual(heightPx / rowPx + 30);
        expect(from).toBeGreaterThanOrEqual(0);
        expect(to).toBeLessThanOrEqual(count);
      },
    ),
  );
});
