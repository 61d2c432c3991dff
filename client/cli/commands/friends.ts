/**
 * `presence-hub friends`: adds, removes and lists friends, and imports an existing graph. This file parses the command
 * line and sends one request per edit; import-file.ts imports.
 */
import { friendsAnswer } from '../../../shared/messages/http-bodies.ts';
import { ok, fail, type Result } from '../../../shared/result.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import {
  commonFlags,
  commonHelp,
  readNoMore,
  readUserId,
  runCommand,
  type CommandLine,
  type Flags,
} from './command-line.ts';
import { askHub, failWith, friendPath } from '../hub/hub-http.ts';
import { importFile } from '../import/import-file.ts';
import { EXIT_OK, exitWith, say, type Io } from '../terminal/io.ts';
import { harmless, jsonLine } from '../terminal/terminal-text.ts';

const help = [
  'presence-hub friends add USER FRIEND [--oneway]       makes them friends of each other',
  'presence-hub friends remove USER FRIEND [--oneway]    ends the friendship',
  'presence-hub friends list USER [--json]               the users that USER follows, one per line',
  'presence-hub friends import FILE.csv [--oneway]       reads lines of user,friend; - is standard input',
  '',
  '  --oneway          only USER follows FRIEND',
  '  --json            the hub’s answer as JSON',
  ...commonHelp,
].join('\n');

const flags = { ...commonFlags, oneway: 'switch', json: 'switch' } as const satisfies Flags;
type Line = CommandLine<typeof flags>;

/** The action to run once the whole command line is valid. */
type Action = () => Promise<number>;

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readAction, run: (action) => action() }, args, io);
}

function readAction({ words, flags: given }: Line, io: Io): Result<Action> {
  const found = readAccess(given, io.env);
  if (!found.ok) return found;
  const access = found.value;
  const [verb, ...rest] = words;
  const isOneway = given.oneway === true;
  if (given.json === true && verb !== 'list') return fail('--json requires list');
  if (isOneway && verb === 'list')
    return fail('--oneway cannot be used with list, which always shows the users that USER follows');
  switch (verb) {
    case 'add':
    case 'remove':
      return readEdit(verb, rest, isOneway, access, io);
    case 'list': {
      const user = readUserId('USER', rest[0]);
      if (!user.ok) return user;
      return only(rest, 1, () => list(user.value, given.json === true, access, io));
    }
    case 'import': {
      const [file] = rest;
      if (file === undefined) return fail('FILE is missing: a path, or - for standard input');
      return only(rest, 1, () => importFile({ file, isOneway, access }, io));
    }
    case undefined:
      return fail('add, remove, list or import is missing: see presence-hub friends --help');
    default:
      return fail(`${JSON.stringify(verb)} is not add, remove, list or import`);
  }
}

function readEdit(
  verb: 'add' | 'remove',
  words: readonly string[],
  isOneway: boolean,
  access: HubAccess,
  io: Io,
): Result<Action> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const friend = readUserId('FRIEND', words[1]);
  if (!friend.ok) return friend;
  if (user.value === friend.value)
    return fail(`FRIEND and USER are both ${friend.value}: a user cannot be their own friend`);
  return only(words, 2, () => edit({ verb, user: user.value, friend: friend.value, isOneway }, access, io));
}

interface Edit {
  readonly verb: 'add' | 'remove';
  readonly user: string;
  readonly friend: string;
  readonly isOneway: boolean;
}

async function edit({ verb, user, friend, isOneway }: Edit, access: HubAccess, io: Io): Promise<number> {
  const path = friendPath(user, friend, isOneway);
  const answer = await askHub(access, {
    method: verb === 'add' ? 'PUT' : 'DELETE',
    path,
    signal: io.interrupted,
  });
  if (answer.kind === 'refused' && answer.status === 409) {
    return exitWith(io, harmless(`${user} and ${friend} cannot become friends: ${answer.says}`));
  }
  if (answer.kind !== 'ok') return failWith(answer, io);
  const not = verb === 'add' ? '' : 'no longer ';
  const follows = verb === 'add' ? 'follows' : 'no longer follows';
  say(io, isOneway ? `${user} ${follows} ${friend}` : `${user} and ${friend} are ${not}friends`);
  return EXIT_OK;
}

async function list(user: string, isJson: boolean, access: HubAccess, io: Io): Promise<number> {
  const path = `/v1/users/${encodeURIComponent(user)}/friends`;
  const answer = await askHub(access, { method: 'GET', path, signal: io.interrupted });
  if (answer.kind !== 'ok') return failWith(answer, io);
  const read = friendsAnswer.safeParse(answer.body);
  if (!read.success) return exitWith(io, `the server at ${access.http} is not a hub`);
  if (isJson) say(io, jsonLine(read.data));
  else for (const friend of read.data.friends) say(io, friend);
  return EXIT_OK;
}

function only(words: readonly string[], known: number, action: Action): Result<Action> {
  const noMore = readNoMore(words, known);
  return noMore.ok ? ok(action) : noMore;
}
