/**
 * Spreads drawing over frames: each frame draws what fits into its budget and leaves the rest to the next, so that a
 * dozen plots never make one long task. Only the last request of each owner counts.
 */

const FRAME_BUDGET_MS = 8;
const waiting = new Map<object, () => void>();
let frame: number | undefined;

export function drawSoon(owner: object, draw: () => void): void {
  waiting.set(owner, draw);
  frame ??= requestAnimationFrame(run);
}

export function drawNever(owner: object): void {
  waiting.delete(owner);
}

function run(): void {
  const startedAt = performance.now();
  frame = undefined;
  for (const [owner, draw] of waiting) {
    waiting.delete(owner);
    draw();
    if (performance.now() - startedAt > FRAME_BUDGET_MS) break;
  }
  if (waiting.size > 0) frame ??= requestAnimationFrame(run);
}
