/**
 * `presence-hub tail [MATCH]`: prints every change of every user as the hub applies it, with its cause. For an admin.
 * Uses the stream that the dashboard uses; the SDK's link connects and reconnects.
 */
import type { HubMessage, TailedChange } from '../../../shared/messages/hub-messages.ts';
import { ok, type Result } from '../../../shared/result.ts';
import type { PresenceError } from '../../sdk/index.ts';
import { HubLink } from '../../sdk/internal.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { describeEnd, describeNobody } from '../hub/hub-client.ts';
import { describeRefusal, getTokenFrom } from '../hub/token.ts';
import { webSocketClass } from '../hub/ws-socket.ts';
import { EXIT_OK, exitWith, say, untilStopped, type Io } from '../terminal/io.ts';
import { harmless, jsonLine } from '../terminal/terminal-text.ts';
import { commonFlags, commonHelp, readNoMore, runCommand, type CommandLine, type Flags } from './command-line.ts';

const help = [
  'presence-hub tail [MATCH]    prints changes of all users, or of those whose id contains MATCH, until Ctrl-C',
  '',
  'A line per change: time, user, statuses before and after, cause, adapter, devices, text, separated by tabs.',
  '',
  '  --json            the hub’s changes as JSON, one per line',
  ...commonHelp,
].join('\n');

const flags = { ...commonFlags, json: 'switch' } as const satisfies Flags;

interface Order {
  readonly match: string | undefined;
  readonly isJson: boolean;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: follow }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, io: Io): Result<Order> {
  const noMore = readNoMore(words, 1);
  if (!noMore.ok) return noMore;
  const access = readAccess(given, io.env);
  return access.ok ? ok({ match: words[0], isJson: given.json === true, access: access.value }) : access;
}

async function follow({ match, isJson, access }: Order, io: Io): Promise<number> {
  let end: (problem?: string) => void = () => undefined;
  const ended = new Promise<string | undefined>((resolve) => (end = resolve));
  let hasMetHub = false;
  let fault: Error | undefined;
  const receive = (message: HubMessage): void => {
    if (message.type === 'welcome') {
      hasMetHub = true;
      link.send({ type: 'tail', id: 'tail', ...(match === undefined ? {} : { match }) });
    } else if (message.type === 'tail') {
      for (const change of message.changes) say(io, isJson ? jsonLine(change) : renderTailed(change));
      if (message.skipped > 0) io.stderr.write(`presence-hub: ${message.skipped} changes were left out\n`);
    }
  };
  const link = new HubLink(
    {
      url: `${access.http.replace(/^http/, 'ws')}/ws`,
      user: undefined,
      device: 'tail',
      mine: {},
      getToken: getTokenFrom(access.token),
      WebSocket: webSocketClass({
        onOpening: () => (fault = undefined),
        onSent: () => undefined,
        onMessage: (message) => message,
        onError: (error) => (fault = error),
      }),
    },
    {
      onMessage: receive,
      onError: ({ code, message }: PresenceError) => {
        end(code === 'forbidden' ? describeRefusal('forbidden', access.token, message) : message);
      },
      onStatus: ({ status, reason }) => {
        const { code = 0, text = '' } = reason ?? {};
        if (status === 'closed') end(reason === undefined ? undefined : describeEnd(code, text, hasMetHub, access));
        else if (status === 'connecting' || status === 'connected' || reason === undefined) return;
        else if (!hasMetHub) end(describeNobody(fault, access.http));
        else io.stderr.write('presence-hub: the connection is lost; reconnecting\n');
      },
    },
  );
  void untilStopped(io).then(() => end());
  link.connect();
  const problem = await ended;
  link.close();
  return problem === undefined ? EXIT_OK : exitWith(io, harmless(problem));
}

function renderTailed({ at, cause, adapter, from, entry }: TailedChange): string {
  const { user, status, devices, text = '' } = entry;
  const cells = [new Date(at).toISOString(), user, from, status, cause, adapter, devices.join(','), text];
  return cells.map(harmless).join('\t');
}
