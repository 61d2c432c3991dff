/**
 * Clients that connect, watch, and then do nothing: the workload `storm` measures the connecting, `memory` their
 * memory. Their frames are prepared. The users that they watch go online first, over one gateway connection. Runs in a
 * separate process.
 */
import { Friends } from '../lib/friends.ts';
import { Histogram, type Counts } from '../lib/histogram.ts';
import { LoadClient, script, type Step } from '../lib/load-client.ts';
import { inParallel, sleep } from '../lib/pacing.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient, xmlFrame } from '../lib/tcp-client.ts';
import type { WireName } from '../lib/wires.ts';

export interface ConnectingClientsTask {
  readonly port: number;
  readonly wire: WireName;
  readonly clients: number;
  /** Number of watched users, and how many each client watches. */
  readonly users: number;
  readonly friends: number;
  readonly isByFriends: boolean;
}

export interface Connected {
  /** From the connect to the snapshot. */
  readonly delays: Counts;
  readonly ms: number;
  readonly cpuPercent: number;
  readonly lost: readonly string[];
}

const FRAMES_A_WRITE = 64;
const delays = new Histogram();
const lost: string[] = [];
let port = 0;
let wire: WireName = 'json';
let scripts: (readonly Step[])[] = [];
let connected = 0;

const commands = {
  prepare: (task: ConnectingClientsTask): void => {
    ({ port, wire } = task);
    const friends = new Friends(task.users, task.friends);
    scripts = Array.from({ length: task.clients }, (_, no) => {
      const watch = task.isByFriends ? { friendsOf: `w${no}` } : { users: friends.allOf(no).map((user) => `u${user}`) };
      return script(wire, { user: `w${no}` }, watch);
    });
  },
  bringOnline: async ({ tcpPort, users }: { readonly tcpPort: number; readonly users: number }): Promise<void> => {
    const gateway = new TcpClient({ port: tcpPort, firstFrame: xmlFrame('u0'), onEnd: () => lost.push('the gateway') });
    for (let from = 1; from < users; from += FRAMES_A_WRITE) {
      const length = Math.min(FRAMES_A_WRITE, users - from);
      gateway.send(Buffer.concat(Array.from({ length }, (_, no) => xmlFrame(`u${from + no}`))));
      await sleep(1);
    }
  },
  /** Connects this many more of them, this many at a time. Answers when all have their snapshot. */
  connect: async ({ count, atOnce }: { readonly count: number; readonly atOnce: number }): Promise<Connected> => {
    delays.clear();
    const connecting = scripts.slice(connected, connected + count);
    connected += count;
    const fromMs = performance.now();
    const cpuBefore = process.cpuUsage();
    await inParallel(connecting, atOnce, connect);
    const ms = performance.now() - fromMs;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { delays: delays.counts, ms, cpuPercent: (user + system) / 10 / ms, lost };
  },
  lost: (): readonly string[] => lost,
};

export type ConnectingClientsCommands = typeof commands;

/** Clients that fail are counted, and the others connect nevertheless. */
function connect(steps: readonly Step[]): Promise<void> {
  return new Promise((resolve) => {
    const fromMs = performance.now();
    new LoadClient({
      port,
      wire,
      script: steps,
      onReady: () => {
        delays.add(performance.now() - fromMs);
        resolve();
      },
      onLost: (why) => {
        lost.push(why);
        resolve();
      },
    });
  });
}

serveRole(commands);
