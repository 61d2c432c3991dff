/**
 * Nodes of a cluster under churn and faults, with a checker: users who come, go, move between nodes, change, hide and
 * block; watchers on each node and roaming ones; every few seconds a fault. 5 s after each fault every watcher's view must
 * equal the truth, with the same versions on all nodes; other rules hold at all times.
 */
import { Crowd, type CrowdOptions } from '../lib/cluster/crowd.ts';
import { faults, type Fault } from '../lib/cluster/faults.ts';
import { Judge } from '../lib/cluster/judge.ts';
import { GONE_WITHIN_MS, Node } from '../lib/cluster/nodes.ts';
import { RedisProcess } from '../lib/cluster/redis-process.ts';
import { Starvation } from '../lib/cluster/starvation.ts';
import { Watcher } from '../lib/cluster/watcher.ts';
import { ask, readMetrics, sumOf } from '../lib/hub-http.ts';
import { sleep, until } from '../lib/pacing.ts';
import { megabytes } from '../lib/proc.ts';
import { Random } from '../lib/random.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { workload, type Stage } from '../lib/stage.ts';

const knobs = {
  minutes: { fallback: 5, help: 'length of the run' },
  nodes: { fallback: 3, least: 2, help: 'hubs' },
  users: { fallback: 300, least: 10, help: 'users: half over TCP, half over WebSocket, every tenth over both' },
  deeds: { fallback: 30, help: 'deeds a second: come, change, move, reload, block, go' },
  'fault-every': { fallback: 30, help: 'seconds from the check after a fault to the next fault' },
  fault: { fallback: -1, least: -1, help: 'only the fault of this number, from 0; -1: all, in an order by the seed' },
  roamers: { fallback: 3, help: 'watchers that are cut and resume elsewhere, about twice a second' },
  seed: { fallback: 1, help: 'who does what, and the order of the faults' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const clusterChurn = workload({
  name: 'cluster-churn',
  about: 'nodes on one Redis under churn and faults: every watcher’s view equals the truth',
  knobs,
  notes: faults.map(({ name }, no) => `fault ${String(no).padStart(2)}: ${name}`),
  run,
});

const VIEWER = 'viewer';
const LOOK_MS = 250;
const ROAM_MS = 400;
const RIGHT_WITHIN_MS = 5000;
/** A deed is shown everywhere within a second. */
const FIRM_MS = 1000;
const READY_WITHIN_MS = 30_000;
/** Changes that wait for longer make views stale, and they wait if a node has no core. */
const UNWRITTEN_MS = 900;

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const redis = await RedisProcess.start();
  const nodes: Node[] = [];
  try {
    for (let no = 0; no < values.nodes; no += 1)
      nodes.push(await Node.start(stage, String.fromCharCode(65 + no), redis.port));
    return await new Churn(values, redis, nodes).run();
  } finally {
    for (const node of nodes) await node.close();
    await redis.close();
  }
}

interface Wrong {
  readonly kind: string;
  readonly user: string;
  readonly story: () => readonly string[];
}

class Churn {
  readonly #values: Values;
  readonly #redis: RedisProcess;
  readonly #nodes: readonly Node[];
  readonly #random: Random;
  readonly #judge: Judge;
  readonly #crowd: Crowd;
  readonly #watchers: readonly Watcher[];
  readonly #rows: Row[] = [];
  readonly #ghosts: { readonly ms: number; readonly isLate: boolean }[] = [];
  readonly #starvation: Starvation;
  readonly #rightMs: number[] = [];
  #faultNo = 0;
  #mayRoam = true;

  constructor(values: Values, redis: RedisProcess, nodes: readonly Node[]) {
    this.#values = values;
    this.#redis = redis;
    this.#nodes = nodes;
    this.#random = new Random(values.seed);
    this.#judge = new Judge((user) => this.#explain(user));
    this.#starvation = new Starvation(() => [redis.pid, ...nodes.map(({ hub }) => hub?.pid ?? 0)]);
    const clock = (): string => this.#judge.clock();
    const options: CrowdOptions = {
      nodes,
      users: values.users,
      deedsPerS: values.deeds,
      random: new Random(values.seed + 1),
      viewer: VIEWER,
      clock,
    };
    this.#crowd = new Crowd(options);
    const watcher = (name: string, home: Node | undefined, viewer: string): Watcher =>
      new Watcher({
        name,
        home,
        viewer,
        nodes,
        crowd: this.#crowd,
        judge: this.#judge,
        random: this.#random,
        starvation: this.#starvation,
        onGhost: ({ ghostSinceMs }) => {
          const ms = performance.now() - ghostSinceMs;
          this.#ghosts.push({ ms, isLate: ms > GONE_WITHIN_MS + this.#starvation.since(ghostSinceMs) });
        },
      });
    this.#watchers = [
      ...nodes.map((node) => watcher(`all-${node.name}`, node, '')),
      ...nodes.map((node) => watcher(`${VIEWER}-${node.name}`, node, VIEWER)),
      ...Array.from({ length: values.roamers }, (_, no) => watcher(`roamer-${no}`, undefined, no === 0 ? VIEWER : '')),
    ];
  }

  async run(): Promise<Outcome> {
    const { minutes } = this.#values;
    const timers = this.#start();
    this.#crowd.isPaused = true;
    this.#crowd.start();
    await this.#crowd.fill();
    if (!(await until(() => this.#watchers.every(({ isReady }) => isReady), READY_WITHIN_MS)))
      this.#judge.fail('not ready', '', () => this.#watchers.filter(({ isReady }) => !isReady).map(({ name }) => name));
    this.#crowd.isPaused = false;
    const endAt = performance.now() + minutes * 60_000;
    let order: Fault[] = [];
    while (performance.now() < endAt) {
      const used = this.#measure();
      await sleep(Math.max(0, Math.min(1000 * this.#values['fault-every'], endAt - performance.now())));
      if (order.length === 0) order = this.#order();
      const fault = order.shift();
      if (fault !== undefined && performance.now() < endAt) await this.#fault(fault);
      await this.#row(used);
    }
    await this.#settle();
    for (const timer of timers) clearInterval(timer);
    this.#crowd.stop();
    for (const watcher of this.#watchers) watcher.stop();
    printTable(this.#rows);
    return this.#outcome();
  }

  #order(): Fault[] {
    const { fault } = this.#values;
    const only = faults[fault];
    return only === undefined ? this.#random.shuffle(faults) : [only];
  }

  #start(): NodeJS.Timeout[] {
    for (const watcher of this.#watchers) watcher.start();
    const roamers = this.#watchers.filter(({ name }) => name.startsWith('roamer'));
    return [
      setInterval(() => {
        const now = performance.now();
        this.#starvation.sample();
        for (const watcher of this.#watchers) watcher.look(now);
      }, LOOK_MS),
      setInterval(() => {
        const ready = roamers.filter(({ isReady }) => isReady);
        if (this.#mayRoam && ready.length > 0) this.#random.pick(ready).roam();
      }, ROAM_MS),
    ];
  }

  async #fault(fault: Fault): Promise<void> {
    this.#faultNo += 1;
    this.#judge.fault = `fault ${this.#faultNo}: ${fault.name}`;
    progress(this.#judge.fault);
    const staleBefore = this.#staleReports();
    const begunAt = performance.now();
    const ghostsBefore = this.#ghosts.length;
    let ghosts = 0;
    await fault.run({
      redis: this.#redis,
      nodes: this.#nodes,
      crowd: this.#crowd,
      random: this.#random,
      onKill: (people) => (ghosts = people.length),
    });
    const { differences, rightMs, starvedMs } = await this.#check();
    const gone = this.#ghosts.slice(ghostsBefore);
    const late = gone.filter(({ isLate }) => isLate);
    if (late.length > 0) this.#judge.fail('a ghost for too long', '', () => late.map(({ ms }) => `${round(ms)} ms`));
    const isStarved = this.#starvation.since(begunAt) > UNWRITTEN_MS;
    if (!fault.mayBeStale && !isStarved && this.#staleReports() > staleBefore)
      this.#judge.fail('stale without a cause', '', () => [`${this.#staleReports() - staleBefore} times`]);
    const longestMs = gone.reduce((most, { ms }) => Math.max(most, ms), 0);
    const ghostText = ghosts === 0 ? '' : `; ${ghosts} ghosts, the last one gone after ${round(longestMs / 1000)} s`;
    const right = differences === 0 ? `right ${round(rightMs / 1000)} s after it` : `${differences} differences`;
    progress(`${fault.name}: ${right}; starved for ${round(starvedMs / 1000)} s${ghostText}`);
    this.#judge.fault = `after ${this.#judge.fault}`;
  }

  /** Waits until everything is right, for the time that it may take. */
  async #check(): Promise<{ differences: number; rightMs: number; starvedMs: number }> {
    const overAt = performance.now();
    this.#mayRoam = false;
    const rightMs = (): number => performance.now() - overAt;
    const isLate = (): boolean => rightMs() > RIGHT_WITHIN_MS + this.#starvation.since(overAt);
    while (this.#wrongs().length > 0 && !isLate()) await sleep(LOOK_MS);
    const wrongs = this.#wrongs();
    for (const { kind, user, story } of wrongs) this.#judge.fail(kind, user, story);
    this.#mayRoam = true;
    if (wrongs.length === 0) this.#rightMs.push(rightMs());
    return { differences: wrongs.length, rightMs: rightMs(), starvedMs: this.#starvation.since(overAt) };
  }

  #staleReports(): number {
    return this.#watchers.reduce((sum, { staleReports }) => sum + staleReports, 0);
  }

  /** Every view with the truth, and the versions of all views with each other. */
  #wrongs(): Wrong[] {
    const now = performance.now();
    const wrongs: Wrong[] = [];
    for (const watcher of this.#watchers) {
      const where = (): string[] => [`${watcher.name} on ${watcher.node?.name ?? '-'}`];
      if (!watcher.isReady) wrongs.push({ kind: 'no view', user: '', story: where });
      else if (watcher.isStale) wrongs.push({ kind: 'still stale', user: '', story: where });
    }
    const ready = this.#watchers.filter(({ isReady }) => isReady);
    for (const person of this.#crowd.people) {
      const versions = new Map<string, number>();
      for (const watcher of ready) {
        const truth = watcher.truth(person, now - FIRM_MS);
        if (truth === undefined) continue;
        const { user } = person;
        const story = (): string[] => [`must be ${truth.status}`, ...watcher.story(user)];
        if (!truth.isRight) wrongs.push({ kind: 'a view is wrong', user, story });
        const v = watcher.view.get(user)?.v ?? 0;
        const first = versions.get(watcher.viewer) ?? v;
        versions.set(watcher.viewer, first);
        if (v !== first && !person.mayBlock)
          wrongs.push({ kind: 'versions differ', user, story: () => [`${v}, elsewhere ${first}`, ...story()] });
      }
    }
    return wrongs;
  }

  /** At the end nothing goes on, and everything must be right. */
  async #settle(): Promise<void> {
    this.#crowd.isPaused = true;
    this.#mayRoam = false;
    const isFirm = (): boolean => {
      const now = performance.now();
      return this.#crowd.people.every(({ firmAtMs, isSettled }) => isSettled && firmAtMs + FIRM_MS < now);
    };
    if (!(await until(isFirm, READY_WITHIN_MS)))
      this.#judge.fail('not settled', '', () =>
        this.#crowd.people
          .filter(({ isSettled }) => !isSettled)
          .map(({ user, diary }) => `${user}: ${diary.join(' | ')}`),
      );
    await this.#check();
  }

  #measure(): () => Promise<Row> {
    const fromMs = performance.now();
    const [redisMs, ...hubMs] = [this.#redis, ...this.#nodes].map(({ cpuMs }) => cpuMs);
    const deeds = this.#deeds();
    const changes = this.#changes();
    return async () => {
      const ms = performance.now() - fromMs;
      const percent = (used: number): number => round((100 * used) / ms, 1);
      const cost = await Promise.all(
        this.#nodes.map(async (node, no) => [
          [`${node.name} MB`, megabytes(node.hub?.rssBytes() ?? 0)] as const,
          [`${node.name} cpu %`, percent(node.cpuMs - (hubMs[no] ?? 0))] as const,
          [`${node.name} users`, node.hub === undefined ? 0 : await sessionsOf(node)] as const,
        ]),
      );
      return {
        'deeds/s': round((this.#deeds() - deeds) / (ms / 1000), 1),
        'changes/s': round((this.#changes() - changes) / (ms / 1000), 1),
        'starved s': round(this.#starvation.since(fromMs) / 1000, 1),
        ...Object.fromEntries(cost.flat()),
        'redis MB': megabytes(this.#redis.rssBytes),
        'redis cpu %': percent(this.#redis.cpuMs - (redisMs ?? 0)),
      };
    };
  }

  async #row(used: () => Promise<Row>): Promise<void> {
    const row = {
      minute: round(Number(this.#judge.clock()) / 60, 1),
      faults: this.#faultNo,
      differences: this.#judge.differences,
      resumes: this.#resumes(),
      here: this.#crowd.present,
      ...(await used()),
    };
    this.#rows.push(row);
    progress(JSON.stringify(row));
  }

  #changes(): number {
    return this.#watchers.reduce((sum, { changes }) => sum + changes, 0);
  }

  #resumes(): number {
    return this.#watchers.reduce((sum, { resumes }) => sum + Math.max(0, resumes - 1), 0);
  }

  #deeds(): number {
    return Object.entries(this.#crowd.deeds).reduce((sum, [name, count]) => sum + (name === 'not free' ? 0 : count), 0);
  }

  async #explain(user: string): Promise<string> {
    const answers = await Promise.all(
      this.#nodes
        .filter(({ state }) => state === 'up')
        .map(async ({ name, place }) => {
          const reply = await ask(place.port, 'GET', `/v1/users/${user}/explain`).catch(String);
          return `${name}: ${typeof reply === 'string' ? reply : shortened(reply.body)}`;
        }),
    );
    return answers.join('\n      ');
  }

  #outcome(): Outcome {
    const failures = [...this.#judge.failures];
    for (const node of this.#nodes) for (const line of node.errors) failures.push(`${node.name} logged: ${line}`);
    const { counts } = this.#judge;
    const ghosts = this.#ghosts.map(({ ms }) => ms).sort((a, b) => a - b);
    return {
      failures,
      figures: {
        faults: this.#faultNo,
        counts,
        deeds: this.#crowd.deeds,
        resumes: this.#resumes(),
        partialResumes: this.#watchers.reduce((sum, { partial }) => sum + partial, 0),
        rightMs: this.#rightMs.map((ms) => round(ms, 0)),
        starvedMs: round(this.#starvation.since(0), 0),
        ghosts: ghosts.length,
        lastGhostMs: round(ghosts.at(-1) ?? 0),
        rows: this.#rows,
      },
    };
  }
}

async function sessionsOf(node: Node): Promise<number> {
  return sumOf(await readMetrics(node.place.port), 'presence_hub_sessions');
}

/** Of an explanation, the part that explains the shown status. */
function shortened(body: string): string {
  try {
    const { entry, sessions, transitions, stale } = JSON.parse(body) as Explanation;
    const held = sessions.map(({ id, state, device, status }) => `${id} ${state} ${device} ${status}`);
    const last = transitions
      .slice(0, 5)
      .map(({ at, cause, session, from, to }) => `${at} ${cause} ${session} ${from}→${to}`);
    return `${entry.status} v ${entry.v}${stale === true ? ' stale' : ''}; ${held.join(', ')}; ${last.join(', ')}`;
  } catch {
    return body;
  }
}

interface Explanation {
  readonly entry: { readonly status: string; readonly v: number };
  readonly sessions: readonly {
    readonly id: string;
    readonly state: string;
    readonly device: string;
    readonly status: string;
  }[];
  readonly transitions: readonly {
    readonly at: number;
    readonly cause: string;
    readonly session: string;
    readonly from: string;
    readonly to: string;
  }[];
  readonly stale?: boolean;
}
