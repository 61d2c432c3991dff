/**
 * The SDK's client as a command uses it: with the token of the command line, and with one line for people if the
 * connection is lost or the client gives up. The SDK connects, reconnects, renews tokens and keeps entries.
 */
import type { HubMessage } from '../../../shared/messages/hub-messages.ts';
import { createPresenceClient, type PresenceClient, type PresenceClientOptions } from '../../sdk/index.ts';
import type { HubAccess } from './access.ts';
import { describeError, describeNoHub } from './address.ts';
import { describeRefusal, getTokenFrom } from './token.ts';
import { webSocketClass } from './ws-socket.ts';

const BYE_WITHIN_MS = 1_000;

export interface HubClientOptions extends Pick<PresenceClientOptions, 'user' | 'device' | 'status' | 'text'> {
  readonly access: Pick<HubAccess, 'http' | 'token'>;
  /** Default: the hub's interval. */
  readonly everyMs?: number | undefined;
  /** Keeps trying even if the very first connection finds no hub. */
  readonly isPatient?: boolean;
  /** For display: without the token. */
  readonly onSent?: (json: string) => void;
  readonly onGot?: (json: string) => void;
  /** The connection is lost; the client reconnects. */
  readonly onLost?: (reason: string) => void;
  /** The client does not reconnect, because the hub refuses it, or none answered the very first time. */
  readonly onFailed: (problem: string) => void;
}

/** Creates a client that connects when it is first used. */
export function createHubClient(options: HubClientOptions): PresenceClient {
  const { access, everyMs, isPatient, onSent, onGot, onLost, onFailed, ...mine } = options;
  /** A hub has answered at this address, so a lost connection is retried. */
  let hasMetHub = isPatient === true;
  /** What the hub said last about the end of the current connection. */
  let said: string | undefined;
  let error: Error | undefined;
  const client = createPresenceClient({
    ...mine,
    url: access.http,
    // A command has no person whose input it could see.
    idle: false,
    getToken: getTokenFrom(access.token),
    WebSocket: webSocketClass({
      onOpening: () => (said = error = undefined),
      onSent: (json) => onSent?.(withoutToken(json)),
      onMessage: (message) => {
        hasMetHub = true;
        said = sayingOf(message) ?? said;
        onGot?.(JSON.stringify(message));
        return message.type === 'welcome' && everyMs !== undefined ? { ...message, heartbeatMs: everyMs } : message;
      },
      onError: (fault) => (error = fault),
    }),
  });
  client.on('error', ({ message, isFinal }) => {
    // The file with the token cannot be read. The hub's own errors are known from its messages.
    if (!isFinal && client.status !== 'connected') said ??= message;
  });
  client.on('status', ({ status, previous, reason }) => {
    if (status === 'connected') return access.token.accepted();
    // An attempt began, or this program closed the client.
    if (reason === undefined && (previous !== 'connected' || status === 'closed')) return;
    const { code = 0, text = '' } = reason ?? {};
    const why = said ?? (text !== '' ? text : `the connection closed (${code})`);
    if (status === 'closed') return onFailed(describeEnd(code, why, previous === 'connected', access));
    if (hasMetHub) return onLost?.(why);
    client.close();
    onFailed(said ?? describeNobody(error, access.http));
  });
  return client;
}

/** Ends with a goodbye, but does not wait long for the hub to confirm it. */
export async function leaveHub(client: PresenceClient): Promise<void> {
  const timer = setTimeout(() => client.close(), BYE_WITHIN_MS);
  await client.leave();
  clearTimeout(timer);
}

function sayingOf(message: HubMessage): string | undefined {
  if (message.type === 'reconnect') return 'the hub asked to come back later';
  return message.type === 'error' ? message.message : undefined;
}

/** Describes why the hub ended a connection for good. */
export function describeEnd(
  code: number,
  why: string,
  wasConnected: boolean,
  { token }: Pick<HubAccess, 'token'>,
): string {
  if (code === 4401) return describeRefusal('unauthenticated', token, why);
  if (!wasConnected && code === 4403) return describeRefusal('forbidden', token, why);
  if (!wasConnected && code === 4400) return `the hub refused: ${why}`;
  return `the hub ended the connection (${code}): ${why}`;
}

/** Describes that the first connection found no hub. */
export function describeNobody(error: Error | undefined, http: string): string {
  const answered = /^Unexpected server response: (\d+)$/.exec(error === undefined ? '' : describeError(error));
  if (answered !== null) return `the server at ${http} is not a hub (it answers /ws with ${answered[1] ?? ''})`;
  return describeNoHub(http, error);
}

function withoutToken(json: string): string {
  const message = JSON.parse(json) as Record<string, unknown>;
  return 'token' in message ? JSON.stringify({ ...message, token: '…' }) : json;
}
