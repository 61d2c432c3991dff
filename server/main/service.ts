/** What `serve` starts, reloads and ends: a hub in this process, or workers that this process watches. */
import type { Config } from '../config/config.ts';

/** 1 if something had to be cut off. */
export type ExitCode = 0 | 1;

export interface Service {
  /** The lines of the start, for people. */
  readonly lines: string;
  /** Resolves to whether `next` applies now. If not, the log says why. */
  reload(next: Config): Promise<boolean>;
  drain(): Promise<ExitCode>;
  stop(): Promise<ExitCode>;
}
