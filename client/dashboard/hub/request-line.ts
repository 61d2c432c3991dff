/**
 * The request of a button as text to paste into a terminal. It never contains a token: the shell uses the variable with
 * the name of the hub's own setting. Pure.
 */

export interface HubRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
}

/** Returns the path at which a proxy serves the hub, without a slash at the end; empty without one. */
export const hubPrefix = (): string => location.pathname.replace(/\/admin\/?$/, '');

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

export const countsRequest: HubRequest = { method: 'GET', path: '/v1/counts' };
export const webhooksRequest: HubRequest = { method: 'GET', path: '/v1/webhooks' };

/** @param after the `next` of the previous page; empty for the first page. */
export function listRequest(status: string, prefix: string, after: string, limit: number): HubRequest {
  const query = new URLSearchParams({ limit: String(limit) });
  if (status !== '') query.set('status', status);
  if (prefix !== '') query.set('prefix', prefix);
  if (after !== '') query.set('after', after);
  return { method: 'GET', path: `/v1/presence?${query.toString()}` };
}

export const historyRequest = (user: string, from: number): HubRequest => ({
  method: 'GET',
  path: `/v1/users/${encodeURIComponent(user)}/history?from=${from}`,
});

export const uptimeRequest = (user: string, from: number, to: number): HubRequest => ({
  method: 'GET',
  path: `/v1/users/${encodeURIComponent(user)}/uptime?from=${from}&to=${to}`,
});

export const webhookRequest = (rule: string, action: 'test' | 'replay'): HubRequest => ({
  method: 'POST',
  path: `/v1/webhooks/${encodeURIComponent(rule)}/${action}`,
});

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
