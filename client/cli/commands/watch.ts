/**
 * `presence-hub watch USER`: shows that user's friends live: a table on a terminal, a line per change in a pipe. Uses
 * only the wire contract. It is an observer without presence.
 */
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { HubTime } from '../../../shared/hub-time.ts';
import { ok, type Result } from '../../../shared/result.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { commonFlags, commonHelp, readNoMore, readUserId, runCommand, type CommandLine } from './command-line.ts';
import { FriendList } from '../hub/friend-list.ts';
import { renderChange, renderTable, type LinkState } from '../terminal/friend-table.ts';
import { HubClient } from '../hub/hub-client.ts';
import { EXIT_OK, exitWith, say, untilStopped, wantsColour, type Io } from '../terminal/io.ts';
import { openScreen } from '../terminal/screen.ts';
import { harmless } from '../terminal/terminal-text.ts';
import { describeRefusal, howToBeAllowed, type TokenSource } from '../hub/token.ts';

const help = [
  'presence-hub watch USER     shows the friends of USER as they come and go, until Ctrl-C',
  '',
  'On a terminal a table; in a pipe a line for each change: time, user, status, text, with tabs between.',
  '',
  ...commonHelp,
].join('\n');

interface Order {
  readonly user: string;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags: commonFlags, read: readOrder, run: watchFriends }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof commonFlags>, { env }: Io): Result<Order> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const access = readAccess(given, env);
  return access.ok ? ok({ user: user.value, access: access.value }) : access;
}

async function watchFriends({ user, access }: Order, io: Io): Promise<number> {
  const friends = new FriendList();
  const time = new HubTime();
  const view = io.stdout.isTTY === true ? openTable(user, access, friends, time, io) : openLines(time, io);
  let lastHeardAtMs = time.now();
  const { problem, client } = await new Promise<{ problem?: string; client: HubClient }>((resolve) => {
    const client = new HubClient({
      access,
      hello: () => ({ type: 'hello', observe: true }),
      onWelcome: () => {
        const { at } = friends;
        client.send({ type: 'watch', id: 'friends', friendsOf: user, ...(at === undefined ? {} : { since: at }) });
      },
      onMessage: (message) => {
        time.hear(message);
        lastHeardAtMs = time.now();
        const problem = problemOf(message, user, access.token);
        if (problem !== undefined) return resolve({ client, problem });
        view.told(message, friends);
      },
      onLost: (reason) => view.lost(lastHeardAtMs, harmless(reason)),
      onFailed: (problem) => resolve({ client, problem }),
    });
    void untilStopped(io).then(() => resolve({ client }));
    client.connect();
  });
  view.close();
  await client.leave();
  return problem === undefined ? EXIT_OK : exitWith(io, harmless(problem));
}

/** Returns why there is nothing to wait for: the watch was refused, or a new token no longer allows it. */
function problemOf(message: HubMessage, user: string, token: TokenSource): string | undefined {
  if (message.type === 'unwatched' && message.re === undefined) {
    return describeRefusal('forbidden', token, `the friends of ${user} are no longer shown`);
  }
  if (message.type !== 'error' || message.re !== 'friends') return undefined;
  const says = `the hub refuses to show the friends of ${user} (${message.message})`;
  return message.code === 'forbidden' ? `${says}: ${howToBeAllowed(token)}` : says;
}

interface View {
  told(message: HubMessage, friends: FriendList): void;
  lost(lastHeardAtMs: number, reason: string): void;
  close(): void;
}

function openTable(user: string, { http }: HubAccess, friends: FriendList, time: HubTime, io: Io): View {
  let link: LinkState = { kind: 'connecting' };
  const hasColour = wantsColour(io);
  const title = `Friends of ${user} at ${http}`;
  const screen = openScreen(io.stdout, (columns, rows) =>
    renderTable({ title, friends, link, nowMs: time.now(), columns, rows, hasColour }),
  );
  return {
    told: (message) => {
      friends.apply(message);
      link = linkAfter(message, link);
      screen.touch();
    },
    lost: (asOfMs) => {
      // Repeated failures keep the time of the last certain state. Before the first connection there is none.
      if (link.kind === 'live') link = { kind: 'lost', asOfMs };
      else if (link.kind === 'stale') link = { kind: 'lost', asOfMs: link.sinceMs };
      screen.touch();
    },
    close: () => screen.close(),
  };
}

/** Returns the state after a message. Between welcome and snapshot, the table still shows what was known before. */
function linkAfter(message: HubMessage, link: LinkState): LinkState {
  if (message.type === 'stale') return { kind: 'stale', sinceMs: message.since };
  if (message.type === 'fresh' || (message.type === 'snapshot' && link.kind !== 'stale')) return { kind: 'live' };
  return link;
}

function openLines(time: HubTime, io: Io): View {
  return {
    told: (message, friends) => {
      for (const change of friends.apply(message)) say(io, renderChange(change, time.now()));
      if (message.type === 'stale')
        io.stderr.write('presence-hub: the hub has just restarted; statuses may be out of date\n');
    },
    lost: (_asOf, reason) => io.stderr.write(`presence-hub: ${reason}; reconnecting\n`),
    close: () => undefined,
  };
}
