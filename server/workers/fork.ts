/**
 * Makes workers with Node's cluster module. For the servers of Node.js (TCP, and the ws engine) the parent has the port,
 * accepts, and hands out connections in turn. uWebSockets.js listens in each worker, and the kernel hands them out.
 */
import cluster, { type Worker } from 'node:cluster';
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
  const handed = trackHanded(worker);
  worker.on('exit', (code: number | null, signal: string | null) => {
    for (const connection of [...handed]) connection.close();
    events.ended(code, signal);
  });
  return {
    pid: worker.process.pid ?? 0,
    send: (message) => {
      if (worker.isConnected()) worker.send(message, () => undefined);
    },
    kill: () => worker.process.kill('SIGKILL'),
  };
}

interface Connection {
  close(...args: unknown[]): unknown;
}

/**
 * Returns the connections that were handed to the worker and not taken yet. If a worker ends before it takes one, Node's
 * cluster module keeps the connection open and forgets it (Node 20 to 26): its client would wait without end.
 */
function trackHanded(worker: Worker): ReadonlySet<Connection> {
  const child = worker.process;
  const handed = new Set<Connection>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  child.send = (...args: unknown[]): boolean => {
    const handle = args[1] as Partial<Connection> | null | undefined;
    if (typeof handle?.close === 'function') track(handed, handle as Connection);
    return send(...args);
  };
  return handed;
}

/** The parent closes its copy of a connection that a worker has taken. */
function track(handed: Set<Connection>, connection: Connection): void {
  handed.add(connection);
  const close = connection.close.bind(connection);
  connection.close = (...args) => {
    handed.delete(connection);
    return close(...args);
  };
}
