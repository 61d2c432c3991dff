import { expect, test } from 'vitest';
import { Gate } from '../../../server/lib/collections/gate.ts';

test('a gate lets in as many as there are places, and the others in their order', async () => {
  const gate = new Gate(2);
  expect([gate.enter(), gate.enter()]).toEqual([undefined, undefined]);
  const entered: number[] = [];
  const waiting = [1, 2, 3].map((n) =>
    (gate.enter() ?? Promise.reject(new Error('let in'))).then(() => entered.push(n)),
  );
  gate.leave();
  await waiting[0];
  expect(entered).toEqual([1]);
  gate.leave();
  gate.leave();
  await Promise.all(waiting);
  expect(entered).toEqual([1, 2, 3]);
  gate.leave();
  gate.leave();
  expect(gate.isEmpty).toBe(true);
  expect(gate.enter()).toBe(undefined);
});
