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
import { describeAct, writePlay, type Play } from './demo-script.ts';
import { findStage, takesTcp } from './demo-stage.ts';
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
  'USER (default: demo) follows them all: watch it in the page or with presence-hub watch. The hub that runs is used, and',
  'keeps the friend lists made here; where none runs and --url is not given, one is started that keeps nothing.',
  '',
  '  --users N         how many (100)',
  '  --seed N          the same people and the same lives again (1)',
  ...tcpHelp,
  ...commonHelp,
  '',
  'The token is for the friend lists, where a hub has HUB_ADMIN_TOKEN. One with HUB_AUTH=jwt asks every user for a token of',
  'its own, and the people here have none.',
].join('\n');

const flags = { ...commonFlags, ...tcpFlags, users: 'text', seed: 'text' } as const satisfies Flags;

interface Order {
  readonly follower: string;
  readonly play: Play;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: playOnStage }, args, io);
}

async function playOnStage(order: Order, io: Io): Promise<number> {
  const stage = await findStage(order.access, order.follower, io);
  if (!stage.ok) return exitWith(io, harmless(stage.problem));
  try {
    return await putOn({ ...order, access: stage.value.access }, io);
  } finally {
    await stage.value.close();
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
  return ok({ follower: follower.value, play: writePlay(seed.value, count.value), access: access.value });
}

async function putOn({ follower, play, access }: Order, io: Io): Promise<number> {
  const problem = await makeFriends(follower, play, access, io);
  if (problem !== undefined) return exitWith(io, harmless(problem));
  const hasTcp = await takesTcp(access);
  if (!hasTcp) say(io, `Nobody takes TCP at port ${access.tcpPort} (--tcp-port names it): all come over WebSocket.`);
  say(io, describePlay(follower, play, access));
  const ticker = new DemoTicker(io.stdout);
  const people: readonly DemoPerson[] = play.people.map(
    (person) =>
      new DemoPerson({
        person: hasTcp ? person : { ...person, adapter: 'ws-json' },
        // A token belongs to one user, so the simulated users connect without.
        access: { ...access, token: noToken },
        onAct: (user, act) => {
          const here = people.filter(({ isHere }) => isHere).length;
          ticker.tell(Date.now(), here, people.length, describeAct(user, act));
        },
      }),
  );
  for (const person of people) person.start();
  await untilStopped(io);
  await Promise.all(people.map((person) => person.leave()));
  ticker.close();
  say(io, 'Everybody has said goodbye.');
  return EXIT_OK;
}

/** @returns the problem, or undefined on success. */
async function makeFriends(follower: string, play: Play, access: HubAccess, io: Io): Promise<string | undefined> {
  const follows = play.people.filter(({ user }) => user !== follower).map(({ user }) => [follower, user] as const);
  for (const { pairs, isOneway } of [
    { pairs: follows, isOneway: true },
    { pairs: play.friendships, isOneway: false },
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

function describePlay(follower: string, play: Play, { http }: HubAccess): string {
  const url = http === 'http://127.0.0.1:8080' ? '' : ` --url ${http}`;
  return [
    `${play.people.length} people, and ${follower} follows them all:`,
    `  ${http}/?user=${encodeURIComponent(follower)}`,
    `  npx presence-hub watch ${follower}${url}`,
    'Ctrl-C sends everybody home.',
  ].join('\n');
}
