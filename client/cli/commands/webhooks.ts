/**
 * `presence-hub webhooks`: lists the rules with their queues, sends a test, and replays dead events. This file parses
 * the command line and sends one request.
 */
import { type z } from 'zod';
import { webhookReplayAnswer, webhooksAnswer, webhookTestAnswer } from '../../../shared/messages/http-bodies.ts';
import { fail, ok, type Result } from '../../../shared/result.ts';
import { readAccess, type HubAccess } from '../hub/access.ts';
import { askHub, failWith } from '../hub/hub-http.ts';
import { EXIT_FAILED, EXIT_OK, exitWith, say, type Io } from '../terminal/io.ts';
import { harmless } from '../terminal/terminal-text.ts';
import { commonFlags, commonHelp, readNoMore, runCommand, type CommandLine, type Flags } from './command-line.ts';

const help = [
  'presence-hub webhooks                  lists the rules of webhooks with their queues',
  'presence-hub webhooks --test RULE      posts a signed message of the type presence.test to the receiver of RULE',
  'presence-hub webhooks --replay RULE    sends the dead events of RULE again',
  '',
  ...commonHelp,
].join('\n');

const flags = { ...commonFlags, test: 'text', replay: 'text' } as const satisfies Flags;

interface Order {
  readonly test: string | undefined;
  readonly replay: string | undefined;
  readonly access: HubAccess;
}

export function run(args: readonly string[], io: Io): Promise<number> {
  return runCommand({ help, flags, read: readOrder, run: runOrder }, args, io);
}

function readOrder({ words, flags: given }: CommandLine<typeof flags>, io: Io): Result<Order> {
  const access = readAccess(given, io.env);
  if (!access.ok) return access;
  const { test, replay } = given;
  if (test !== undefined && replay !== undefined) return fail('--test and --replay exclude each other: give one');
  const noMore = readNoMore(words, 0);
  return noMore.ok ? ok({ test, replay, access: access.value }) : noMore;
}

async function runOrder({ test, replay, access }: Order, io: Io): Promise<number> {
  if (test !== undefined) return sendTest(test, access, io);
  if (replay !== undefined) return replayDead(replay, access, io);
  return ask(access, 'GET', '/v1/webhooks', webhooksAnswer, io, ({ rules }) => {
    for (const line of renderRules(rules)) say(io, harmless(line));
    return EXIT_OK;
  });
}

function sendTest(rule: string, access: HubAccess, io: Io): Promise<number> {
  return ask(access, 'POST', pathOf(rule, 'test'), webhookTestAnswer, io, ({ delivered, reason }) => {
    if (!delivered) return exitWith(io, harmless(`the receiver of ${rule} did not accept the test: ${reason ?? ''}`));
    say(io, harmless(`the receiver of ${rule} accepted the test`));
    return EXIT_OK;
  });
}

function replayDead(rule: string, access: HubAccess, io: Io): Promise<number> {
  return ask(access, 'POST', pathOf(rule, 'replay'), webhookReplayAnswer, io, ({ events }) => {
    say(io, harmless(`${events} dead event${events === 1 ? '' : 's'} of ${rule} will be sent again`));
    return EXIT_OK;
  });
}

async function ask<T>(
  access: HubAccess,
  method: 'GET' | 'POST',
  path: string,
  form: z.ZodType<T>,
  io: Io,
  show: (answer: T) => number,
): Promise<number> {
  const answer = await askHub(access, { method, path, signal: io.interrupted });
  if (answer.kind !== 'ok') return failWith(answer, io);
  const read = form.safeParse(answer.body);
  if (read.success) return show(read.data);
  return exitWith(io, `the server at ${access.http} is not a hub, or a hub of another version`, EXIT_FAILED);
}

function pathOf(rule: string, action: string): string {
  return `/v1/webhooks/${encodeURIComponent(rule)}/${action}`;
}

function renderRules(rules: z.infer<typeof webhooksAnswer>['rules']): readonly string[] {
  return rules.flatMap(({ name, url, on, afterMs, events, queued, dead, lastFailure }) => [
    `${name}  ${url}`,
    `  reports    ${events === 'all' ? 'every change' : 'changes of status'} to ${on.join(', ')}${afterText(afterMs)}`,
    `  queue      ${queued} waiting, ${dead} dead${dead > 0 ? ` (presence-hub webhooks --replay ${name})` : ''}`,
    ...(lastFailure === null ? [] : [`  failing    ${lastFailure}`]),
  ]);
}

function afterText(afterMs: number): string {
  return afterMs === 0 ? '' : `, after ${afterMs} ms`;
}
