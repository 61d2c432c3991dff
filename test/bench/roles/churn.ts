/**
 * The churn: a steady mean population whose users come, beat, change, reload, edit friends, watch, and go in every way,
 * with an observer of all of them, and the model that checks what it receives. Runs in a separate process.
 */
import { ChurnModel, type Verdict } from '../lib/churn-model.ts';
import { httpChurner, tcpChurner, wsChurner, type Churner, type Doors } from '../lib/churners.ts';
import { ask } from '../lib/hub-http.ts';
import { paceEvenly, until } from '../lib/pacing.ts';
import { Random } from '../lib/random.ts';
import { serveRole } from '../lib/roles.ts';
import { readHubMessage } from '../lib/hub-message.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient, type End } from '../lib/ws-client.ts';

export interface ChurnTask {
  readonly port: number;
  readonly tcpPort: number;
  readonly population: number;
  readonly silent: number;
  readonly seed: number;
}

export interface Rate {
  readonly population: number;
  readonly deedsPerS: number;
}

export interface ChurnFigures extends Verdict {
  readonly here: number;
  readonly going: number;
  readonly deeds: Readonly<Record<string, number>>;
  readonly lost: readonly string[];
  readonly worstLateMs: number;
}

const TICK_MS = 50;
const USERS_A_WATCH = 1000;
const OBSERVER_BEAT_MS = 5000;
const EDGES_KEPT = 2000;
/**
 * A cut is noticed at once and reported after the grace, which is one WebSocket timeout if the hub has just had a
 * stall.
 */
const LONGEST_GRACE_MS = 25_000;
/** A mass lapse may be held for 5 s; the rest is for flushes, wheels and busy cores. */
const MARGIN_MS = 10_000;
const SETTLE_WITHIN_MS = 10_000;
const RELOAD_WITHIN_MS = 1000;
const dropEnds: readonly End[] = ['reset', 'fin', 'close-frame'];
const model = new ChurnModel();
const deeds: Record<string, number> = {};
const lost: string[] = [];
const edges: (readonly [string, string])[] = [];
const paces: { readonly worstLateMs: number }[] = [];
let churners: Churner[] = [];
let random = new Random(0);
let observer: WsClient | undefined;
let churning: NodeJS.Timeout | undefined;
let port = 0;
let deedNo = 0;

const commands = {
  open: async (task: ChurnTask): Promise<void> => {
    random = new Random(task.seed);
    port = task.port;
    for (let no = 0; no < task.silent; no += 1) choices.push('silence');
    const doors: Doors = { port, tcpPort: task.tcpPort, onLost: (user) => lost.push(user) };
    churners = Array.from({ length: Math.ceil(task.population * 1.5) }, (_, no) => makeChurner(doors, no));
    for (const [prefix, everyMs] of [
      ['w', 10_000],
      ['t', 1800],
      ['h', 3000],
    ] as const) {
      const slots = churners.filter(({ user }) => user.startsWith(prefix));
      paces.push(
        paceEvenly(
          () => slots.length,
          everyMs,
          (index) => {
            const slot = slots[index];
            if (slot !== undefined && model.isHere(slot.user)) slot.beat();
          },
        ),
      );
    }
    setInterval(() => model.tick(performance.now()), 1000);
    await observe();
  },
  churn: ({ population, deedsPerS }: Rate): void => {
    churning = setInterval(() => {
      const here = model.count('here');
      // Filling up is faster than the churn itself.
      for (let no = 0; no < 20 && here + no < population * 0.98; no += 1) deed('come');
      for (let left = (deedsPerS * TICK_MS) / 1000; left > 0 && random.next() < left; left -= 1)
        deed(choose(here / population));
    }, TICK_MS);
  },
  /** Everybody leaves, some without a goodbye. Answers whether all of that was reported. */
  empty: async (): Promise<boolean> => {
    clearInterval(churning);
    // A user that is just connecting cannot leave yet.
    const isSettled = (): boolean =>
      reloading.size === 0 && churners.every(({ user }) => !model.isHere(user) || model.isSeen(user));
    if (!(await until(isSettled, SETTLE_WITHIN_MS))) lost.push('a user who came and was never reported');
    for (const churner of churners) if (model.isHere(churner.user)) go(churner, random.isOneIn(4) ? 'cut' : 'bye');
    const isReported = await until(() => model.count('here') + model.count('going') === 0, 60_000);
    for (const churner of churners) churner.letGo();
    while (edges.length > 0) await dropEdge();
    return isReported;
  },
  figures: (): ChurnFigures => ({
    ...model.verdict,
    here: model.count('here'),
    going: model.count('going'),
    deeds,
    lost: lost.slice(0, 20),
    worstLateMs: Math.max(...paces.map(({ worstLateMs }) => worstLateMs)),
  }),
  leave: (): void => observer?.end('close-frame'),
};

