/**
 * The probe: asks /healthz at a steady pace, over a connection of its own each time, and remembers how long the answers
 * took. In a process of its own, so that nothing else makes it late. It says how late it was itself, because on a busy
 * machine that is in its figures.
 */
import { probeHealth } from '../lib/hub-http.ts';
import { serveRole } from '../lib/roles.ts';
import { ProbeTimes, type ProbeFigures } from '../lib/probe-times.ts';

export interface ProbeTask {
  readonly port: number;
  readonly everyMs: number;
}

/** Beyond that a waiting request says all that the next one could say. */
const MAX_WAITING = 20;
const GIVE_UP_MS = 60_000;
const times = new ProbeTimes(() => performance.now());

const commands = {
  start: ({ port, everyMs }: ProbeTask): void => {
    let dueAt = performance.now() + everyMs;
    setInterval(() => {
      times.wasLate(performance.now() - dueAt);
      dueAt = performance.now() + everyMs;
      if (times.waiting >= MAX_WAITING) return;
      const answered = times.asked();
      void probeHealth(port, GIVE_UP_MS).then((ms) => answered(ms !== null));
    }, everyMs);
  },
  /** The figures since the last look. */
  look: (): ProbeFigures => times.look(),
};

export type ProbeCommands = typeof commands;

serveRole(commands);
