/**
 * The terminal screen of a command: uses the alternate screen, so that the previous content returns, and draws at most
 * ten frames a second. Redraws when the window changes.
 */
import { type Output, sizeOf } from './io.ts';

const FRAME_MS = 100;
const AGEING_MS = 1_000;

interface Screen {
  /** Schedules a redraw. */
  touch(): void;
  /** Restores the terminal. */
  close(): void;
}

export function openScreen(output: Output, render: (columns: number, rows: number) => readonly string[]): Screen {
  let pending: NodeJS.Timeout | undefined;
  const draw = () => {
    pending = undefined;
    const { columns, rows } = sizeOf(output);
    const lines = render(columns, rows);
    // Cleared before writing: cleared after it, a line as wide as the window would lose its last column.
    output.write(`\u001b[H${lines.map((line) => `\u001b[2K${line}`).join('\r\n')}\u001b[J`);
  };
  const touch = () => (pending ??= setTimeout(draw, FRAME_MS));
  const ageing = setInterval(touch, AGEING_MS);
  output.on('resize', touch);
  // Enters the alternate screen and hides the cursor.
  output.write('\u001b[?1049h\u001b[?25l\u001b[2J');
  draw();
  return {
    touch,
    close: () => {
      clearTimeout(pending);
      clearInterval(ageing);
      output.off('resize', touch);
      output.write('\u001b[?25h\u001b[?1049l');
    },
  };
}
