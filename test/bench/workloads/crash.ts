/**
 * The hub dies (kill -9) and is started again in its place; its users come back within the warm time, but for some. Those
 * who come back must never be shown offline, in no snapshot and no change. The others are reported offline once.
 */
import { sleep, until } from '../lib/pacing.ts';
import { readMetrics, sumOf } from '../lib/hub-http.ts';
import { printTable, progress, type Outcome, type Row } from '../lib/report.ts';
import { startRole } from '../lib/roles.ts';
import { names } from '../lib/names.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { ObserverCommands } from '../roles/observer.ts';
import type { ReconnectingClientsCommands } from '../roles/reconnecting-clients.ts';

const knobs = {
  ws: { fallback: 1000, help: 'WebSocket users' },
  tcp: { fallback: 1000, help: 'legacy TCP users' },
  gone: { fallback: 50, help: 'users of each kind who do not come back' },
  rounds: { fallback: 5, help: 'how often the hub dies' },
  'warm-ms': { fallback: 15_000, help: 'HUB_WARM_MS' },
  'back-to-ms': { fallback: 8000, help: 'the longest absence, from the moment that the hub is there again' },
  seed: { fallback: 1, help: 'who returns when' },
};

export const crash = workload({
  name: 'crash',
  about:
    'the hub dies (kill -9) and is started again: users who come back are never offline, the others are reported once',
  knobs,
  run,
});

/** What was changed last is stored at most 250 ms later. */
const STORED_WITHIN_MS = 1000;
const HERE_WITHIN_MS = 60_000;
const SETTLE_MS = 3000;

async function run(stage: Stage, values: Readonly<Record<keyof typeof knobs, number>>): Promise<Outcome> {
  const settings = { HUB_WARM_MS: String(values['warm-ms']), HUB_TCP_ACK: '1' };
  let hub = await stage.startHub(settings);
  const { port, tcpPort } = hub;
  const ws = names('w', values.ws);
  const tcp = names('t', values.tcp);
  const reconnectingClients = startRole<ReconnectingClientsCommands>(
    new URL('../roles/reconnecting-clients.js', import.meta.url),
  );
  await reconnectingClients.call('open', { port, tcpPort, ws, tcp, seed: values.seed });
  const failures: string[] = [];
  const rows: Row[] = [];
  let here = [...ws, ...tcp];
  for (let round = 1; round <= values.rounds; round += 1) {
    const areHere = async (): Promise<boolean> =>
      sumOf(await readMetrics(port), 'presence_hub_sessions') >= here.length;
    if (!(await until(areHere, HERE_WITHIN_MS)))
      failures.push(`round ${round}: not all users are here before the crash`);
    await sleep(STORED_WITHIN_MS);
    const place = await hub.crash();
    for (const line of hub.errors) failures.push(`round ${round}: the hub logged an error: ${line}`);
    const diedAt = performance.now();
    hub = await stage.startHub(settings, place);
    const downMs = Math.round(performance.now() - diedAt);
    const except = pick(here, values.gone);
    const leaving = new Set(except);
    const staying = here.filter((user) => !leaving.has(user));
    const observer = startRole<ObserverCommands>(new URL('../roles/observer.js', import.meta.url));
    await observer.call('watch', { port, users: here });
    await reconnectingClients.call('reconnect', { fromMs: 0, toMs: values['back-to-ms'], except });
    await sleep(values['warm-ms'] + SETTLE_MS);
    const { offline, absent, stales, freshes, errors } = await observer.call('ledger');
    observer.stop();
    const falsely = offline.filter(({ user }) => !leaving.has(user)).length;
    const rightly = new Set(offline.map(({ user }) => user)).size - falsely;
    const twice = offline.length - new Set(offline.map(({ user }) => user)).size;
    if (absent > 0) failures.push(`round ${round}: ${absent} users were shown offline in the first snapshot`);
    if (falsely > 0) failures.push(`round ${round}: ${falsely} users who came back were reported offline`);
    if (rightly !== except.length)
      failures.push(`round ${round}: ${rightly} of ${except.length} who stayed away were reported offline`);
    if (twice > 0) failures.push(`round ${round}: ${twice} were reported offline twice`);
    if (stales !== 1 || freshes !== 1) failures.push(`round ${round}: stale came ${stales} times, fresh ${freshes}`);
    for (const error of errors) failures.push(`round ${round}: the observer received ${error}`);
    rows.push({
      round,
      'down ms': downMs,
      back: staying.length,
      absent,
      falsely,
      'stayed away': except.length,
      reported: rightly,
      twice,
    });
    progress(`round ${round} of ${values.rounds}: down for ${downMs} ms, ${falsely} reported offline falsely`);
    here = staying;
  }
  printTable(rows);
  await hub.stop();
  return { failures, figures: { rounds: rows } };
}

/** Some of each kind: from both ends of the list. */
function pick(users: readonly string[], ofEach: number): string[] {
  return [...users.slice(0, ofEach), ...users.slice(users.length - ofEach)];
}
