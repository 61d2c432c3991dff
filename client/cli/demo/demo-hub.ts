/**
 * Finds the hub for the demo: a running one, or, if no hub was named, one in this process that stores nothing. Also
 * checks whether that hub accepts TCP.
 */
import { ok, fail, type Result } from '../../../shared/result.ts';
import type { HubAccess } from '../hub/access.ts';
import type { TcpAddress } from '../hub/address.ts';
import { askHub } from '../hub/hub-http.ts';
import { say, type Io } from '../terminal/io.ts';
import { openTcp } from '../hub/tcp-client.ts';
import { noToken } from '../hub/token.ts';

const CONNECT_WITHIN_MS = 3_000;

interface DemoHub {
  readonly access: HubAccess;
  /** Stops a hub that was started here. Another hub keeps running. */
  readonly close: () => Promise<void>;
}

export async function findHub(access: HubAccess, follower: string, io: Io): Promise<Result<DemoHub>> {
  const path = `/v1/presence/${encodeURIComponent(follower)}`;
  // Without the token, because the simulated users have none either.
  const asked = { http: access.http, token: noToken };
  const answer = await askHub(asked, { method: 'GET', path, signal: io.interrupted });
  if (answer.kind === 'refused' && (answer.status === 401 || answer.status === 403)) {
    return fail(describeNeedsTokens(`the hub at ${access.http}`));
  }
  if (answer.kind === 'refused') return fail(`the server at ${access.http} is not a hub: give the hub with --url`);
  if (answer.kind !== 'unreachable') return ok({ access, close: () => Promise.resolve() });
  return access.isNamed ? fail(answer.problem) : startOwnHub(access, io);
}

/** Returns whether something accepts connections at the TCP address, with TLS if required. */
export function acceptsTcp(address: TcpAddress): Promise<boolean> {
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

function describeNeedsTokens(where: string): string {
  return `${where} requires a token of every user, and the demo’s users have none: use a hub with HUB_AUTH=open`;
}

async function startOwnHub(access: HubAccess, io: Io): Promise<Result<DemoHub>> {
  const hub = await io.startHub(io.env);
  if (!hub.ok) return hub;
  const close = () => hub.value.stop();
  if (!hub.value.isOpen) {
    await close();
    return fail(describeNeedsTokens('a hub started here'));
  }
  say(io, `No hub answers at ${access.http}, so the demo started its own, which stores nothing.`);
  return ok({ access, close });
}
