/**
 * `presence-hub demo`: simulated users who connect, leave, change status, reload and lose connections, so that there is
 * something to see. Creates their friend graph, runs their scripts, and sends their goodbyes at Ctrl-C. The script is
 * demo-script.ts.
 */
import { ok, type Result } from '../../../shared/result.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import {
  commonFlags,
  commonHelp,
  readNoMore,
  readUserId,
  readWhole,
  runCommand,
  tcpFlags,
  tcpHelp,
  type CommandLine,
  type Flags,
} from '../commands/command-line.ts';
import { DemoPerson } from './demo-person.ts';
import { describeAct, createScenario, type Scenario } from './demo-script.ts';
import { findHub, acceptsTcp } from './demo-hub.ts';
import { DemoTicker } from './demo-ticker.ts';
import { ImportPoster } from '../import/import-poster.ts';
import { EXIT_OK, exitWith, say, untilStopped, type Io } from '../terminal/io.ts';
import { harmless } from '../terminal/terminal-text.ts';
import { noToken } from '../hub/token.ts';

const MAX_USERS = 2_000;
const MAX_SEED = 2 ** 31 - 1;

const help = [
  'presence-hub demo [USER] [--users N] [--seed N]     simulated users, half over TCP + XML, half over WebSocket',
  '',
  'USER (default: demo) follows them all: watch it in the page or with presence-hub watch. Uses the running hub, which',
  'keeps these friend lists. If none is running and --url is not given, starts one that stores nothing.',
  '',
  '  --users N         number of users (100)',
  '  --seed N          repeats the same users and events (1)',
  ...tcpHelp,
  ...commonHelp,
  '',
  'The token is for the friend lists, if the hub has HUB_ADMIN_TOKEN. A hub with HUB_AUTH=jwt cannot be used, because the',
  'simulated users have no tokens.',
].join('\n');

const flags = { ...commonFlags, ...tcpFlags, users: 'text', seed: 'text' } as const satisfies Flags;

interface Order {
  readonly follower: string;
  readonly scenario: Scenario;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: runOnHub }, args, io);
}

async function runOnHub(order: Order, io: Io): Promise<number> {
  const hub = await findHub(order.access, order.follower, io);
  if (!hub.ok) return exitWith(io, harmless(hub.problem));
  try {
    return await runDemo({ ...order, access: hub.value.access }, io);
  } finally {
    await hub.value.close();
  }
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Result<Order> {
  const follower = readUserId('USER', words[0] ?? 'demo');
  if (!follower.ok) return follower;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const count = readWhole('--users', given.users ?? '100', 1, MAX_USERS);
  if (!count.ok) return count;
  const seed = readWhole('--seed', given.seed ?? '1', 0, MAX_SEED);
  if (!seed.ok) return seed;
  const access = readAccess(given, env);
  if (!access.ok) return access;
  return ok({ follower: follower.value, scenario: createScenario(seed.value, count.value), access: access.value });
}

async function runDemo({ follower, scenario, access }: Order, io: Io): Promise<number> {
  const problem = await makeFriends(follower, scenario, access, io);
  if (problem !== undefined) return exitWith(io, harmless(problem));
  const hasTcp = await acceptsTcp(access);
  if (!hasTcp)
    say(io, `No TCP listener at port ${access.tcpPort} (set it with --tcp-port): all users connect over WebSocket.`);
  say(io, describeScenario(follower, scenario, access));
  const ticker = new DemoTicker(io.stdout);
  const people: readonly DemoPerson[] = scenario.people.map(
    (person) =>
      new DemoPerson({
        person: hasTcp ? person : { ...person, adapter: 'ws-json' },
        // A token belongs to one user, so the simulated users connect without.
        access: { ...access, token: noToken },
        onAct: (user, act) => {
          const here = people.filter(({ isHere }) => isHere).length;
          ticker.show(Date.now(), here, people.length, describeAct(user, act));
        },
      }),
  );
  for (const person of people) person.start();
  await untilStopped(io);
  await Promise.all(people.map((person) => person.leave()));
  ticker.close();
  say(io, 'All users have left.');
  return EXIT_OK;
}

/** @returns the problem, or undefined on success. */
async function makeFriends(
  follower: string,
  scenario: Scenario,
  access: HubAccess,
  io: Io,
): Promise<string | undefined> {
  const follows = scenario.people.filter(({ user }) => user !== follower).map(({ user }) => [follower, user] as const);
  for (const { pairs, isOneway } of [
    { pairs: follows, isOneway: true },
    { pairs: scenario.friendships, isOneway: false },
  ]) {
    const refusals: string[] = [];
    const onBad = ({ problem }: { readonly problem: string }) => refusals.push(problem);
    const poster = new ImportPoster({ access, isOneway, interrupted: io.interrupted, onBad });
    await poster.add(pairs.map((edge, i) => ({ line: i + 1, edge })));
    await poster.finish();
    const problem = poster.problem ?? refusals[0];
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function describeScenario(follower: string, scenario: Scenario, { http }: HubAccess): string {
  const url = http === 'http://127.0.0.1:8080' ? '' : ` --url ${http}`;
  return [
    `${scenario.people.length} users; ${follower} follows them all:`,
    `  ${http}/?user=${encodeURIComponent(follower)}`,
    `  npx presence-hub watch ${follower}${url}`,
    'Ctrl-C ends the demo.',
  ].join('\n');
}
