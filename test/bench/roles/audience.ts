/**
 * Publishers and their watchers, in one process so that one clock times each delivery. Every change carries a stamp
 * (who, which change, when), so that a watcher needs no JSON. A delivery is an ENTRY at a watcher, even if a frame
 * contains several. A server may merge changes of one user, but the last must reach every watcher.
 */
import { BusyLoop, idleLoop, type LoopFigures } from '../lib/busy-loop.ts';
import { Friends } from '../lib/friends.ts';
import { Histogram, type Counts } from '../lib/histogram.ts';
import { LoadClient, messageHead, script, startsWith, traffic, type Step } from '../lib/load-client.ts';
import { inParallel, until } from '../lib/pacing.ts';
import { Random } from '../lib/random.ts';
import { serveRole } from '../lib/roles.ts';
import { readStamps, stampText } from '../lib/stamps.ts';
import { wires, type WireName } from '../lib/wires.ts';

export interface AudienceTask {
  readonly port: number;
  readonly wire: WireName;
  readonly publishers: number;
  readonly watchers: number;
  /** How many publishers each watches. */
  readonly friends: number;
  /** By `friendsOf` instead of by ids; the edges are there. */
  readonly isByFriends: boolean;
}

export interface AudienceFigures extends LoopFigures {
  /** Deliveries that the changes ask for, one by one. */
  readonly expected: number;
  readonly delivered: number;
  /** Changes that never came since a newer one did. */
  readonly merged: number;
  /** A newer one was followed by an older one. */
  readonly stale: number;
  readonly strange: number;
  readonly frames: number;
  readonly bytes: number;
  readonly resyncs: number;
  readonly delays: Counts;
  readonly lost: readonly string[];
}

const OPEN_AT_ONCE = 128;
const FINALS_WITHIN_MS = 5000;
const delays = new Histogram();
const random = new Random(12_345);
const lost: string[] = [];
const publishers: LoadClient[] = [];
const watching: LoadClient[] = [];
let wire: WireName = 'json';
let friends = new Friends(1, 1);
let friendsEach = 1;
/** By publisher: its last change, and how many watch it. */
let published = new Uint32Array();
let followers = new Uint32Array();
/** By watcher and friend: the last change received. */
let known = new Uint32Array();
let loop: BusyLoop | undefined;
let presenceHead = messageHead('json', 'presence');
let counts = noCounts();

function noCounts() {
  return {
    expected: 0,
    delivered: 0,
    merged: 0,
    stale: 0,
    strange: 0,
    frames: 0,
    resyncs: 0,
    bytesBefore: traffic.bytes,
  };
}

const commands = {
  open: async (task: AudienceTask): Promise<void> => {
    wire = task.wire;
    presenceHead = messageHead(wire, 'presence');
    friends = new Friends(task.publishers, task.friends);
    friendsEach = task.friends;
    published = new Uint32Array(task.publishers);
    followers = new Uint32Array(task.publishers);
    known = new Uint32Array(task.watchers * task.friends);
    const all = Array.from({ length: task.watchers }, (_, watcher) => watcher);
    for (const watcher of all) for (const user of friends.allOf(watcher)) followers[user] = (followers[user] ?? 0) + 1;
    // The publishers connect first, so that nobody is notified of that.
    await inParallel([...published.keys()], OPEN_AT_ONCE, async (user) => {
      publishers[user] = await opened(task.port, script(wire, { user: `u${user}` }));
    });
    await inParallel(all, OPEN_AT_ONCE, async (watcher) => {
      const watch = task.isByFriends
        ? { friendsOf: `w${watcher}` }
        : { users: friends.allOf(watcher).map((user) => `u${user}`) };
      watching[watcher] = await opened(task.port, script(wire, { user: `w${watcher}` }, watch), (message) =>
        read(watcher, message),
      );
    });
  },
  /** Changes at an even rate until the rest; the first seconds of it are the warm-up. */
  publish: (changesPerS: number): void => {
    loop = new BusyLoop(changesPerS, publishNext);
  },
  /** Returns the figures since the last call, and resets them. */
  figures: (): AudienceFigures => {
    const { bytesBefore, ...rest } = counts;
    const loopFigures = loop?.figures() ?? idleLoop;
    const figures = { ...loopFigures, ...rest, bytes: traffic.bytes - bytesBefore, delays: delays.counts, lost };
    counts = noCounts();
    delays.clear();
    return figures;
  },
  /** Stops, waits, and answers how many watchers did not receive the last change of a friend. */
  rest: async (): Promise<number> => {
    loop?.stop();
    await until(() => wrongFinals() === 0, FINALS_WITHIN_MS, 100);
    return wrongFinals();
  },
};

export type AudienceCommands = typeof commands;

function opened(port: number, steps: readonly Step[], onMessage?: (message: Buffer) => void): Promise<LoadClient> {
  return new Promise((resolve, reject) => {
    const client: LoadClient = new LoadClient({
      port,
      wire,
      script: steps,
      onReady: () => resolve(client),
      ...(onMessage === undefined ? {} : { onMessage }),
      onLost: (why) => {
        lost.push(why);
        reject(new Error(why));
      },
    });
  });
}

function publishNext(): void {
  let user = random.below(published.length);
  while (followers[user] === 0) user = random.below(published.length);
  const change = (published[user] ?? 0) + 1;
  published[user] = change;
  const text = stampText({ user, change, sentAtUs: Math.round(performance.now() * 1000) });
  const status = change % 2 === 1 ? 'away' : 'online';
  publishers[user]?.send(wires[wire].frame('heartbeat', { status, text }));
  counts.expected += followers[user] ?? 0;
}

let readingAtUs = 0;
let readingWatcher = 0;
let isPresence = false;

function read(watcher: number, message: Buffer): void {
  isPresence = startsWith(message, presenceHead);
  if (isPresence) counts.frames += 1;
  else counts.resyncs += 1;
  readingAtUs = performance.now() * 1000;
  readingWatcher = watcher;
  readStamps(message, reported);
}

function reported(user: number, change: number, sentAtUs: number): void {
  const slot = friends.slotOf(readingWatcher, user);
  if (slot < 0) {
    counts.strange += 1;
    return;
  }
  const at = readingWatcher * friendsEach + slot;
  const before = known[at] ?? 0;
  if (isPresence) {
    counts.delivered += 1;
    delays.add((readingAtUs - sentAtUs) / 1000);
    if (change <= before) counts.stale += 1;
    else counts.merged += change - before - 1;
  }
  if (change > before) known[at] = change;
}

function wrongFinals(): number {
  let wrong = 0;
  for (let watcher = 0; watcher < watching.length; watcher += 1) {
    for (let slot = 0; slot < friendsEach; slot += 1) {
      if (known[watcher * friendsEach + slot] !== published[friends.friendOf(watcher, slot)]) wrong += 1;
    }
  }
  return wrong;
}

serveRole(commands);
