/**
 * Very many users behind few gateway connections. Each sends one heartbeat per period, evenly spread, in writes with
 * frames of different users. Then some or all stop while their gateways stay connected. Observers over WebSocket watch
 * those who will stop and a sample of the others. A ping every 20 ms shows how long the server's loop keeps others
 * waiting. Runs in a separate process.
 */
import { BusyLoop, idleLoop, type LoopFigures } from '../lib/busy-loop.ts';
import { Histogram, type Counts } from '../lib/histogram.ts';
import { Lapses, type LapseFigures } from '../lib/lapses.ts';
import { LoadClient, script } from '../lib/load-client.ts';
import { Random } from '../lib/random.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient, xmlFrame } from '../lib/tcp-client.ts';
import { readHubMessage } from '../lib/hub-message.ts';

export interface GatewaysTask {
  readonly port: number;
  readonly tcpPort: number;
  readonly sessions: number;
  readonly gateways: number;
  /** Frames a write, each of another user. */
  readonly batch: number;
  readonly timeoutMs: number;
  /** How many users will stop sending, and how many of the others are watched. */
  readonly doomed: number;
  readonly sample: number;
}

export interface GatewaysFigures extends LoopFigures {
  readonly beats: number;
  /** The round trip of a WebSocket ping. */
  readonly pings: Counts;
  readonly lapses: LapseFigures;
  readonly lost: readonly string[];
}

/** All names are of one length, so that a frame is found by its number. */
const FIRST_USER = 1_000_000;
const MOST_SESSIONS = 9_000_000;
const WATCHED_EACH = 1000;
const PING_MS = 20;
const pings = new Histogram();
const lost: string[] = [];
const gateways: TcpClient[] = [];
const observers: LoadClient[] = [];
let task: GatewaysTask;
let frames: Buffer = Buffer.alloc(0);
let frameBytes = 0;
let usersEach = 0;
let lapses = new Lapses(0, 0);
/** The users that will stop come first, then the sample of the others. No user is listed twice. */
let watched: readonly number[] = [];
let silent: ReadonlySet<number> = new Set();
let step = 0;
let beats = 0;
let loop: BusyLoop | undefined;

const commands = {
  /** Prepares the frames and connects the gateways; sends no heartbeat yet. @returns the future number of sessions. */
  prepare: (given: GatewaysTask): number => {
    if (given.sessions > MOST_SESSIONS) throw new Error(`at most ${MOST_SESSIONS} sessions`);
    usersEach = Math.floor(given.sessions / given.gateways);
    task = { ...given, sessions: usersEach * given.gateways };
    frames = allFrames(task.sessions);
    lapses = new Lapses(task.sessions, task.timeoutMs);
    const drawn = new Set<number>();
    const random = new Random(20_261_122);
    while (drawn.size < Math.min(task.sessions, task.doomed + task.sample)) drawn.add(random.below(task.sessions));
    watched = [...drawn];
    for (let no = 0; no < task.gateways; no += 1) {
      const firstFrame = Buffer.alloc(0);
      gateways.push(new TcpClient({ port: task.tcpPort, firstFrame, onEnd: () => lost.push('a gateway') }));
    }
    return task.sessions;
  },
  beat: (everyMs: number): void => {
    loop?.stop();
    loop = new BusyLoop((1000 * task.gateways * stepsEach()) / everyMs, beatNext);
  },
  watch: async (): Promise<void> => {
    for (let from = 0; from < watched.length; from += WATCHED_EACH)
      await observe(watched.slice(from, from + WATCHED_EACH));
    ping();
  },
  /** Returns the figures since the last call, and resets them, except those of the lapses. */
  figures: (): GatewaysFigures => {
    const loopFigures = loop?.figures() ?? idleLoop;
    const figures = { ...loopFigures, beats, pings: pings.counts, lapses: lapses.figures, lost };
    pings.clear();
    beats = 0;
    return figures;
  },
  /** The doomed beat no more. */
  silenceSome: (): void => {
    const doomed = watched.slice(0, task.doomed);
    silent = new Set(doomed);
    lapses.fallSilent(doomed);
  },
  /** Stops all heartbeats, and waits for the lapses of the watched users. */
  silenceAll: (): void => {
    loop?.stop();
    lapses.fallSilent(watched.filter((user) => !silent.has(user)));
  },
  areAllReported: (): boolean => lapses.areAllReported,
};

export type GatewaysCommands = typeof commands;

function stepsEach(): number {
  return Math.ceil(usersEach / task.batch);
}

function allFrames(sessions: number): Buffer {
  const first = xmlFrame(String(FIRST_USER));
  frameBytes = first.length;
  const all = Buffer.allocUnsafe(sessions * frameBytes);
  for (let user = 0; user < sessions; user += 1) xmlFrame(String(FIRST_USER + user)).copy(all, user * frameBytes);
  return all;
}

/** Step k is the gateway k mod N, and its next users. */
function beatNext(): void {
  const gateway = step % task.gateways;
  const at = (Math.floor(step / task.gateways) % stepsEach()) * task.batch;
  step += 1;
  const from = gateway * usersEach + at;
  const to = gateway * usersEach + Math.min(at + task.batch, usersEach);
  const nowMs = performance.now();
  let start = from;
  for (let user = from; user < to; user += 1) {
    if (silent.has(user)) {
      send(gateway, start, user);
      start = user + 1;
    } else lapses.beat(user, nowMs);
  }
  send(gateway, start, to);
}

function send(gateway: number, from: number, to: number): void {
  if (from >= to) return;
  beats += to - from;
  gateways[gateway]?.send(frames.subarray(from * frameBytes, to * frameBytes));
}

function observe(users: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const observer: LoadClient = new LoadClient({
      port: task.port,
      wire: 'json',
      script: script('json', { observe: true }, { users: users.map((user) => String(FIRST_USER + user)) }),
      onReady: () => {
        observers.push(observer);
        resolve();
      },
      onMessage: read,
      onPong: () => {
        pings.add(performance.now() - pingedAtMs);
        setTimeout(ping, PING_MS);
      },
      onLost: (why) => {
        lost.push(`an observer: ${why}`);
        reject(new Error(why));
      },
    });
  });
}

let pingedAtMs = 0;

function ping(): void {
  pingedAtMs = performance.now();
  observers[0]?.ping();
}

function read(message: Buffer): void {
  const nowMs = performance.now();
  const received = readHubMessage(message.toString());
  if (received.type !== 'presence') return;
  for (const { user, status } of received.entries ?? []) {
    if (status === 'offline') lapses.reportedOffline(Number(user) - FIRST_USER, nowMs);
  }
}

serveRole(commands);
