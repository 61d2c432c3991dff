/**
 * What a reader must know of figures: the rate was not reached, the server was at its ceiling, the generator was late
 * or at its own ceiling, or something else had its core. Pure.
 */
import type { LoopFigures } from './busy-loop.ts';
import type { Cost } from './server.ts';

const CEILING_PERCENT = 97;
const OWED_PERCENT = 1;
const LATE_MS = 50;
/** A spinning process that had less of its core shared it. */
const OWN_CORE_PERCENT = 93;

export function remarksOf(loop: LoopFigures, cost: Cost): string[] {
  const owedPercent = (100 * loop.owed) / Math.max(1, loop.owed + loop.sent);
  return [
    ...(owedPercent > OWED_PERCENT
      ? [`the rate was not reached: ${owedPercent.toFixed(1)}% was not sent in time`]
      : []),
    ...(cost.cpuPercent > CEILING_PERCENT ? [`the server was saturated (${cost.cpuPercent}% of a core)`] : []),
    ...(loop.busyPercent > CEILING_PERCENT ? [`the generator was at its ceiling`] : []),
    ...(loop.worstLateMs > LATE_MS ? [`the generator was ${loop.worstLateMs.toFixed(0)} ms late`] : []),
  ];
}

export function disturbanceOf({ corePercent }: LoopFigures): string | undefined {
  return corePercent < OWN_CORE_PERCENT ? `the load had ${corePercent.toFixed(0)}% of its core` : undefined;
}
