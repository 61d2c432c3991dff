/**
 * Users on a quiet day: half on legacy TCP, half on WebSockets that watch their friends. All send heartbeats, a few
 * change their status. Measures how long a change takes to each watcher. Runs in a separate process.
 */
import { Friends } from '../lib/friends.ts';
import { Histogram, type Counts } from '../lib/histogram.ts';
import { putFriends } from '../lib/hub-http.ts';
import { LoadClient, script } from '../lib/load-client.ts';
import { inParallel, paceEvenly, type Pace } from '../lib/pacing.ts';
import { Random } from '../lib/random.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient, xmlFrame } from '../lib/tcp-client.ts';
import { readHubMessage } from '../lib/hub-message.ts';
import { wires } from '../lib/wires.ts';

export interface SteadyTask {
  readonly port: number;
  readonly tcpPort: number;
  readonly users: number;
  readonly friends: number;
}

export interface SteadyFigures {
  readonly beats: number;
  /** Deliveries that the changes ask for, and those that came. */
  readonly expected: number;
  readonly delivered: number;
  /** From the change's send to a watcher's receive. */
  readonly delays: Counts;
  readonly falseOffline: number;
  readonly worstLateMs: number;
  readonly lost: readonly string[];
}

/** `current`: the index of the present status. The frames are built in advance. */
interface Person {
  readonly user: string;
  readonly beatFrames: readonly [Buffer, Buffer];
  readonly changeFrames: readonly [Buffer, Buffer];
  current: 0 | 1;
  changedAtMs: number;
  watchers: number;
  send: (frame: Buffer) => void;
}

const AT_ONCE = 64;
const PUTS_AT_ONCE = 8;
const statuses = ['online', 'away'] as const;
const ONLINE = 1;
const AWAY = 2;
const wsBeat = wires.json.frame('heartbeat');
const wsChanges = statuses.map((status) => wires.json.frame('heartbeat', { status })) as [Buffer, Buffer];
const delays = new Histogram();
const lost: string[] = [];
const beating: Person[] = [];
let task: SteadyTask;
let people: readonly Person[] = [];
let byName: ReadonlyMap<string, Person> = new Map();
let paces: readonly Pace[] = [];
let beats = 0;
let expected = 0;
let delivered = 0;
let falseOffline = 0;

const commands = {
  /** Who follows whom, stored in the hub before anybody connects. */
  befriend: async (given: SteadyTask): Promise<void> => {
    task = given;
    people = Array.from({ length: task.users }, (_, no) => person(no));
    byName = new Map(people.map((one) => [one.user, one]));
    await inParallel(watchers(), PUTS_AT_ONCE, async (watcher) => {
      const followed = friendsOf(watcher);
      for (const friend of followed) friend.watchers += 1;
      const { port } = task;
      await putFriends(
        port,
        nameOf(watcher),
        followed.map(({ user }) => user),
      );
    });
  },
  /** All come, and beat from then on. */
  open: async (everyMs: number): Promise<void> => {
    paces = [paceEvenly(() => beating.length, everyMs, beat)];
    for (const one of people) if (one.changeFrames !== wsChanges) openTcp(one);
    await inParallel(watchers(), AT_ONCE, openWs);
  },
  /** Changes at an even rate, each of another user until all have had one. */
  change: (perS: number): void => {
    const order = new Random(1).shuffle(people);
    paces = [
      ...paces,
      paceEvenly(
        () => order.length,
        (1000 * order.length) / perS,
        (index) => change(order[index]),
      ),
    ];
  },
  /** Returns the figures since the last call, and resets them. */
  figures: (): SteadyFigures => {
    // Of the changes alone: opening thousands of connections holds up the first beats.
    const worstLateMs = Math.max(0, ...paces.slice(1).map((pace) => pace.worstLateMs));
    const figures = { beats, expected, delivered, delays: delays.counts, falseOffline, worstLateMs, lost };
    delays.clear();
    beats = 0;
    expected = 0;
    delivered = 0;
    return figures;
  },
  /** Stops the changes; heartbeats continue. */
  rest: (): void => {
    for (const pace of paces.slice(1)) pace.stop();
  },
};

export type SteadyCommands = typeof commands;

function nameOf(no: number): string {
  return no % 2 === 0 ? `t${no}` : `w${no}`;
}

function watchers(): number[] {
  return Array.from({ length: Math.floor(task.users / 2) }, (_, no) => 2 * no + 1);
}

/** Nobody is their own friend, so a user that would be has one friend fewer. */
function friendsOf(watcher: number): Person[] {
  const numbers = new Friends(task.users, task.friends).allOf(watcher);
  return numbers.filter((no) => no !== watcher).flatMap((no) => people[no] ?? []);
}

function person(no: number): Person {
  const user = nameOf(no);
  const xml = [xmlFrame(user, ONLINE), xmlFrame(user, AWAY)] as const;
  const isTcp = no % 2 === 0;
  const frames = isTcp
    ? { beatFrames: xml, changeFrames: xml }
    : { beatFrames: [wsBeat, wsBeat] as const, changeFrames: wsChanges };
  return { user, ...frames, current: 0, changedAtMs: 0, watchers: 0, send: () => undefined };
}

function beat(index: number): void {
  const one = beating[index];
  if (one === undefined) return;
  beats += 1;
  one.send(one.beatFrames[one.current]);
}

function change(one: Person | undefined): void {
  if (one === undefined) return;
  one.current = one.current === 0 ? 1 : 0;
  one.changedAtMs = performance.now();
  one.send(one.changeFrames[one.current]);
  expected += one.watchers;
}

function openTcp(one: Person): void {
  const { tcpPort } = task;
  const client = new TcpClient({ port: tcpPort, firstFrame: one.beatFrames[0], onEnd: () => lost.push(one.user) });
  one.send = (frame) => client.send(frame);
  beating.push(one);
}

function openWs(no: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const user = nameOf(no);
    const client: LoadClient = new LoadClient({
      port: task.port,
      wire: 'json',
      script: script('json', { user }, { friendsOf: user }),
      onReady: () => {
        const one = byName.get(user);
        if (one === undefined) return;
        one.send = (frame) => client.send(frame);
        beating.push(one);
        resolve();
      },
      onMessage: read,
      onLost: (why) => {
        lost.push(`${user}: ${why}`);
        reject(new Error(why));
      },
    });
  });
}

function read(message: Buffer): void {
  const nowMs = performance.now();
  const received = readHubMessage(message.toString());
  if (received.type !== 'presence') return;
  for (const { user, status } of received.entries ?? []) {
    const one = byName.get(user);
    if (status === 'offline') falseOffline += 1;
    // Before the first change, a watcher is notified of a user who connects.
    if (one === undefined || one.changedAtMs === 0 || status !== statuses[one.current]) continue;
    delivered += 1;
    delays.add(nowMs - one.changedAtMs);
  }
}

serveRole(commands);
