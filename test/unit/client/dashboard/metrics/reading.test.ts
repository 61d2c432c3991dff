import { expect, test } from 'vitest';
import { Reading } from '../../../../../client/ui/metrics/reading.ts';

/** What a hub of two workers answers. */
const OF_TWO = [
  'presence_hub_sessions{adapter="http",worker="1"} 3',
  'presence_hub_sessions{adapter="poll",worker="1"} 1',
  'presence_hub_sessions{adapter="http",worker="2"} 4',
  'lag_seconds_bucket{le="0.1",worker="1"} 5',
  'lag_seconds_bucket{le="+Inf",worker="1"} 6',
  'lag_seconds_bucket{le="0.1",worker="2"} 10',
  'lag_seconds_bucket{le="+Inf",worker="2"} 10',
].join('\n');

test('the series of several workers are added up', () => {
  const reading = new Reading(OF_TWO, 0);
  expect(reading.total('presence_hub_sessions')).toBe(8);
  expect([...reading.by('presence_hub_sessions', 'adapter')]).toEqual([
    ['http', 7],
    ['poll', 1],
  ]);
  expect(reading.buckets('lag_seconds')).toEqual([
    [0.1, 15],
    [Infinity, 16],
  ]);
});
