/**
 * The streams and the Ctrl-C of a command that runs within a test. Keeps what the command writes, and can wait for it.
 */
import { EventEmitter } from 'node:events';
import { startMemoryHub } from '../../server/hub/memory-hub.ts';
import type { Io, Output } from '../../client/cli/terminal/io.ts';

export class KeptOutput extends EventEmitter implements Output {
  readonly isTTY: boolean;
  columns = 80;
  rows = 24;
  text = '';

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  write(text: string): boolean {
    this.text += text;
    this.emit('written');
    return true;
  }

  get lines(): readonly string[] {
    return this.text.split('\n').slice(0, -1);
  }

  /** Resolves once what was written holds the pattern, at or after `from`. */
  until(pattern: RegExp, from = 0): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!pattern.test(this.text.slice(from))) return;
        this.off('written', look);
        resolve();
      };
      this.on('written', look);
      look();
    });
  }
}

export interface TestIo extends Io {
  readonly stdout: KeptOutput;
  readonly stderr: KeptOutput;
  /** Ctrl-C. */
  interrupt(): void;
}

export function testIo(options: { isTTY?: boolean; env?: Io['env']; stdin?: readonly string[] } = {}): TestIo {
  const controller = new AbortController();
  const { isTTY = false, env = {}, stdin = [] } = options;
  return {
    stdin: (async function* () {
      yield* stdin;
    })(),
    stdout: new KeptOutput(isTTY),
    stderr: new KeptOutput(isTTY),
    env,
    interrupted: controller.signal,
    startHub: startMemoryHub,
    interrupt: () => controller.abort(),
  };
}
