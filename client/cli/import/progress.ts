/**
 * Shows the progress of a long task: a bar on a terminal, a line every few seconds in a pipe. The rendering is pure;
 * the writer decides when to draw, and lets lines of text pass.
 */
import { type Output, sizeOf } from '../terminal/io.ts';
import { fit } from '../terminal/terminal-text.ts';

const BAR_EVERY_MS = 100;
const LINE_EVERY_MS = 5_000;
const BAR_WIDTH = 24;

interface Progress {
  readonly doneBytes: number;
  /** Unknown for standard input. */
  readonly totalBytes: number | undefined;
  readonly pairs: number;
  readonly elapsedMs: number;
}

/** `[######..................]  25%  250,000 pairs  31,250/s  24 s left`. */
export function renderProgress({ doneBytes, totalBytes, pairs, elapsedMs }: Progress): string {
  const rate = elapsedMs === 0 ? 0 : Math.round((pairs * 1000) / elapsedMs);
  const counts = `${groupDigits(pairs)} pairs  ${groupDigits(rate)}/s`;
  if (totalBytes === undefined || totalBytes === 0) return counts;
  const share = Math.min(1, doneBytes / totalBytes);
  const filled = Math.round(share * BAR_WIDTH);
  const leftS = share === 0 ? undefined : Math.ceil((elapsedMs * (1 - share)) / share / 1000);
  const bar = '#'.repeat(filled) + '.'.repeat(BAR_WIDTH - filled);
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)}%  ${counts}${leftS === undefined ? '' : `  ${leftS} s left`}`;
}

/** `1,234,567`. */
export function groupDigits(count: number): string {
  return count.toLocaleString('en-US');
}

export interface ProgressWriter {
  /** Prints a line above the bar. */
  line(text: string): void;
  close(): void;
}

export function writeProgress(output: Output, look: () => Progress): ProgressWriter {
  const isBar = output.isTTY === true;
  const clear = () => isBar && output.write('\r\u001b[K');
  const draw = () => {
    const text = renderProgress(look());
    // One column less than the width, because a full line would wrap.
    output.write(isBar ? `\r\u001b[K${fit(text, sizeOf(output).columns - 1).trimEnd()}` : `${text}\n`);
  };
  const timer = setInterval(draw, isBar ? BAR_EVERY_MS : LINE_EVERY_MS);
  return {
    line: (text) => {
      clear();
      output.write(`${text}\n`);
    },
    close: () => {
      clearInterval(timer);
      clear();
    },
  };
}
