/**
 * The faults of the churn: each is done to real processes, informs the crowd of what its clients would notice, and resolves
 * when it is over. Views must be right 5 s later.
 */
import { sleep } from '../pacing.ts';
import type { Random } from '../random.ts';
import type { Crowd } from './crowd.ts';
import { GONE_WITHIN_MS, type Node } from './nodes.ts';
import type { Person } from './person.ts';
import type { RedisProcess } from './redis-process.ts';

export interface FaultContext {
  readonly redis: RedisProcess;
  readonly nodes: readonly Node[];
  readonly crowd: Crowd;
  readonly random: Random;
  /** Told of those who died with a node, before it dies. */
  readonly onKill: (ghosts: readonly Person[]) => void;
}

export interface Fault {
  readonly name: string;
  /** Whether watchers on live nodes may receive `stale` because of it. */
  readonly mayBeStale: boolean;
  run(context: FaultContext): Promise<void>;
}

const GHOSTS_GONE_MS = GONE_WITHIN_MS + 300;

async function kill(node: Node, { crowd, onKill }: FaultContext): Promise<void> {
  onKill(crowd.kill(node));
  await node.kill();
}

async function stopNode({ nodes, random }: FaultContext, ms: number): Promise<void> {
  const node = random.pick(nodes);
  node.hub?.freeze();
  node.set('stopped');
  await sleep(ms);
  node.hub?.thaw();
  node.set('up');
}

async function stopRedis({ redis }: FaultContext, ms: number): Promise<void> {
  redis.freeze();
  await sleep(ms);
  redis.thaw();
}

async function restartRedis({ redis }: FaultContext, isEmpty: boolean): Promise<void> {
  await redis.kill();
  await sleep(1500);
  if (isEmpty) redis.empty();
  await redis.run();
}

/** `swallow`: connections stay, and nothing comes of them. */
async function cutOff({ nodes, random }: FaultContext, ms: number, how: 'cut' | 'swallow'): Promise<void> {
  const node = random.pick(nodes);
  node.proxy[how]();
  node.set('cut');
  await sleep(ms);
  node.proxy.mend();
  // What was swallowed is missing in the stream: such a connection is of no more use.
  if (how === 'swallow') {
    node.proxy.cut();
    node.proxy.mend();
  }
  node.set('up');
}

export const faults: readonly Fault[] = [
  {
    name: 'kill -9 of a node',
    mayBeStale: true,
    run: async (context) => {
      const node = context.random.pick(context.nodes);
      await kill(node, context);
      await sleep(GHOSTS_GONE_MS);
      await node.run();
    },
  },
  {
    name: 'kill -9 of a node and its restart at once',
    mayBeStale: true,
    run: async (context) => {
      const node = context.random.pick(context.nodes);
      const killedAt = performance.now();
      await kill(node, context);
      await node.run();
      await sleep(Math.max(0, GHOSTS_GONE_MS - (performance.now() - killedAt)));
    },
  },
  { name: 'SIGSTOP of a node for 3 s', mayBeStale: true, run: (context) => stopNode(context, 3000) },
  { name: 'SIGSTOP of a node for 20 s', mayBeStale: true, run: (context) => stopNode(context, 20_000) },
  { name: 'SIGSTOP of a node for 60 s', mayBeStale: true, run: (context) => stopNode(context, 60_000) },
  { name: 'SIGSTOP of Redis for 1 s', mayBeStale: true, run: (context) => stopRedis(context, 1000) },
  { name: 'SIGSTOP of Redis for 20 s', mayBeStale: true, run: (context) => stopRedis(context, 20_000) },
  { name: 'SIGSTOP of Redis for 60 s', mayBeStale: true, run: (context) => stopRedis(context, 60_000) },
  { name: 'FLUSHALL', mayBeStale: true, run: ({ redis }) => redis.flush() },
  { name: 'Redis restarted empty', mayBeStale: true, run: (context) => restartRedis(context, true) },
  { name: 'Redis restarted with its data', mayBeStale: true, run: (context) => restartRedis(context, false) },
  {
    name: 'rolling restart of all nodes',
    mayBeStale: false,
    run: async ({ nodes }) => {
      for (const node of nodes) {
        await node.drain();
        await node.run();
        await sleep(1000);
      }
    },
  },
  { name: 'a node cut off from Redis for 2 s', mayBeStale: true, run: (context) => cutOff(context, 2000, 'cut') },
  { name: 'a node cut off from Redis for 15 s', mayBeStale: true, run: (context) => cutOff(context, 15_000, 'cut') },
  { name: 'answers of Redis swallowed for 5 s', mayBeStale: true, run: (context) => cutOff(context, 5000, 'swallow') },
  {
    name: 'the subscription of a node is dead in silence',
    mayBeStale: true,
    run: async ({ nodes, random }) => {
      random.pick(nodes).proxy.deafen();
      await sleep(4000);
    },
  },
];
