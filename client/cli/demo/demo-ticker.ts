/** Shows what happens in the demo: one line that is overwritten on a terminal, one line per event in a pipe. */
import { type Output, sizeOf } from '../terminal/io.ts';
import { formatTime } from '../../ui/ago.ts';
import { fit } from '../terminal/terminal-text.ts';

export class DemoTicker {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  show(nowMs: number, here: number, of: number, what: string): void {
    const line = `${formatTime(nowMs)}  ${here} of ${of} connected  ${what}`;
    if (this.#output.isTTY !== true) this.#output.write(`${line}\n`);
    // One column less than the width, because a full line would wrap.
    else this.#output.write(`\r\u001b[K${fit(line, sizeOf(this.#output).columns - 1).trimEnd()}`);
  }

  /** Clears the line, so that the next output starts on an empty one. */
  close(): void {
    if (this.#output.isTTY === true) this.#output.write('\r\u001b[K');
  }
}
