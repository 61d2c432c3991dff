/** What happens in the demo: on a terminal one line that is written over, in a pipe a line each. Called by demo. */
import { type Output, sizeOf } from './io.ts';
import { clockTime, fit } from './terminal-text.ts';

export class DemoTicker {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  tell(nowMs: number, here: number, of: number, what: string): void {
    const line = `${clockTime(nowMs)}  ${here} of ${of} connected  ${what}`;
    if (this.#output.isTTY !== true) this.#output.write(`${line}\n`);
    // One column less than there are: a full line would wrap.
    else this.#output.write(`\r\u001b[K${fit(line, sizeOf(this.#output).columns - 1).trimEnd()}`);
  }

  /** What is written next begins a line of its own. */
  close(): void {
    if (this.#output.isTTY === true) this.#output.write('\r\u001b[K');
  }
}
