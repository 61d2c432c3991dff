import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BINARY, Lane, OVERSIZE, type Incoming } from '../../../../server/adapters/ws-json/lane.ts';

const message = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom<Incoming>('', '\uFEFF𝄞', 'x'.repeat(16 * 1024), BINARY, OVERSIZE),
);

it('a lane gives back what waits in it, in its order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(message, fc.constant(undefined)), { maxLength: 60 }), (steps) => {
      const lane = new Lane();
      const waits: Incoming[] = [];
      // What is undefined takes one out.
      for (const step of steps) {
        if (step === undefined) expect(lane.shift()).toBe(waits.shift());
        else lane.push(step);
        if (step !== undefined) waits.push(step);
        const textBytes = waits.reduce(
          (sum, one) => sum + 2 + (typeof one === 'string' ? Buffer.byteLength(one) : 0),
          0,
        );
        expect(lane.bytes).toBe(textBytes);
      }
      for (const one of waits) expect(lane.shift()).toBe(one);
      expect(lane.shift()).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});

it('a small message takes no more than twice its frame, however many wait', () => {
  const lane = new Lane();
  const count = 200_000;
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < count; i++) lane.push('{}');
  const FRAME_BYTES = 8;
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * FRAME_BYTES * count);
  expect(lane.shift()).toBe('{}');
});
