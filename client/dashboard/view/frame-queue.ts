/**
 * Drawing in small pieces: what is to be drawn waits here, and each frame does as much as fits and leaves the rest to the
 * next, so that a dozen plots never make one long task. The last wish of each owner counts.
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
