/**
 * Clients that disconnect and reconnect: WebSocket and legacy TCP users, each with a connection and a heartbeat, cut in
 * every way that a connection can be cut. Runs in a separate process.
 */
import { Histogram, type Counts } from '../lib/histogram.ts';
import { inParallel, paceEvenly, sleep } from '../lib/pacing.ts';
import { Random } from '../lib/random.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient, xmlFrame } from '../lib/tcp-client.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient, type End } from '../lib/ws-client.ts';

export interface ReconnectingClientsTask {
  readonly port: number;
  readonly tcpPort: number;
  readonly ws: readonly string[];
  readonly tcp: readonly string[];
  readonly seed: number;
}

export interface Absence {
  /** One in this many connected clients disconnects. */
  readonly oneIn: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly graceMs: number;
}

export interface Return {
  readonly fromMs: number;
  readonly toMs: number;
  readonly except: readonly string[];
}

export interface Returned {
  readonly dropped: number;
  /** From the connect to `welcome`, or to the acknowledged frame. */
  readonly ws: Counts;
  readonly tcp: Counts;
  /** Those whose way back took longer than the grace: the generator or the hub was too slow. */
  readonly late: number;
  /** Connections that ended although this process did not cut them. */
  readonly lost: number;
}

/** A user's connection, whichever it is. */
interface Person {
  readonly user: string;
  readonly kind: 'ws' | 'tcp';
  connect(): Promise<void>;
  beat(): void;
  drop(how: End): void;
}

const OPEN_AT_ONCE = 64;
const ANSWER_WITHIN_MS = 15_000;
const TCP_BEAT_MS = 1800;
const WS_BEAT_MS = 10_000;
const wsEnds: readonly End[] = ['reset', 'fin', 'close-frame'];
const tcpEnds: readonly End[] = ['reset', 'fin'];
const wsBeat = textFrame({ type: 'heartbeat' });
let people: Person[] = [];
let random = new Random(0);
let lost = 0;

const commands = {
  open: async ({ port, tcpPort, ws, tcp, seed }: ReconnectingClientsTask): Promise<void> => {
    random = new Random(seed);
    people = [...ws.map((user) => wsPerson(port, user)), ...tcp.map((user) => tcpPerson(tcpPort, user))];
    // Beating from the first on: opening all may take longer than a lease.
    for (const [kind, everyMs] of [
      ['ws', WS_BEAT_MS],
      ['tcp', TCP_BEAT_MS],
    ] as const) {
      const beating = people.filter((person) => person.kind === kind);
      paceEvenly(
        () => beating.length,
        everyMs,
        (index) => beating[index]?.beat(),
      );
    }
    await inParallel(people, OPEN_AT_ONCE, (person) => person.connect());
  },
  /** One round: some disconnect at once, and each reconnects after its own delay. */
  dropAndReturn: async ({ oneIn, fromMs, toMs, graceMs }: Absence): Promise<Returned> => {
    const times = { ws: new Histogram(), tcp: new Histogram() };
    const lostBefore = lost;
    let late = 0;
    const chosen = random.shuffle(people).slice(0, Math.round(people.length / oneIn));
    const returns = chosen.map(async (person) => {
      const droppedAt = performance.now();
      cut(person);
      await sleep(random.between(fromMs, toMs));
      const connectingAt = performance.now();
      await person.connect();
      times[person.kind].add(performance.now() - connectingAt);
      if (performance.now() - droppedAt > graceMs) late += 1;
    });
    await Promise.all(returns);
    return { dropped: chosen.length, ws: times.ws.counts, tcp: times.tcp.counts, late, lost: lost - lostBefore };
  },
  /** The server has restarted: all but the excluded clients reconnect, each after its own delay. */
  reconnect: async ({ fromMs, toMs, except }: Return): Promise<Returned> => {
    const times = { ws: new Histogram(), tcp: new Histogram() };
    const staying = new Set(except);
    people = people.filter(({ user }) => !staying.has(user));
    const returns = people.map(async (person) => {
      await sleep(random.between(fromMs, toMs));
      const connectingAt = performance.now();
      await person.connect();
      times[person.kind].add(performance.now() - connectingAt);
    });
    await Promise.all(returns);
    return { dropped: people.length, ws: times.ws.counts, tcp: times.tcp.counts, late: 0, lost: 0 };
  },
  /** These go and do not come back. */
  dropFinally: (users: readonly string[]): void => {
    const going = new Set(users);
    for (const person of people) if (going.has(person.user)) cut(person);
    people = people.filter(({ user }) => !going.has(user));
  },
};

export type ReconnectingClientsCommands = typeof commands;

function cut(person: Person): void {
  person.drop(random.pick(person.kind === 'ws' ? wsEnds : tcpEnds));
}

function wsPerson(port: number, user: string): Person {
  const hello = textFrame({ type: 'hello', user });
  let client: WsClient | undefined;
  return {
    user,
    kind: 'ws',
    connect: () =>
      answered(user, (resolve) => {
        client = new WsClient({
          port,
          firstFrames: [hello],
          onText: (text) => {
            if (text.startsWith('{"type":"welcome"')) resolve();
          },
          onEnd: () => (lost += 1),
        });
      }),
    beat: () => client?.send(wsBeat),
    drop: (how) => {
      client?.end(how);
      client = undefined;
    },
  };
}

function tcpPerson(port: number, user: string): Person {
  const frame = xmlFrame(user);
  let client: TcpClient | undefined;
  return {
    user,
    kind: 'tcp',
    connect: () =>
      answered(user, (onAnswer) => {
        client = new TcpClient({ port, firstFrame: frame, onAnswer, onEnd: () => (lost += 1) });
      }),
    beat: () => client?.send(frame),
    drop: (how) => {
      client?.end(how === 'reset' ? 'reset' : 'fin');
      client = undefined;
    },
  };
}

function answered(user: string, connect: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${user}: no answer within ${ANSWER_WITHIN_MS} ms`)),
      ANSWER_WITHIN_MS,
    );
    connect(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

serveRole(commands);
