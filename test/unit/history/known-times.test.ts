/** Which times are unknown to all hubs. */
import { expect, it } from 'vitest';
import { gapsBetween } from '../../../server/history/known-times.ts';

const span = { from: 100, to: 200 };

it('is the whole span if no hub knew anything', () => {
  expect(gapsBetween([], [], span)).toEqual([span]);
});

it('is the time between those that hubs knew, which may overlap and extend beyond the span', () => {
  const known = [
    { from: 150, to: 160 },
    { from: 50, to: 110 },
    { from: 105, to: 120 },
    { from: 155, to: 170 },
    { from: 190, to: 300 },
  ];
  expect(gapsBetween(known, [], span)).toEqual([
    { from: 120, to: 150 },
    { from: 170, to: 190 },
  ]);
});

it('includes the time whose changes a dead hub did not store', () => {
  const lost = [
    { from: 130, to: 140 },
    { from: 10, to: 20 },
  ];
  expect(gapsBetween([{ from: 0, to: 300 }], lost, span)).toEqual([{ from: 130, to: 140 }]);
});
