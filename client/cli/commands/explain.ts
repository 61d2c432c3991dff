/**
 * `presence-hub explain`: explains the status of a user. This file parses the command line; explained-text.ts renders
 * the answer.
 */
import { explanation } from '../../../shared/messages/explain.ts';
import { ok, type Result } from '../../../shared/result.ts';
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
import { renderExplanation } from '../terminal/explained-text.ts';
import { jsonLine } from '../terminal/terminal-text.ts';
import { askHub, failWith } from '../hub/hub-http.ts';
import { EXIT_OK, exitWith, say, type Io } from '../terminal/io.ts';

const help = [
  'presence-hub explain USER [--json]    why USER has this status: sessions and recent changes',
  '',
  '  --json            the hub’s answer as JSON',
  ...commonHelp,
].join('\n');

const flags = { ...commonFlags, json: 'switch' } as const satisfies Flags;

interface Order {
  readonly user: string;
  readonly isJson: boolean;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: explain }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, io: Io): Result<Order> {
  const access = readAccess(given, io.env);
  if (!access.ok) return access;
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  return noMore.ok ? ok({ user: user.value, isJson: given.json === true, access: access.value }) : noMore;
}

async function explain({ user, isJson, access }: Order, io: Io): Promise<number> {
  const path = `/v1/users/${encodeURIComponent(user)}/explain`;
  const answer = await askHub(access, { method: 'GET', path, signal: io.interrupted });
  if (answer.kind !== 'ok') return failWith(answer, io);
  const read = explanation.safeParse(answer.body);
  if (!read.success) return exitWith(io, `the server at ${access.http} is not a hub, or a hub of another version`);
  if (isJson) say(io, jsonLine(read.data));
  else for (const line of renderExplanation(read.data)) say(io, line);
  return EXIT_OK;
}
