/**
 * Makes workers with Node's cluster module. For the servers of Node.js (TCP, and the ws engine) the parent has the port,
 * accepts, and hands out connections in turn. uWebSockets.js listens in each worker, and the kernel hands them out.
 */
import cluster from 'node:cluster';
import type { ToParent } from './messages.ts';
import type { WorkerEvents, WorkerProcess } from './workers.ts';

/** The environment variable that tells a worker that it is one. Not a setting. */
export const WORKER_VARIABLE = 'PRESENCE_HUB_WORKER';

/** Starts this program once more, with the same arguments. */
export function fork(events: WorkerEvents): WorkerProcess {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork({ [WORKER_VARIABLE]: '1' });
  worker.on('message', (message: ToParent) => events.message(message));
  // A message to a process that has just ended. `exit` follows.
  worker.on('error', () => undefined);
  worker.on('exit', (code: number | null, signal: string | null) => events.ended(code, signal));
  return {
    pid: worker.process.pid ?? 0,
    send: (message) => {
      if (worker.isConnected()) worker.send(message, () => undefined);
    },
    kill: () => worker.process.kill('SIGKILL'),
  };
}
