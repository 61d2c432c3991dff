/**
 * `presence-hub watch USER`: shows that user's friends live: a table on a terminal, a line per change in a pipe. Uses
 * only the wire contract. It is an observer without presence.
 */
import { ok, type Result } from '../../../shared/result.ts';
import type { PresenceClient, PresenceView } from '../../sdk/index.ts';
import { Order } from '../../ui/order.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { createHubClient, leaveHub } from '../hub/hub-client.ts';
import { howToBeAllowed } from '../hub/token.ts';
import { renderChange, renderTable } from '../terminal/friend-table.ts';
import { EXIT_OK, exitWith, say, untilStopped, wantsColour, type Io } from '../terminal/io.ts';
import { openScreen } from '../terminal/screen.ts';
import { harmless } from '../terminal/terminal-text.ts';
import { commonFlags, commonHelp, readNoMore, readUserId, runCommand, type CommandLine } from './command-line.ts';

const help = [
  'presence-hub watch USER     shows the friends of USER as they come and go, until Ctrl-C',
  '',
  'Shows a table on a terminal. In a pipe, prints a line per change: time, user, status, text, separated by tabs.',
  '',
  ...commonHelp,
].join('\n');

interface WatchOrder {
  readonly user: string;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags: commonFlags, read: readOrder, run: watchFriends }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof commonFlags>, { env }: Io): Result<WatchOrder> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const access = readAccess(given, env);
  return access.ok ? ok({ user: user.value, access: access.value }) : access;
}

async function watchFriends({ user, access }: WatchOrder, io: Io): Promise<number> {
  let end: (problem?: string) => void = () => undefined;
  const ended = new Promise<string | undefined>((resolve) => (end = resolve));
  const isTable = io.stdout.isTTY === true;
  const client = createHubClient({
    access,
    onLost: (reason) => isTable || io.stderr.write(`presence-hub: ${harmless(reason)}; reconnecting\n`),
    onFailed: end,
  });
  const view = client.watchFriends(user);
  view.on('error', ({ code, message }) => {
    const says = `the hub refuses to show the friends of ${user} (${message})`;
    end(code === 'forbidden' ? `${says}: ${howToBeAllowed(access.token)}` : says);
  });
  void untilStopped(io).then(() => end());
  const close = isTable
    ? showTable(`Friends of ${user} at ${access.http}`, client, view, io)
    : printChanges(client, view, io);
  const problem = await ended;
  close();
  await leaveHub(client);
  return problem === undefined ? EXIT_OK : exitWith(io, harmless(problem));
}

/** @returns a function that restores the terminal. */
function showTable(title: string, client: PresenceClient, view: PresenceView, io: Io): () => void {
  const order = new Order();
  const hasColour = wantsColour(io);
  const screen = openScreen(io.stdout, (columns, rows) =>
    renderTable({
      title,
      entries: order.of(view.entries, ''),
      view,
      nowMs: client.hubNow(),
      columns,
      rows,
      hasColour,
    }),
  );
  for (const type of ['sync', 'change', 'status'] as const) view.on(type, () => screen.touch());
  return () => screen.close();
}

function printChanges(client: PresenceClient, view: PresenceView, io: Io): () => void {
  /** What was printed of each friend. After a restart of the hub, an entry may be newer and still look the same. */
  const printed = new Map<string, string>();
  view.on('change', ({ changed, removed }) => {
    for (const user of removed) {
      printed.delete(user);
      say(io, renderChange({ user, status: 'removed' }, client.hubNow()));
    }
    for (const { user, status, code, text, devices } of changed) {
      const shown = JSON.stringify([status, code, text, devices]);
      if (printed.get(user) !== shown)
        say(io, renderChange({ user, status, ...(text === undefined ? {} : { text }) }, client.hubNow()));
      printed.set(user, shown);
    }
  });
  client.on('stale', ({ staleSince }) => {
    if (staleSince === null || client.status !== 'connected') return;
    io.stderr.write('presence-hub: the hub has just restarted; statuses may be out of date\n');
  });
  return () => undefined;
}
