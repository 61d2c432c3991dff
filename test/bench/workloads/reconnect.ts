/**
 * W2: half of the connections drop and come back with jitter, all inside the grace. Nobody may be reported offline, and
 * those who do not come back must be reported offline exactly once. Two observers watch all: one by id, one by its friend list.
 */
import { fromCounts, Histogram } from '../lib/histogram.ts';
import { putFriends } from '../lib/hub-http.ts';
import { monotonicMs, sleep, until } from '../lib/pacing.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure } from '../lib/server.ts';
import { names } from '../lib/names.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { ObserverCommands, OfflineReport } from '../roles/observer.ts';
import type { ReconnectingClientsCommands } from '../roles/reconnecting-clients.ts';

type Observer = Role<ObserverCommands>;

const FOLLOWER = 'follower';
const FRIENDS_A_LIST = 10_000;
/** From the end of a grace to the last word of it, with all that a busy loop may add. */
const SETTLE_MS = 2000;
/** A hub that had a stall gives a grace of one WebSocket timeout. */
const REPORTED_WITHIN_MS = 35_000;

const knobs = {
  ws: { fallback: 2000, help: 'WebSocket users' },
  tcp: { fallback: 2000, help: 'legacy TCP users' },
  rounds: { fallback: 5, help: 'rounds of dropping and coming back' },
  'grace-ms': { fallback: 2000, help: 'the hub’s grace' },
  'timeout-ms': { fallback: 25_000, help: 'the hub’s WebSocket timeout, which is also the grace after a stall' },
  'back-from-ms': { fallback: 50, help: 'the shortest absence' },
  'back-to-ms': { fallback: 1500, help: 'the longest absence' },
  'one-in': { fallback: 2, help: 'one in this many connections drops' },
  gone: { fallback: 100, help: 'users of each kind who at last do not come back' },
  seed: { fallback: 1, help: 'who drops how and returns when' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const reconnect = workload({
  name: 'reconnect',
  about: 'half of the connections drop and return inside the grace: nobody may be reported offline (W2)',
  knobs,
  run,
});

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const hub = await stage.startHub({
    HUB_GRACE_MS: String(values['grace-ms']),
    HUB_TIMEOUT_MS: String(values['timeout-ms']),
    HUB_HEARTBEAT_MS: String(Math.floor(values['timeout-ms'] / 2.5)),
    HUB_TCP_ACK: '1',
    HUB_MAX_WATCHES: '100000',
    HUB_MAX_FRIENDS: String(FRIENDS_A_LIST),
  });
  const ws = names('w', values.ws);
  const tcp = names('t', values.tcp);
  const users = [...ws, ...tcp];
  await putFriends(hub.port, FOLLOWER, users.slice(0, FRIENDS_A_LIST));
  const reconnectingClients = startRole<ReconnectingClientsCommands>(
    new URL('../roles/reconnecting-clients.js', import.meta.url),
  );
  const { port, tcpPort } = hub;
  await reconnectingClients.call('open', { port, tcpPort, ws, tcp, seed: values.seed });
  const observers = [
    { port, users },
    { port, users, follower: FOLLOWER },
  ].map(async (task) => {
    const observer = startRole<ObserverCommands>(new URL('../roles/observer.js', import.meta.url));
    await observer.call('watch', task);
    return observer;
  });
  const watching = await Promise.all(observers);
  progress(`${users.length} users are here, watched by id and by a friend list`);

  const failures: string[] = [];
  const rows = await playRounds(values, { hub, reconnectingClients, watching, failures });
  const control = await playControl(values, { ws, tcp }, { reconnectingClients, watching, failures });
  printTable([...rows.rows]);
  printTable([control]);
  const ended = hub.ended();
  if (ended !== null) failures.push(`the hub ended: ${ended}`);
  for (const line of hub.errors) failures.push(`the hub logged an error: ${line}`);
  await hub.stop();
  return { failures, figures: { rounds: rows.rows, all: rows.all, control } };
}

interface Play {
  readonly reconnectingClients: Role<ReconnectingClientsCommands>;
  readonly watching: readonly Observer[];
  readonly failures: string[];
}

async function playRounds(values: Values, play: Play & { readonly hub: Parameters<typeof measure>[0] }) {
  const rows: Row[] = [];
  const all = { ws: new Histogram(), tcp: new Histogram() };
  let offlineReports = 0;
  let late = 0;
  for (let no = 1; no <= values.rounds; no += 1) {
    const used = measure(play.hub);
    const returned = await play.reconnectingClients.call('dropAndReturn', {
      oneIn: values['one-in'],
      fromMs: values['back-from-ms'],
      toMs: values['back-to-ms'],
      graceMs: values['grace-ms'],
    });
    // A grace that was not ended by its user's return is over by then, and its end was reported.
    await sleep(values['grace-ms'] + SETTLE_MS);
    const cost = used();
    const ledger = await readLedgers(play, `round ${no}`);
    const [wsTimes, tcpTimes] = [fromCounts(returned.ws), fromCounts(returned.tcp)];
    all.ws.merge(returned.ws);
    all.tcp.merge(returned.tcp);
    offlineReports += ledger.offline.length;
    late += returned.late;
    if (ledger.offline.length > 0) {
      play.failures.push(
        `round ${no}: ${ledger.offline.length} users reported offline (${returned.late} came back late)`,
      );
    }
    if (returned.lost > 0) play.failures.push(`round ${no}: ${returned.lost} connections ended that nobody cut`);
    rows.push({
      round: no,
      dropped: returned.dropped,
      'offline reports': ledger.offline.length,
      'other reports': ledger.others,
      late: returned.late,
      ...timesOf('ws', wsTimes),
      ...timesOf('tcp', tcpTimes),
      'cpu ms': cost.cpuMs,
      'cpu µs a return': round((1000 * cost.cpuMs) / returned.dropped, 0),
      'rss MB': cost.rssMb,
    });
    progress(
      `round ${no} of ${values.rounds}: ${returned.dropped} dropped and came back, ${ledger.offline.length} reported offline`,
    );
  }
  return { rows, all: { offlineReports, late, ...timesOf('ws', all.ws), ...timesOf('tcp', all.tcp) } };
}

/** Those who do not come back: reported once to each observer, not before their grace is over. */
async function playControl(values: Values, users: { ws: string[]; tcp: string[] }, play: Play): Promise<Row> {
  const gone = new Set([...users.ws.slice(0, values.gone), ...users.tcp.slice(0, values.gone)]);
  const droppedAt = monotonicMs();
  await play.reconnectingClients.call('dropFinally', [...gone]);
  const delays = new Histogram();
  const problems = { never: 0, twice: 0, others: 0, early: 0 };
  for (const observer of play.watching) {
    const reports: OfflineReport[] = [];
    const readOn = async (): Promise<boolean> => {
      reports.push(...(await observer.call('ledger')).offline);
      return reports.length >= gone.size;
    };
    await until(readOn, REPORTED_WITHIN_MS);
    // Waits, because a second report would come later.
    await sleep(SETTLE_MS);
    await readOn();
    const times = new Map<string, number>();
    for (const { user, atMs } of reports) {
      times.set(user, (times.get(user) ?? 0) + 1);
      delays.add(atMs - droppedAt);
      if (atMs - droppedAt < values['grace-ms']) problems.early += 1;
    }
    for (const user of gone) if (!times.has(user)) problems.never += 1;
    for (const [user, count] of times) {
      if (count > 1) problems.twice += 1;
      if (!gone.has(user)) problems.others += 1;
    }
  }
  for (const [problem, count] of Object.entries(problems)) {
    if (count > 0) play.failures.push(`of those who do not come back: ${count} wrong reports (${problem})`);
  }
  const [p50, p99] = [round(delays.percentile(0.5), 0), round(delays.percentile(0.99), 0)];
  return {
    gone: gone.size,
    observers: play.watching.length,
    ...problems,
    'reported p50 ms': p50,
    'reported p99 ms': p99,
  };
}

async function readLedgers(play: Play, when: string) {
  const ledgers = await Promise.all(play.watching.map((observer) => observer.call('ledger')));
  for (const { errors, lost } of ledgers) {
    if (lost > 0) play.failures.push(`${when}: an observer lost its connection`);
    for (const error of errors) play.failures.push(`${when}: an observer received ${error}`);
  }
  return {
    offline: ledgers.flatMap(({ offline }) => offline),
    others: ledgers.reduce((sum, { others }) => sum + others, 0),
  };
}

function timesOf(kind: string, times: Histogram): Row {
  return {
    [`${kind} p50 ms`]: round(times.percentile(0.5)),
    [`${kind} p99 ms`]: round(times.percentile(0.99)),
  };
}
