/** `presence-hub kick`: ends one session of a user. This file parses the command line and sends one request. */
import { ok, fail, type Result } from '../../../shared/result.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { commonFlags, commonHelp, readNoMore, readUserId, runCommand, type CommandLine } from './command-line.ts';
import { askHub, failWith } from '../hub/hub-http.ts';
import { EXIT_OK, exitWith, say, type Io } from '../terminal/io.ts';
import { harmless } from '../terminal/terminal-text.ts';

const help = [
  'presence-hub kick USER SESSION    ends that session of USER at once; presence-hub explain USER shows them',
  '',
  ...commonHelp,
].join('\n');

interface Order {
  readonly user: string;
  readonly session: string;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags: commonFlags, read: readOrder, run: kick }, args, io);
}

function readOrder({ words, flags }: CommandLine<typeof commonFlags>, io: Io): Result<Order> {
  const access = readAccess(flags, io.env);
  if (!access.ok) return access;
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const session = words[1] ?? '';
  if (session === '') return fail('SESSION is missing: an id, as presence-hub explain USER shows it');
  const noMore = readNoMore(words, 2);
  return noMore.ok ? ok({ user: user.value, session, access: access.value }) : noMore;
}

async function kick({ user, session, access }: Order, io: Io): Promise<number> {
  const path = `/v1/users/${encodeURIComponent(user)}/sessions/${encodeURIComponent(session)}`;
  const answer = await askHub(access, { method: 'DELETE', path, signal: io.interrupted });
  if (answer.kind === 'refused' && answer.status === 404) {
    return exitWith(io, harmless(`${user} has no session ${session}: presence-hub explain ${user} lists its sessions`));
  }
  if (answer.kind !== 'ok') return failWith(answer, io);
  say(io, `session ${harmless(session)} of ${user} has ended`);
  return EXIT_OK;
}
