/** HTTP replies: JSON, nothing, or a problem (RFC 9457) whose `detail` names the field and the remedy. */
import { ERROR_PAGES, problemCodes, type ProblemCode } from '../../../shared/reasons.ts';
import type { Problem } from '../../../shared/messages/http-bodies.ts';
import type { HttpReply } from '../../sockets/port.ts';

const titles = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Content too large',
  426: 'Upgrade required',
  429: 'Too many requests',
  431: 'Request header fields too large',
  500: 'Internal error',
  501: 'Not implemented',
  503: 'Service unavailable',
} as const satisfies Record<(typeof problemCodes)[ProblemCode]['status'], string>;

const NO_STORE = { 'cache-control': 'no-store' } as const;

/**
 * The headers of every reply, including refusals and redirects. With TLS, browsers then use only HTTPS for this host
 * for a year.
 */
export function secureHeaders(isTls: boolean): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    ...(isTls && { 'strict-transport-security': 'max-age=31536000' }),
  };
}

export function json(body: string): HttpReply {
  return { status: 200, headers: { 'content-type': 'application/json', ...NO_STORE }, body };
}

/**
 * JSON whose parts are read while they are sent. Waits for the first part, so that a failure before that is answered as
 * such. A failure after that cuts the connection.
 */
export async function streamedJson(parts: AsyncGenerator<string, void, void>): Promise<HttpReply> {
  const next = async (): Promise<string | undefined> => {
    const { done, value } = await parts.next();
    return done === true ? undefined : value;
  };
  return { ...json((await next()) ?? ''), rest: { next, close: () => void parts.return() } };
}

export function noContent(): HttpReply {
  return { status: 204, headers: NO_STORE, body: '' };
}

export function problem(code: ProblemCode, detail: string, headers: Record<string, string> = {}): HttpReply {
  const { status } = problemCodes[code];
  const body: Problem = { type: `${ERROR_PAGES}${code}`, title: titles[status], status, detail };
  return {
    status,
    headers: { 'content-type': 'application/problem+json', ...NO_STORE, ...headers },
    body: JSON.stringify(body),
  };
}

/** A 429 reply. `retry-after` has whole seconds, and never 0, which would mean at once. */
export function tooMany(
  code: ProblemCode & ('rate_limited' | 'too_many_sessions'),
  detail: string,
  waitMs: number,
): HttpReply {
  return problem(code, detail, { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) });
}
