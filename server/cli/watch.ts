/**
 * `presence-hub watch USER`: that user's friends, live. On a terminal a table, in a pipe a line for each change.
 * Speaks the wire contract alone: it observes, and has no presence of its own.
 */
import type { HubMessage } from '../../shared/hub-messages.ts';
import { right, type Read } from '../lib/read.ts';
import { readAddress, type HubAddress } from './address.ts';
import { commonFlags, commonHelp, readNoMore, readUserId, runCommand, type CommandLine } from './command-line.ts';
import { FriendList } from './friend-list.ts';
import { renderChange, renderTable, type LinkState } from './friend-table.ts';
import { HubClient } from './hub-client.ts';
import { EXIT_OK, fail, say, untilStopped, wantsColour, type Io } from './io.ts';
import { openScreen } from './screen.ts';
import { harmless } from './terminal-text.ts';

const help = [
  'presence-hub watch USER     shows the friends of USER as they come and go, until Ctrl-C',
  '',
  'On a terminal a table; in a pipe a line for each change: time, user, status, text, with tabs between.',
  '',
  ...commonHelp,
].join('\n');

const flags = { url: commonFlags.url };

interface Order {
  readonly user: string;
  readonly address: HubAddress;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: watchFriends }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, { env }: Io): Read<Order> {
  const user = readUserId('USER', words[0]);
  if (!user.ok) return user;
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const address = readAddress(given, env);
  return address.ok ? right({ user: user.value, address: address.value }) : address;
}

async function watchFriends({ user, address }: Order, io: Io): Promise<number> {
  const friends = new FriendList();
  const view = io.stdout.isTTY === true ? openTable(user, address, friends, io) : openLines(io);
  let lastHeardAtMs = Date.now();
  const { problem, client } = await new Promise<{ problem?: string; client: HubClient }>((resolve) => {
    const client = new HubClient({
      ws: address.ws,
      http: address.http,
      hello: () => ({ type: 'hello', observe: true }),
      onWelcome: () => {
        const { at } = friends;
        client.send({ type: 'watch', id: 'friends', friendsOf: user, ...(at === undefined ? {} : { since: at }) });
      },
      onMessage: (message) => {
        lastHeardAtMs = Date.now();
        // The watch itself was refused: there is nothing to wait for.
        if (message.type === 'error' && message.re === 'friends') {
          return resolve({ client, problem: `the hub refuses to show the friends of ${user}: ${message.message}` });
        }
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
  return problem === undefined ? EXIT_OK : fail(io, harmless(problem));
}

interface View {
  told(message: HubMessage, friends: FriendList): void;
  lost(lastHeardAtMs: number, reason: string): void;
  close(): void;
}

function openTable(user: string, address: HubAddress, friends: FriendList, io: Io): View {
  let link: LinkState = { kind: 'connecting' };
  const hasColour = wantsColour(io);
  const title = `Friends of ${user} at ${address.http}`;
  const screen = openScreen(io.stdout, (columns, rows) =>
    renderTable({ title, friends, link, nowMs: Date.now(), columns, rows, hasColour }),
  );
  return {
    told: (message) => {
      friends.apply(message);
      link = linkAfter(message, link);
      screen.touch();
    },
    lost: (asOfMs) => {
      // Tries that fail in a row leave the time of the last sure word as it is; before the first there is none.
      if (link.kind === 'live') link = { kind: 'lost', asOfMs };
      else if (link.kind === 'stale') link = { kind: 'lost', asOfMs: link.sinceMs };
      screen.touch();
    },
    close: () => screen.close(),
  };
}

/** From a welcome until the snapshot what is shown is still what was known before. */
function linkAfter(message: HubMessage, link: LinkState): LinkState {
  if (message.type === 'stale') return { kind: 'stale', sinceMs: message.since };
  if (message.type === 'fresh' || (message.type === 'snapshot' && link.kind !== 'stale')) return { kind: 'live' };
  return link;
}

function openLines(io: Io): View {
  return {
    told: (message, friends) => {
      const nowMs = Date.now();
      for (const change of friends.apply(message)) say(io, renderChange(change, nowMs));
      if (message.type === 'stale') io.stderr.write('presence-hub: the hub is not sure of its friends yet\n');
    },
    lost: (_asOf, reason) => io.stderr.write(`presence-hub: ${reason}; reconnecting\n`),
    close: () => undefined,
  };
}