export type ChurnCommands = typeof commands;

function makeChurner(doors: Doors, no: number): Churner {
  const kind = no % 20;
  if (kind < 9) return wsChurner(doors, `w${no}`);
  if (kind < 18) return tcpChurner(doors, `t${no}`);
  return httpChurner(doors, `h${no}`);
}

function observe(): Promise<void> {
  const users = churners.map(({ user }) => user);
  const watches = Array.from({ length: Math.ceil(users.length / USERS_A_WATCH) }, (_, part) =>
    textFrame({ type: 'watch', users: users.slice(part * USERS_A_WATCH, (part + 1) * USERS_A_WATCH) }),
  );
  const beat = textFrame({ type: 'heartbeat' });
  setInterval(() => observer?.send(beat), OBSERVER_BEAT_MS);
  let snapshots = 0;
  return new Promise((resolve) => {
    observer = new WsClient({
      port,
      firstFrames: [textFrame({ type: 'hello', observe: true }), ...watches],
      onText: (text) => {
        const received = readHubMessage(text);
        if (received.type === 'snapshot' && ++snapshots === watches.length) resolve();
        if (received.type !== 'presence') return;
        for (const { user, status } of received.entries ?? []) {
          if (status === 'offline') model.reportedOffline(user);
          else model.reportedPresent(user);
        }
      },
      onEnd: (code) => lost.push(`the observer (${code})`),
    });
  });
}

const choices: string[] = [
  ...Array<string>(40).fill('change'),
  ...Array<string>(15).fill('reload'),
  ...Array<string>(12).fill('friends'),
  ...Array<string>(10).fill('watch'),
  ...Array<string>(10).fill('unwatch'),
  ...Array<string>(5).fill('bye'),
  ...Array<string>(4).fill('cut'),
];

function choose(fullness: number): string {
  if (fullness > 1.03) return random.pick(['bye', 'cut']);
  return fullness < 0.99 && random.isOneIn(2) ? 'come' : random.pick(choices);
}

function deed(name: string): void {
  const churner = random.pick(churners);
  if (name === 'come') {
    if (!model.isAbsent(churner.user)) return;
    churner.letGo();
    model.came(churner.user);
    churner.connect();
  } else if (name === 'friends') editFriends();
  else if (!model.isSeen(churner.user) || reloading.has(churner.user)) return;
  else act(churner, name);
  deeds[name] = (deeds[name] ?? 0) + 1;
}

const reloading = new Set<string>();

function act(churner: Churner, name: string): void {
  deedNo += 1;
  const { user } = churner;
  model.did(user, name);
  if (name === 'change') churner.change(deedNo);
  else if (name === 'watch' || name === 'unwatch') {
    const users = Array.from({ length: 20 }, () => random.pick(churners).user);
    churner.send?.(random.isOneIn(2) ? { type: name, friendsOf: user } : { type: name, users });
  } else if (name === 'reload') {
    churner.drop(random.pick(dropEnds));
    reloading.add(user);
    setTimeout(
      () => {
        reloading.delete(user);
        churner.connect();
      },
      random.between(50, RELOAD_WITHIN_MS),
    );
  } else go(churner, name);
}

function go(churner: Churner, how: string): void {
  const noticedMs = { bye: 0, cut: LONGEST_GRACE_MS }[how] ?? churner.leaseMs;
  model.went(churner.user, how, performance.now() + noticedMs + MARGIN_MS);
  if (how === 'bye') churner.leave();
  else if (how === 'cut') churner.drop(random.pick(dropEnds));
  else churner.fallSilent();
}

function editFriends(): void {
  const [user, friend] = [random.pick(churners).user, random.pick(churners).user];
  if (edges.length >= EDGES_KEPT) void dropEdge();
  if (user === friend) return;
  edges.push([user, friend]);
  ask(port, 'PUT', `/v1/users/${user}/friends/${friend}`).catch(() => lost.push(`PUT friends of ${user}`));
}

async function dropEdge(): Promise<void> {
  const edge = edges.shift();
  if (edge === undefined) return;
  await ask(port, 'DELETE', `/v1/users/${edge[0]}/friends/${edge[1]}`).catch(() =>
    lost.push(`DELETE friends of ${edge[0]}`),
  );
}

serveRole(commands);
