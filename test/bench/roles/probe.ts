/**
 * The probe: requests /healthz at a steady pace, each time over a new connection, and records how long the answers
 * took. Runs in a separate process, so that nothing else makes it late. Reports how late it was itself, because on a
 * busy machine that is part of its figures.
 */
import { probeHealth } from '../lib/hub-http.ts';
import { serveRole } from '../lib/roles.ts';
import { ProbeTimes, type ProbeFigures } from '../lib/probe-times.ts';

export interface ProbeTask {
  readonly port: number;
  readonly everyMs: number;
}

/** Beyond that, a further request would show nothing that the waiting one does not. */
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
  /** The figures since the last call. */
  look: (): ProbeFigures => times.look(),
};

export type ProbeCommands = typeof commands;

serveRole(commands);
