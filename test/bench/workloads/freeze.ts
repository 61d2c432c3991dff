/**
 * The hub is stopped for a minute (SIGSTOP) and continues, with live users of every adapter. No user causes this, so none
 * may be reported offline, neither then nor while the hub handles the input that waited. With `--busy 1`
 * it is not stopped, but busy for that long, in pieces of 10 ms that each read its clock.
 */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetrics, sumOf } from '../lib/hub-http.ts';
import { sleep, until } from '../lib/pacing.ts';
import { printTable, progress, type Outcome, type Row } from '../lib/report.ts';
import { startRole } from '../lib/roles.ts';
import { names } from '../lib/names.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { ObserverCommands } from '../roles/observer.ts';
import type { RegularUsersCommands } from '../roles/regular-users.ts';

const knobs = {
  tcp: { fallback: 500, help: 'legacy TCP users' },
  ws: { fallback: 300, help: 'WebSocket users' },
  http: { fallback: 100, help: 'users who beat over HTTP' },
  poll: { fallback: 100, help: 'users whom the hub polls' },
  seconds: { fallback: 60, help: 'how long the hub stands still' },
  busy: { fallback: 0, least: 0, help: '1: it is busy in pieces of 10 ms that each read its clock, not stopped' },
  rounds: { fallback: 2, help: 'how often' },
  'after-seconds': { fallback: 35, help: 'how long is watched afterwards: more than a lease and a grace' },
};

export const freeze = workload({
  name: 'freeze',
  about: 'the hub stands still for a minute (SIGSTOP): nobody may be reported offline',
  knobs,
  run,
});

const HERE_WITHIN_MS = 60_000;

async function run(stage: Stage, values: Readonly<Record<keyof typeof knobs, number>>): Promise<Outcome> {
  const polled = names('p', values.poll);
  const target = await startTarget(polled);
  const hub = await stage.startHub({ HUB_POLL: target.file, ...(values.busy > 0 ? busySettings(values.seconds) : {}) });
  const { port, tcpPort } = hub;
  const people = { tcp: names('t', values.tcp), ws: names('w', values.ws), http: names('h', values.http) };
  const users = [...people.tcp, ...people.ws, ...people.http, ...polled];
  const regularUsers = startRole<RegularUsersCommands>(new URL('../roles/regular-users.js', import.meta.url));
  await regularUsers.call('open', { port, tcpPort, ...people });
  const areHere = async (): Promise<boolean> => sumOf(await readMetrics(port), 'presence_hub_sessions') >= users.length;
  const failures: string[] = [];
  if (!(await until(areHere, HERE_WITHIN_MS))) failures.push('not all users came');
  const observer = startRole<ObserverCommands>(new URL('../roles/observer.js', import.meta.url));
  await observer.call('watch', { port, users });
  progress(`${users.length} users are here, over four adapters`);

  const rows: Row[] = [];
  for (let round = 1; round <= values.rounds; round += 1) {
    if (values.busy > 0) process.kill(hub.pid, 'SIGUSR2');
    else hub.freeze();
    await sleep(1000 * values.seconds);
    if (values.busy === 0) hub.thaw();
    await sleep(1000 * values['after-seconds']);
    const { offline, others, stales, lost, errors } = await observer.call('ledger');
    if (offline.length > 0) failures.push(`round ${round}: ${offline.length} users were reported offline`);
    for (const error of errors) failures.push(`round ${round}: the observer received ${error}`);
    if (lost > 0) failures.push(`round ${round}: the observer lost its connection`);
    if (!(await areHere())) failures.push(`round ${round}: not all sessions are there`);
    rows.push({
      round,
      'stood still s': values.seconds,
      'offline reports': offline.length,
      'other reports': others,
      stales,
    });
    progress(`round ${round} of ${values.rounds}: ${offline.length} reported offline`);
  }
  const { lost } = await regularUsers.call('figures');
  if (lost > 0) failures.push(`${lost} users lost their connection`);
  const ended = hub.ended();
  if (ended !== null) failures.push(`the hub ended: ${ended}`);
  for (const line of hub.errors) failures.push(`the hub logged an error: ${line}`);
  printTable(rows);
  await hub.stop();
  target.stop();
  return { failures, figures: { users: users.length, rounds: rows } };
}

/** The hub is kept busy from within. No end may be held as a doubtful one, which would hide that leases ran out. */
function busySettings(seconds: number): Record<string, string> {
  const loaded = new URL('../lib/busy-hub.js', import.meta.url).href;
  return { NODE_OPTIONS: `--import ${loaded}`, BUSY_MS: String(1000 * seconds), HUB_DOUBT_MS: '0' };
}

/** What is polled: one small server that always answers, and the file that names it for each user. */
async function startTarget(users: readonly string[]): Promise<{ readonly file: string; readonly stop: () => void }> {
  const server: HttpServer = createServer((_, response) => response.end('{"status":"online"}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), 'presence-hub-targets-'));
  const file = join(folder, 'poll.json');
  writeFileSync(file, JSON.stringify(users.map((user) => ({ user, url: `http://127.0.0.1:${port}/`, everyMs: 2000 }))));
  return {
    file,
    stop: () => {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
