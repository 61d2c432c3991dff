/**
 * Finds the hub for the demo: a running one, or, if no hub was named, one in this process that stores nothing. Also
 * checks whether that hub accepts TCP.
 */
import { readFileSync } from 'node:fs';
import { readConfig } from '../config/config.ts';
import { startHub } from '../hub.ts';
import { createLog } from '../lib/log/log.ts';
import { ok, fail, type Result } from '../../shared/result.ts';
import { StartError } from '../lib/start-error.ts';
import type { HubAccess } from './access.ts';
import type { TcpAddress } from './address.ts';
import { askHub } from './hub-http.ts';
import { say, type Io } from './io.ts';
import { openTcp } from './tcp-client.ts';
import { noToken } from './token.ts';

const CONNECT_WITHIN_MS = 3_000;

interface Stage {
  readonly access: HubAccess;
  /** Stops a hub that was started here. Another hub keeps running. */
  readonly close: () => Promise<void>;
}

export async function findStage(access: HubAccess, follower: string, io: Io): Promise<Result<Stage>> {
  const path = `/v1/presence/${encodeURIComponent(follower)}`;
  // Without the token, because the simulated users have none either.
  const asked = { http: access.http, token: noToken };
  const answer = await askHub(asked, { method: 'GET', path, signal: io.interrupted });
  if (answer.kind === 'refused' && (answer.status === 401 || answer.status === 403)) {
    return fail(describeNoPlay(`the hub at ${access.http}`));
  }
  if (answer.kind === 'refused') return fail(`what answers at ${access.http} is no hub: name one with --url`);
  if (answer.kind !== 'unreachable') return ok({ access, close: () => Promise.resolve() });
  return access.isNamed ? fail(answer.problem) : startOwnHub(access, io);
}

/** Returns whether something accepts connections at the TCP address, with TLS if required. */
export function takesTcp(address: TcpAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (takes: boolean) => {
      socket.destroy();
      resolve(takes);
    };
    const socket = openTcp(address, CONNECT_WITHIN_MS, () => answer(true));
    socket.on('timeout', () => answer(false));
    socket.on('error', () => answer(false));
  });
}

function describeNoPlay(where: string): string {
  return `${where} asks every user for a token of its own, and the people of the demo have none: play it on one with HUB_AUTH=open`;
}

async function startOwnHub(access: HubAccess, io: Io): Promise<Result<Stage>> {
  const settings = readConfig({
    flags: new Map([
      ['HUB_DATA', ':memory:'],
      ['HUB_LOG_LEVEL', 'warn'],
    ]),
    env: io.env,
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  if (!settings.ok) return settings;
  if (settings.config.auth === 'jwt') return fail(describeNoPlay('a hub started here'));
  try {
    const hub = await startHub(settings.config, { log: createLog(settings.config.logLevel) });
    say(io, `No hub answers at ${access.http}: this is one of the demo’s own, which keeps nothing.`);
    return ok({ access, close: () => hub.stop() });
  } catch (error) {
    if (error instanceof StartError) return fail(error.message);
    throw error;
  }
}
