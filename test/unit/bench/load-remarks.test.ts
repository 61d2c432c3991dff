import { describe, expect, it } from 'vitest';
import { idleLoop } from '../../bench/lib/busy-loop.ts';
import { disturbanceOf, remarksOf } from '../../bench/lib/load-remarks.ts';

const loop = { ...idleLoop, ms: 4000, sent: 10_000, busyPercent: 50 };
const cost = { cpuMs: 2000, cpuPercent: 50, rssMb: 100, ms: 4000 };

describe('remarks on a load', () => {
  it('are none if the load was as requested', () => {
    expect(remarksOf(loop, cost)).toEqual([]);
    expect(disturbanceOf(loop)).toBeUndefined();
  });

  it('name what was not sent, by its share', () => {
    expect(remarksOf({ ...loop, owed: 2500 }, cost)).toEqual(['the rate was not reached: 20.0% was not sent in time']);
    expect(remarksOf({ ...loop, owed: 50 }, cost)).toEqual([]);
  });

  it('distinguish the server’s ceiling from the generator’s', () => {
    expect(remarksOf(loop, { ...cost, cpuPercent: 99.5 })).toEqual(['the server was saturated (99.5% of a core)']);
    expect(remarksOf({ ...loop, busyPercent: 99 }, cost)).toEqual(['the generator was at its ceiling']);
    expect(remarksOf({ ...loop, worstLateMs: 80 }, cost)).toEqual(['the generator was 80 ms late']);
  });

  it('call a run disturbed if another program used the load’s core', () => {
    expect(disturbanceOf({ ...loop, corePercent: 60 })).toBe('the load had 60% of its core');
  });
});
