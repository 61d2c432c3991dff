/**
 * The request of a button as text to paste into a terminal. It never contains a token: the shell uses the variable with
 * the name of the hub's own setting. Pure.
 */

export interface HubRequest {
  readonly method: 'GET' | 'DELETE';
  readonly path: string;
}

export const explainRequest = (user: string): HubRequest => ({
  method: 'GET',
  path: `/v1/users/${encodeURIComponent(user)}/explain`,
});

export const endSessionRequest = (user: string, session: string): HubRequest => ({
  method: 'DELETE',
  path: `/v1/users/${encodeURIComponent(user)}/sessions/${encodeURIComponent(session)}`,
});

export const metricsRequest: HubRequest = { method: 'GET', path: '/metrics' };
export const readyRequest: HubRequest = { method: 'GET', path: '/readyz' };

export function asCurl({ method, path }: HubRequest, origin: string, hasToken: boolean): string {
  return [
    'curl -sS',
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...(hasToken ? ['-H "Authorization: Bearer $HUB_ADMIN_TOKEN"'] : []),
    quote(origin + path),
  ].join(' ');
}

/** Returns the messages of the tail, one per line, for any WebSocket client. */
export function asTailMessages(match: string, origin: string, hasToken: boolean): string {
  const hello = hasToken ? { type: 'hello', observe: true, token: '…' } : { type: 'hello', observe: true };
  const tail = match === '' ? { type: 'tail' } : { type: 'tail', match };
  return [socketAddress(origin), JSON.stringify(hello), JSON.stringify(tail)].join('\n');
}

export function socketAddress(origin: string): string {
  return `${origin.replace(/^http/, 'ws')}/ws`;
}

/** Quotes for any shell: text between single quotes is literal. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '%27')}'`;
}
